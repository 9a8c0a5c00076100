exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.alterColumn("orders", "note", { notNull: true });
};

exports.down = (pgm) => {
  pgm.noTransaction();
  pgm.alterColumn("orders", "note", { notNull: false });
};
