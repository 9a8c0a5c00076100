module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.renameColumn("orders", "note", "remark");
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.renameColumn("orders", "remark", "note");
  },
};
