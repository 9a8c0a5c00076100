module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.addIndex("orders", ["customer_id"], { name: "orders_customer" });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.removeIndex("orders", "orders_customer");
  },
};
