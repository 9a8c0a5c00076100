exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.dropNullable("note"));
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.setNullable("note"));
};

exports.config = { transaction: false };
