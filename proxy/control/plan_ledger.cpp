#include "proxy/control/plan_ledger.hpp"

#include "proxy/control/gateway_schema.hpp"

#include <utility>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

constexpr std::string_view definitions = R"sql(
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
    PRIMARY KEY (plan, number));)sql";

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

std::vector<std::string> tables() {
  return {"plan", "step"};
}

}  // namespace

std::string_view as_written_down(std::string_view statement) {
  constexpr std::string_view blanks = " \t\r\n;";
  const auto begin = statement.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return statement.substr(begin, statement.find_last_not_of(blanks) + 1 - begin);
}

asio::awaitable<outcome<std::optional<interrupted_plan>>> find_interrupted_plan(
    querier& source, std::uint32_t relation, const std::string& statement) {
  std::vector<std::string> needed = tables();
  const auto there = co_await find_standing(source, std::move(needed));
  if (!there) co_return there.error();
  if (*there != standing::ours) co_return std::optional<interrupted_plan>{};
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
  std::string with(definitions);
  std::vector<std::string> needed = tables();
  const auto obstacle = co_await make_ready(source, std::move(needed), std::move(with));
  if (obstacle) co_return *obstacle;
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
                                    text_array(kinds),
                                    text_array(sql),
                                    text_array(done),
                                    text_array(undo),
                                    text_array(not_null)};
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
