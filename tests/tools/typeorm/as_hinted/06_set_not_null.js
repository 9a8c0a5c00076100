module.exports = class SetNotNull1700000000006 {
  transaction = false;

  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ALTER COLUMN note SET NOT NULL');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ALTER COLUMN note DROP NOT NULL');
  }
};
