exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.createIndex("orders", "customer_id", { name: "orders_customer" });
};

exports.down = (pgm) => {
  pgm.noTransaction();
  pgm.dropIndex("orders", "customer_id", { name: "orders_customer" });
};
