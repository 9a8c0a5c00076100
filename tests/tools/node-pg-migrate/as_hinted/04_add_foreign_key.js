exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.addConstraint("orders", "orders_customer_fkey", { foreignKeys: { columns: "customer_id", references: "customers" } });
};

exports.down = (pgm) => {
  pgm.noTransaction();
  pgm.dropConstraint("orders", "orders_customer_fkey");
};
