exports.up = (pgm) => {
  pgm.addConstraint("orders", "amount_not_negative", { check: "amount >= 0" });
};

exports.down = (pgm) => {
  pgm.dropConstraint("orders", "amount_not_negative");
};
