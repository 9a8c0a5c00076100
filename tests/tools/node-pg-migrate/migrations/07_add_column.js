exports.up = (pgm) => {
  pgm.addColumn("orders", { token: { type: "uuid", notNull: true, default: pgm.func("gen_random_uuid()") } });
};

exports.down = (pgm) => {
  pgm.dropColumn("orders", "token");
};
