exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.addColumn("orders", { token: { type: "uuid", notNull: true, default: pgm.func("gen_random_uuid()") } });
};

exports.down = (pgm) => {
  pgm.noTransaction();
  pgm.sql('ALTER TABLE orders DROP COLUMN token /* tidegate:allow=drop-column reason="never used" */');
};
