exports.up = (pgm) => {
  pgm.dropColumn("orders", "legacy");
};

exports.down = (pgm) => {
  pgm.addColumn("orders", { legacy: { type: "text" } });
};
