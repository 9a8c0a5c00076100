exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.addConstraint("orders", "amount_not_negative", { check: "amount >= 0" });
};

exports.down = (pgm) => {
  pgm.noTransaction();
  pgm.dropConstraint("orders", "amount_not_negative");
};
