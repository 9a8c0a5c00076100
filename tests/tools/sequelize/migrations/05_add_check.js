module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.addConstraint("orders", {
      type: "check",
      name: "amount_not_negative",
      fields: ["amount"],
      where: { amount: { [Sequelize.Op.gte]: 0 } },
    });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.removeConstraint("orders", "amount_not_negative");
  },
};
