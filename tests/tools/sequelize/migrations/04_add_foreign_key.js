module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.addConstraint("orders", {
      type: "foreign key",
      name: "orders_customer_fkey",
      fields: ["customer_id"],
      references: { table: "customers", field: "id" },
    });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.removeConstraint("orders", "orders_customer_fkey");
  },
};
