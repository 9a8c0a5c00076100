module.exports = class AddIndex1700000000002 {
  async up(queryRunner) {
    await queryRunner.query('CREATE INDEX orders_customer ON orders (customer_id)');
  }

  async down(queryRunner) {
    await queryRunner.query('DROP INDEX orders_customer');
  }
};
