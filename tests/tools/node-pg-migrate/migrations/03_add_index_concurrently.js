exports.up = (pgm) => {
  pgm.createIndex("orders", "placed_at", { name: "orders_placed_at", concurrently: true });
};

exports.down = (pgm) => {
  pgm.dropIndex("orders", "placed_at", { name: "orders_placed_at", concurrently: true });
};
