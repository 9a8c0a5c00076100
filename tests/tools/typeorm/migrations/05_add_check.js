module.exports = class AddCheck1700000000005 {
  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ADD CONSTRAINT amount_not_negative CHECK (amount >= 0)');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders DROP CONSTRAINT amount_not_negative');
  }
};
