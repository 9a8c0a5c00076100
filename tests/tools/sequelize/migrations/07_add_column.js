module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.addColumn("orders", "token", {
      type: Sequelize.UUID,
      allowNull: false,
      defaultValue: Sequelize.fn("gen_random_uuid"),
    });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.removeColumn("orders", "token");
  },
};
