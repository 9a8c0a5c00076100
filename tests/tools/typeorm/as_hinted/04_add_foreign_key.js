module.exports = class AddForeignKey1700000000004 {
  transaction = false;

  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE NO ACTION ON UPDATE NO ACTION');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey');
  }
};
