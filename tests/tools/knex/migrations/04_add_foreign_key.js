exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.foreign("customer_id", "orders_customer_fkey").references("customers.id"));
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.dropForeign("customer_id", "orders_customer_fkey"));
};
