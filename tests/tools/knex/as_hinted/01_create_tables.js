exports.up = async (knex) => {
  await knex.schema.createTable("customers", (table) => {
    table.bigIncrements("id");
    table.text("name").notNullable();
  });
  await knex.schema.createTable("orders", (table) => {
    table.bigIncrements("id");
    table.bigInteger("customer_id").notNullable();
    table.integer("amount").notNullable();
    table.text("note");
    table.timestamp("placed_at").notNullable();
    table.text("legacy");
  });
};

exports.down = async (knex) => {
  await knex.raw('DROP TABLE orders /* tidegate:allow=drop-table reason="the shop closes" */');
  await knex.raw('DROP TABLE customers /* tidegate:allow=drop-table reason="the shop closes" */');
};
