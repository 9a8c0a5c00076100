module.exports = class DropColumn1700000000009 {
  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders ADD legacy text');
  }
};
