exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.bigInteger("amount").notNullable().alter());
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.integer("amount").notNullable().alter());
};
