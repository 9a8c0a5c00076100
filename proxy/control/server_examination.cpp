#include "proxy/control/server_examination.hpp"

#include "policies/sql/quote.hpp"

#include <string_view>
#include <utility>

namespace tidegate::control {

namespace asio = boost::asio;

namespace {

constexpr std::string_view overview = R"sql(
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_version'),
       pg_catalog.current_database(), current_user,
       (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user),
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
         OR EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
                     WHERE n.nspname = 'tidegate' AND pg_catalog.has_schema_privilege(n.oid, 'CREATE, USAGE')),
       pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('standard_conforming_strings'),
       pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('deadlock_timeout'),
       pg_catalog.current_setting('max_connections'), pg_catalog.current_setting('superuser_reserved_connections'),
       (SELECT count(*) FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database = pg_catalog.current_database()),
       (SELECT (EXTRACT(epoch FROM max(pg_catalog.clock_timestamp() - p.prepared)) * 1000)::pg_catalog.int8
          FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database = pg_catalog.current_database()),
       pg_catalog.current_setting('lock_timeout'), pg_catalog.current_setting('statement_timeout'),
       pg_catalog.current_setting('idle_in_transaction_session_timeout'))sql";

constexpr std::string_view stored_settings = R"sql(
SELECT r.rolname, d.datname, pg_catalog.split_part(c.item, '=', 1),
       pg_catalog.substr(c.item, pg_catalog.strpos(c.item, '=') + 1)
  FROM pg_catalog.pg_db_role_setting AS s
  CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(item)
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
 WHERE pg_catalog.split_part(c.item, '=', 1) IN ('lock_timeout', 'statement_timeout',
         'idle_in_transaction_session_timeout', 'standard_conforming_strings')
   AND (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())
 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3)sql";

// A superuser's rights are not to be had for this.
constexpr std::string_view owners = R"sql(
SELECT DISTINCT pg_catalog.pg_get_userbyid(c.relowner)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'tidegate', 'tidegate_guard')
   AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = c.relowner AND r.rolsuper)
 ORDER BY 1 LIMIT 50)sql";

constexpr std::string_view broken_indexes = R"sql(
SELECT n.nspname, c.relname
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid)
 ORDER BY 1, 2 LIMIT 50)sql";

void decode_overview(const text_row& row, server_examination& server) {
  server.version = number<int>(row, 0).value_or(0);
  server.version_text = text(row, 1);
  server.database = text(row, 2);
  server.role = text(row, 3);
  server.superuser = truth(row, 4);
  server.sees_all_sessions = truth(row, 5);
  server.may_create_schema = truth(row, 6);
  server.in_recovery = truth(row, 7);
  server.standard_conforming_strings = text(row, 8) == "on";
  server.wal_level = text(row, 9);
  server.deadlock_timeout_ms = setting_in_ms(text(row, 10));
  server.max_connections = number<std::int64_t>(row, 11).value_or(0);
  server.reserved_connections = number<std::int64_t>(row, 12).value_or(0);
  server.prepared_transactions = number<std::int64_t>(row, 13).value_or(0);
  server.oldest_prepared_transaction_ms = number<std::int64_t>(row, 14).value_or(0);
  server.lock_timeout_ms = setting_in_ms(text(row, 15));
  server.statement_timeout_ms = setting_in_ms(text(row, 16));
  server.idle_in_transaction_timeout_ms = setting_in_ms(text(row, 17));
}

}  // namespace

asio::awaitable<outcome<server_examination>> examine_server(querier& source) {
  std::vector<command> commands;
  for (const std::string_view sql : {overview, stored_settings, owners, broken_indexes}) {
    command question;
    question.sql = sql;
    commands.push_back(std::move(question));
  }
  const auto outcomes = co_await source.run(std::move(commands));
  for (const auto& each : outcomes)
    if (!each) co_return each.error();

  server_examination server;
  if (!outcomes[0]->rows.empty()) decode_overview(outcomes[0]->rows.front(), server);
  for (const text_row& row : outcomes[1]->rows)
    server.stored.push_back({text(row, 0), text(row, 1), text(row, 2), text(row, 3)});
  for (const text_row& row : outcomes[2]->rows) server.foreign_owners.push_back(text(row, 0));
  for (const text_row& row : outcomes[3]->rows)
    server.invalid_indexes.push_back(
        sql::quote_name({.database = {}, .schema = text(row, 0), .name = text(row, 1)}));
  const auto guard = co_await find_guard(source);
  if (!guard) co_return guard.error();
  server.guard = *guard;
  co_return server;
}

}  // namespace tidegate::control
