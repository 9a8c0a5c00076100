exports.up = async (knex) => {
  await knex.raw('CREATE INDEX CONCURRENTLY orders_placed_at ON orders (placed_at)');
};

exports.down = async (knex) => {
  await knex.raw('DROP INDEX CONCURRENTLY orders_placed_at');
};

exports.config = { transaction: false };
