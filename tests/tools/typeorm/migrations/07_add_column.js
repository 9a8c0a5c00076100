module.exports = class AddColumn1700000000007 {
  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ADD token uuid NOT NULL DEFAULT gen_random_uuid()');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders DROP COLUMN token');
  }
};
