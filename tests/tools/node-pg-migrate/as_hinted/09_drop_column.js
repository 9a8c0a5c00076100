exports.up = (pgm) => {
  pgm.sql('ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */');
};

exports.down = (pgm) => {
  pgm.addColumn("orders", { legacy: { type: "text" } });
};
