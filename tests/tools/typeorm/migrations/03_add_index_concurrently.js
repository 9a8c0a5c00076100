module.exports = class AddIndexConcurrently1700000000003 {
  async up(queryRunner) {
    await queryRunner.query('CREATE INDEX CONCURRENTLY orders_placed_at ON orders (placed_at)');
  }

  async down(queryRunner) {
    await queryRunner.query('DROP INDEX CONCURRENTLY orders_placed_at');
  }
};
