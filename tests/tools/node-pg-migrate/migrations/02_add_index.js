exports.up = (pgm) => {
  pgm.createIndex("orders", "customer_id", { name: "orders_customer" });
};

exports.down = (pgm) => {
  pgm.dropIndex("orders", "customer_id", { name: "orders_customer" });
};
