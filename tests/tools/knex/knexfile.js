const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;

module.exports = {
  client: "pg",
  connection: { host: PGHOST, port: Number(PGPORT), user: PGUSER, database: PGDATABASE },
};
