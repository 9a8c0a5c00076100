module.exports = class ChangeType1700000000010 {
  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ALTER COLUMN amount TYPE bigint');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ALTER COLUMN amount TYPE integer');
  }
};
