exports.up = (pgm) => {
  pgm.addConstraint("orders", "orders_customer_fkey", { foreignKeys: { columns: "customer_id", references: "customers" } });
};

exports.down = (pgm) => {
  pgm.dropConstraint("orders", "orders_customer_fkey");
};
