exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.index("customer_id", "orders_customer"));
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.dropIndex("customer_id", "orders_customer"));
};
