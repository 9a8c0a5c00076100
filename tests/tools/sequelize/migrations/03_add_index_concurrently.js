module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.addIndex("orders", ["placed_at"], { name: "orders_placed_at", concurrently: true });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.removeIndex("orders", "orders_placed_at", { concurrently: true });
  },
};
