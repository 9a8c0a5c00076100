exports.up = async (knex) => {
  await knex.schema.alterTable("orders", (table) => table.uuid("token").notNullable().defaultTo(knex.raw("gen_random_uuid()")));
};

exports.down = async (knex) => {
  await knex.raw('ALTER TABLE orders DROP COLUMN token /* tidegate:allow=drop-column reason="never used" */');
};

exports.config = { transaction: false };
