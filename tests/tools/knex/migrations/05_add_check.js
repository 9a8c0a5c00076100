exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.check("amount >= 0", {}, "amount_not_negative"));
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.dropChecks("amount_not_negative"));
};
