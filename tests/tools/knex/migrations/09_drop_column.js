exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.dropColumn("legacy"));
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.text("legacy"));
};
