exports.up = (pgm) => {
  pgm.alterColumn("orders", "note", { notNull: true });
};

exports.down = (pgm) => {
  pgm.alterColumn("orders", "note", { notNull: false });
};
