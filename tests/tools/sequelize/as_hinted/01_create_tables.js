module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.createTable("customers", {
      id: { type: Sequelize.BIGINT, autoIncrement: true, primaryKey: true },
      name: { type: Sequelize.TEXT, allowNull: false },
    });
    await queryInterface.createTable("orders", {
      id: { type: Sequelize.BIGINT, autoIncrement: true, primaryKey: true },
      customer_id: { type: Sequelize.BIGINT, allowNull: false },
      amount: { type: Sequelize.INTEGER, allowNull: false },
      note: { type: Sequelize.TEXT },
      placed_at: { type: Sequelize.DATE, allowNull: false },
      legacy: { type: Sequelize.TEXT },
    });
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.sequelize.query('DROP TABLE orders /* tidegate:allow=drop-table reason="the shop closes" */');
    await queryInterface.sequelize.query('DROP TABLE customers /* tidegate:allow=drop-table reason="the shop closes" */');
  },
};
