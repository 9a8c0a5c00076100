// changeColumn would set the type as well, in the same message
module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.sequelize.query('ALTER TABLE orders ALTER COLUMN note SET NOT NULL');
  },

  async down(queryInterface, Sequelize) {
    await queryInterface.sequelize.query('ALTER TABLE orders ALTER COLUMN note DROP NOT NULL');
  },
};
