#include "proxy/control/plan_ledger.hpp"

#include "proxy/control/server_guard.hpp"

#include <utility>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

// What is in the tables is run with the client's rights and asked with the control role's: they count only
// when nobody else can have written it. Somebody with CREATE on the database may have made the schema first.
constexpr std::string_view standing = R"sql(
WITH me AS (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user),
 s AS (SELECT n.oid, n.nspowner = (SELECT oid FROM me) AND n.nspacl IS NULL AS ours
         FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'tidegate'),
 t AS (SELECT c.relkind = 'r' AND c.relowner = (SELECT oid FROM me) AND c.relacl IS NULL AS ours
         FROM pg_catalog.pg_class AS c JOIN s ON s.oid = c.relnamespace WHERE c.relname IN ('plan', 'step'))
SELECT CASE WHEN NOT EXISTS (SELECT FROM s) THEN 'absent'
            WHEN NOT (SELECT ours FROM s) OR EXISTS (SELECT FROM t WHERE NOT ours) THEN 'foreign'
            WHEN (SELECT pg_catalog.count(*) FROM t) = 2 THEN 'ours' ELSE 'absent' END)sql";

// CREATE … IF NOT EXISTS of two gateways at once may fail with 23505; whoever came second finds them made.
constexpr std::string_view make_tables = R"sql(
DO $tidegate$
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(1953064037, 0);
  CREATE SCHEMA IF NOT EXISTS tidegate;
  CREATE TABLE IF NOT EXISTS tidegate.plan (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation oid NOT NULL,
    relation_name text NOT NULL,
    statement text NOT NULL,
    role text NOT NULL,
    application text NOT NULL,
    backend_pid int NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopped', 'done', 'failed')),
    begun timestamptz NOT NULL DEFAULT pg_catalog.now(),
    changed timestamptz NOT NULL DEFAULT pg_catalog.now());
  CREATE INDEX IF NOT EXISTS plan_relation ON tidegate.plan (relation) WHERE state IN ('running', 'stopped');
  CREATE TABLE IF NOT EXISTS tidegate.step (
    plan bigint NOT NULL REFERENCES tidegate.plan ON DELETE CASCADE,
    number int NOT NULL,
    kind text NOT NULL,
    sql text NOT NULL,
    done text NOT NULL,
    undo text NOT NULL,
    not_null_column text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'undone')),
    begun timestamptz,
    ended timestamptz,
    PRIMARY KEY (plan, number));
END
$tidegate$)sql";

// All of it: what the block runs is inside of it.
constexpr std::string_view vouch_for_tables =
    "SELECT pg_catalog.set_config('tidegate.vouch', tidegate_guard.token(pg_catalog.pg_backend_pid(), 'all', "
    "pg_catalog.convert_to($1, 'UTF8')), false)";

constexpr std::string_view find = R"sql(
SELECT p.id,
       s.kind, s.sql, s.done, s.undo, s.not_null_column, s.state
  FROM tidegate.plan AS p JOIN tidegate.step AS s ON s.plan = p.id
 WHERE p.id = (SELECT pg_catalog.max(q.id) FROM tidegate.plan AS q
                WHERE q.relation = $1::pg_catalog.oid AND q.statement = $2 AND q.state IN ('running', 'stopped'))
 ORDER BY s.number)sql";

constexpr std::string_view insert = R"sql(
WITH made AS (
  INSERT INTO tidegate.plan (relation, relation_name, statement, role, application, backend_pid)
  VALUES ($1::pg_catalog.oid, $2, $3, $4, $5, $6::pg_catalog.int4) RETURNING id),
 steps AS (
  INSERT INTO tidegate.step (plan, number, kind, sql, done, undo, not_null_column)
  SELECT made.id, s.number, s.kind, s.sql, s.done, s.undo, s.not_null_column
    FROM made, ROWS FROM (pg_catalog.unnest($7::pg_catalog.text[]), pg_catalog.unnest($8::pg_catalog.text[]),
                          pg_catalog.unnest($9::pg_catalog.text[]), pg_catalog.unnest($10::pg_catalog.text[]),
                          pg_catalog.unnest($11::pg_catalog.text[]))
               WITH ORDINALITY AS s(kind, sql, done, undo, not_null_column, number))
SELECT made.id FROM made)sql";

constexpr std::string_view mark_step = R"sql(
UPDATE tidegate.step
   SET state = $3, begun = CASE WHEN $3 = 'running' THEN pg_catalog.clock_timestamp() ELSE begun END,
       ended = CASE WHEN $3 <> 'running' THEN pg_catalog.clock_timestamp() END
 WHERE plan = $1::pg_catalog.int8 AND number = $2::pg_catalog.int4)sql";

constexpr std::string_view mark_plan =
    "UPDATE tidegate.plan SET state = $2, changed = pg_catalog.clock_timestamp() WHERE id = "
    "$1::pg_catalog.int8";

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

