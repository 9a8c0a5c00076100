exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.renameColumn("note", "remark"));
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.renameColumn("remark", "note"));
};
