module.exports = class DropColumn1700000000009 {
  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders DROP COLUMN legacy');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ADD legacy text');
  }
};
