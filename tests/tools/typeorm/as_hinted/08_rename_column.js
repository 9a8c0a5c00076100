module.exports = class RenameColumn1700000000008 {
  async up(queryRunner) {
    await queryRunner.query('ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */');
  }

  async down(queryRunner) {
    await queryRunner.query('ALTER TABLE orders RENAME COLUMN remark TO note /* tidegate:allow=rename-column reason="nobody reads it" */');
  }
};
