module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.sequelize.query('ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */');
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.addColumn("orders", "legacy", { type: Sequelize.TEXT });
  },
};
