exports.up = (pgm) => {
  pgm.renameColumn("orders", "note", "remark");
};

exports.down = (pgm) => {
  pgm.renameColumn("orders", "remark", "note");
};
