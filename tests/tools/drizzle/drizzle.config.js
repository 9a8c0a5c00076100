const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;

module.exports = {
  dialect: "postgresql",
  out: "./migrations",
  dbCredentials: { host: PGHOST, port: Number(PGPORT), user: PGUSER, database: PGDATABASE, ssl: false },
};
