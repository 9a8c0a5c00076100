module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.removeColumn("orders", "legacy");
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.addColumn("orders", "legacy", { type: Sequelize.TEXT });
  },
};
