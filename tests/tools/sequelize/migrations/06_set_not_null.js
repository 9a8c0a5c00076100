module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.changeColumn("orders", "note", { type: Sequelize.TEXT, allowNull: false });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.changeColumn("orders", "note", { type: Sequelize.TEXT, allowNull: true });
  },
};
