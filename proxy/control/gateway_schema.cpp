#include "proxy/control/gateway_schema.hpp"

#include "proxy/control/server_guard.hpp"

#include <iterator>
#include <utility>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

// What is in the tables is run with the client's rights, asked with the control role's, or pasted by an
// administrator: it counts only when nobody else can have written it. Somebody with CREATE on the database
// may have made the schema first.
constexpr std::string_view standing_query = R"sql(
WITH me AS (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user),
 s AS (SELECT n.oid, n.nspowner = (SELECT oid FROM me) AND n.nspacl IS NULL AS ours
         FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'tidegate'),
 t AS (SELECT c.relkind = 'r' AND c.relowner = (SELECT oid FROM me) AND c.relacl IS NULL AS ours
         FROM pg_catalog.pg_class AS c JOIN s ON s.oid = c.relnamespace
        WHERE c.relname = ANY ($1::pg_catalog.text[]))
SELECT CASE WHEN NOT EXISTS (SELECT FROM s) THEN 'absent'
            WHEN NOT (SELECT ours FROM s) OR EXISTS (SELECT FROM t WHERE NOT ours) THEN 'foreign'
            WHEN (SELECT pg_catalog.count(*) FROM t) = pg_catalog.cardinality($1::pg_catalog.text[])
            THEN 'ours' ELSE 'absent' END)sql";

// CREATE … IF NOT EXISTS of two gateways at once may fail with 23505; whoever came second finds them made.
constexpr std::string_view before_definitions = R"sql(
DO $tidegate$
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(1953064037, 0);
  CREATE SCHEMA IF NOT EXISTS tidegate;
)sql";
constexpr std::string_view behind_definitions = R"sql(
END
$tidegate$)sql";

// All of it: what the block runs is inside of it.
constexpr std::string_view vouch_for_definitions =
    "SELECT pg_catalog.set_config('tidegate.vouch', tidegate_guard.token(pg_catalog.pg_backend_pid(), 'all', "
    "pg_catalog.convert_to($1, 'UTF8')), false)";

// Where a server guard is in force, it wants a vouch for DDL of the gateway's own as well.
asio::awaitable<outcome<query_result>> define(querier& source, std::string text) {
  std::vector<command> commands;
  const auto guard = co_await find_guard(source);
  if (guard && *guard == guard_state::in_force)
    commands.push_back({std::string(vouch_for_definitions), {text}});
  const std::size_t at = commands.size();
  commands.push_back({std::move(text)});
  commands.push_back({"RESET tidegate.vouch"});
  auto outcomes = co_await write(source, std::move(commands));
  co_return std::move(outcomes.at(at));
}

}  // namespace

asio::awaitable<outcome<standing>> find_standing(querier& source, std::vector<std::string> tables) {
  std::vector<text_cell> parameters{text_array(tables)};
  const auto there = co_await ask(source, standing_query, std::move(parameters));
  if (!there) co_return there.error();
  const std::string found = there->rows.empty() ? std::string() : text(there->rows.front(), 0);
  co_return found == "ours" ? standing::ours : found == "foreign" ? standing::foreign : standing::absent;
}

asio::awaitable<std::optional<sql_error>> make_ready(querier& source, std::vector<std::string> tables,
                                                     std::string definitions) {
  const auto there = co_await find_standing(source, std::move(tables));
  if (!there) co_return there.error();
  if (*there == standing::foreign)
    co_return sql_error("55000",
                        "schema tidegate, or a table in it, belongs to another role or is open to others");
  if (*there == standing::absent) {
    std::string text(before_definitions);
    text += definitions;
    text += behind_definitions;
    const auto made = co_await define(source, std::move(text));
    if (!made) co_return made.error();
  }
  co_return std::nullopt;
}

asio::awaitable<outcome<query_result>> ask(querier& source, std::string_view sql,
                                           std::vector<text_cell> parameters) {
  std::vector<command> commands;
  commands.push_back({std::string(sql), std::move(parameters)});
  auto outcomes = co_await source.run(std::move(commands));
  co_return std::move(outcomes.front());
}

asio::awaitable<outcome<query_result>> ask(querier& source, std::string_view sql) {
  std::vector<text_cell> none;
  co_return co_await ask(source, sql, std::move(none));
}

asio::awaitable<std::vector<outcome<query_result>>> write(querier& source, std::vector<command> commands) {
  // All of them run in order on one connection.
  std::vector<command> around;
  around.reserve(commands.size() + 2);
  around.push_back({"SET default_transaction_read_only = off"});
  std::move(commands.begin(), commands.end(), std::back_inserter(around));
  around.push_back({"SET default_transaction_read_only = on"});
  auto outcomes = co_await source.run(std::move(around));
  outcomes.pop_back();
  outcomes.erase(outcomes.begin());
  co_return outcomes;
}

asio::awaitable<outcome<query_result>> write(querier& source, std::string_view sql,
                                             std::vector<text_cell> parameters) {
  std::vector<command> commands;
  commands.push_back({std::string(sql), std::move(parameters)});
  auto outcomes = co_await write(source, std::move(commands));
  co_return std::move(outcomes.front());
}

}  // namespace tidegate::control
