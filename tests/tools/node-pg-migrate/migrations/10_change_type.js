exports.up = (pgm) => {
  pgm.alterColumn("orders", "amount", { type: "bigint" });
};

exports.down = (pgm) => {
  pgm.alterColumn("orders", "amount", { type: "integer" });
};