// Control connections are read-only but for this: the three run in order on one of them.
asio::awaitable<outcome<query_result>> write(querier& source, std::string_view sql,
                                             std::vector<text_cell> parameters) {
  std::vector<command> commands;
  commands.push_back({"SET default_transaction_read_only = off"});
  commands.push_back({std::string(sql), std::move(parameters)});
  commands.push_back({"SET default_transaction_read_only = on"});
  auto outcomes = co_await source.run(std::move(commands));
  co_return std::move(outcomes.at(1));
}

// Where a server guard is in force, it wants a vouch for DDL of the gateway's own as well.
asio::awaitable<outcome<query_result>> make_ledger(querier& source) {
  std::vector<command> commands;
  commands.push_back({"SET default_transaction_read_only = off"});
  const auto guard = co_await find_guard(source);
  if (guard && *guard == guard_state::in_force)
    commands.push_back({std::string(vouch_for_tables), {std::string(make_tables)}});
  const std::size_t at = commands.size();
  commands.push_back({std::string(make_tables)});
  commands.push_back({"RESET tidegate.vouch"});
  commands.push_back({"SET default_transaction_read_only = on"});
  auto outcomes = co_await source.run(std::move(commands));
  co_return std::move(outcomes.at(at));
}

// An array literal of any texts.
std::string array_of(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const auto& text : texts) {
    out += out.size() == 1 ? "\"" : ",\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

}  // namespace

asio::awaitable<outcome<std::optional<interrupted_plan>>> find_interrupted_plan(
    querier& source, std::uint32_t relation, const std::string& statement) {
  const auto there = co_await ask(source, standing);
  if (!there) co_return there.error();
  if (there->rows.empty() || text(there->rows.front(), 0) != "ours")
    co_return std::optional<interrupted_plan>{};
  std::vector<text_cell> parameters{std::to_string(relation), statement};
  const auto found = co_await ask(source, find, std::move(parameters));
  if (!found) co_return found.error();
  if (found->rows.empty()) co_return std::optional<interrupted_plan>{};
  interrupted_plan plan;
  for (const text_row& row : found->rows) {
    plan.id = number<std::int64_t>(row, 0).value_or(0);
    plan.steps.push_back({.kind = text(row, 1),
                          .sql = text(row, 2),
                          .done = text(row, 3),
                          .undo = text(row, 4),
                          .not_null_column = text(row, 5)});
    plan.finished.push_back(text(row, 6) == "done");
  }
  co_return std::optional<interrupted_plan>(std::move(plan));
}

asio::awaitable<outcome<std::int64_t>> record_plan(querier& source, const policies::plan& plan,
                                                   const plan_owner& owner) {
  const auto there = co_await ask(source, standing);
  if (!there) co_return there.error();
  const std::string found = there->rows.empty() ? std::string() : text(there->rows.front(), 0);
  if (found == "foreign")
    co_return sql_error("55000",
                        "schema tidegate, or a table in it, belongs to another role or is open to others");
  if (found == "absent") {
    const auto made = co_await make_ledger(source);
    if (!made) co_return made.error();
  }
  std::vector<std::string> kinds, sql, done, undo, not_null;
  for (const auto& step : plan.steps) {
    kinds.emplace_back(name(step.kind));
    sql.push_back(step.sql);
    done.push_back(step.done);
    undo.push_back(step.undo);
    not_null.push_back(step.not_null_column);
  }
  std::vector<text_cell> parameters{std::to_string(plan.relation_oid),
                                    plan.relation,
                                    owner.statement,
                                    owner.role,
                                    owner.application,
                                    std::to_string(owner.backend_pid),
                                    array_of(kinds),
                                    array_of(sql),
                                    array_of(done),
                                    array_of(undo),
                                    array_of(not_null)};
  const auto made = co_await write(source, insert, std::move(parameters));
  if (!made) co_return made.error();
  co_return made->rows.empty() ? 0 : number<std::int64_t>(made->rows.front(), 0).value_or(0);
}

asio::awaitable<bool> record_step(querier& source, std::int64_t plan, std::size_t number,
                                  std::string_view state) {
  std::vector<text_cell> parameters{std::to_string(plan), std::to_string(number), std::string(state)};
  const auto marked = co_await write(source, mark_step, std::move(parameters));
  co_return marked.has_value();
}

asio::awaitable<bool> record_plan_state(querier& source, std::int64_t plan, std::string_view state) {
  std::vector<text_cell> parameters{std::to_string(plan), std::string(state)};
  const auto marked = co_await write(source, mark_plan, std::move(parameters));
  co_return marked.has_value();
}

asio::awaitable<std::optional<bool>> took_effect(querier& source, const std::string& probe) {
  const auto seen = co_await ask(source, probe);
  if (!seen || seen->rows.empty()) co_return std::nullopt;
  co_return truth(seen->rows.front(), 0);
}

}  // namespace tidegate::control
