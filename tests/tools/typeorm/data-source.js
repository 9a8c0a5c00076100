const { DataSource } = require("typeorm");
const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;

module.exports = new DataSource({
  type: "postgres",
  host: PGHOST,
  port: Number(PGPORT),
  username: PGUSER,
  database: PGDATABASE,
  migrations: ["migrations/*.js"],
});
