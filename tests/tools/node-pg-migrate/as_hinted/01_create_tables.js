exports.up = (pgm) => {
  pgm.createTable("customers", { id: { type: "bigserial", primaryKey: true }, name: { type: "text", notNull: true } });
  pgm.createTable("orders", {
    id: { type: "bigserial", primaryKey: true },
    customer_id: { type: "bigint", notNull: true },
    amount: { type: "integer", notNull: true },
    note: { type: "text" },
    placed_at: { type: "timestamptz", notNull: true },
    legacy: { type: "text" },
  });
};

exports.down = (pgm) => {
  pgm.sql('DROP TABLE orders /* tidegate:allow=drop-table reason="the shop closes" */');
  pgm.sql('DROP TABLE customers /* tidegate:allow=drop-table reason="the shop closes" */');
};
