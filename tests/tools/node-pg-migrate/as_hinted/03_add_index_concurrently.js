exports.up = (pgm) => {
  pgm.noTransaction();
  pgm.createIndex("orders", "placed_at", { name: "orders_placed_at", concurrently: true });
};

exports.down = (pgm) => {
  pgm.noTransaction();
  pgm.dropIndex("orders", "placed_at", { name: "orders_placed_at", concurrently: true });
};
