module.exports = class CreateTables1700000000001 {
  async up(queryRunner) {
    await queryRunner.query('CREATE TABLE customers (id BIGSERIAL NOT NULL, name text NOT NULL, CONSTRAINT customers_pkey PRIMARY KEY (id))');
    await queryRunner.query('CREATE TABLE orders (id BIGSERIAL NOT NULL, customer_id bigint NOT NULL, amount integer NOT NULL, note text, placed_at TIMESTAMP WITH TIME ZONE NOT NULL, legacy text, CONSTRAINT orders_pkey PRIMARY KEY (id))');
  }

  async down(queryRunner) {
    await queryRunner.query('DROP TABLE orders');
    await queryRunner.query('DROP TABLE customers');
  }
};
