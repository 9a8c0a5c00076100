module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.sequelize.query('ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */');
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.sequelize.query('ALTER TABLE orders RENAME COLUMN remark TO note /* tidegate:allow=rename-column reason="nobody reads it" */');
  },
};
