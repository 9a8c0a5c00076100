exports.up = async (knex) => {
  await knex.raw('ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */');
};

exports.down = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.text("legacy"));
};
