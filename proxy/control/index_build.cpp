#include "proxy/control/index_build.hpp"

#include "policies/sql/quote.hpp"

#include <string_view>
#include <utility>

namespace tidegate::control {

namespace asio = boost::asio;

namespace {

constexpr std::string_view progress_of = R"sql(
SELECT p.command, p.phase, tn.nspname, tc.relname, xn.nspname, xc.relname,
       CASE WHEN p.tuples_total > 0 THEN p.tuples_done::pg_catalog.float8 / p.tuples_total
            WHEN p.blocks_total > 0 THEN p.blocks_done::pg_catalog.float8 / p.blocks_total END,
       p.lockers_done, p.lockers_total, p.current_locker_pid
  FROM pg_catalog.pg_stat_progress_create_index AS p
  LEFT JOIN pg_catalog.pg_class AS tc ON tc.oid = p.relid
  LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = tc.relnamespace
  LEFT JOIN pg_catalog.pg_class AS xc ON xc.oid = p.index_relid
  LEFT JOIN pg_catalog.pg_namespace AS xn ON xn.oid = xc.relnamespace
 WHERE p.pid = $1::pg_catalog.int4)sql";

// Whoever builds an index concurrently holds SHARE UPDATE EXCLUSIVE on its table all the time, and shows
// itself in the progress view only to roles with pg_read_all_stats: without that right a lock by somebody
// else is enough.
constexpr std::string_view state_columns = R"sql(
SELECT i.indexrelid, i.indrelid, n.nspname, c.relname, tn.nspname, tc.relname, i.indisvalid, i.indisready,
       i.indislive, i.indisunique, c.relname ~ '_cc(new|old)[0-9]*$',
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid)
         OR EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                     WHERE l.locktype = 'relation' AND l.relation = i.indexrelid AND l.granted
                       AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock')
                       AND EXISTS (SELECT FROM pg_catalog.pg_locks AS t
                                    WHERE t.pid = l.pid AND t.locktype = 'relation' AND t.relation = i.indrelid
                                      AND t.granted AND t.mode = 'ShareUpdateExclusiveLock'))
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS tc ON tc.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS tn ON tn.oid = tc.relnamespace)sql";
constexpr std::string_view by_name =
    " WHERE n.nspname = $1::pg_catalog.name AND c.relname = $2::pg_catalog.name";
constexpr std::string_view invalid_of_table =
    " WHERE i.indrelid = $1::pg_catalog.oid AND NOT i.indisvalid ORDER BY c.relname";

std::string full_name(const text_row& row, std::size_t schema_column) {
  if (text(row, schema_column + 1).empty()) return {};
  return sql::quote_name(
      {.database = {}, .schema = text(row, schema_column), .name = text(row, schema_column + 1)});
}

index_state decode_state(const text_row& row) {
  index_state state;
  state.oid = number<std::uint32_t>(row, 0).value_or(0);
  state.table_oid = number<std::uint32_t>(row, 1).value_or(0);
  state.schema = text(row, 2);
  state.name = text(row, 3);
  state.table = full_name(row, 4);
  state.valid = truth(row, 6);
  state.ready = truth(row, 7);
  state.live = truth(row, 8);
  state.unique = truth(row, 9);
  state.concurrent_leftover = truth(row, 10);
  state.being_built = truth(row, 11);
  return state;
}

// One question about the object of the first parameter and, when given, of the second.
asio::awaitable<outcome<text_rows>> ask(querier& source, std::string sql, std::string first,
                                        std::optional<std::string> second = std::nullopt) {
  command question;
  question.sql = std::move(sql);
  question.parameters.emplace_back(std::move(first));
  if (second) question.parameters.push_back(std::move(second));
  question.reused = true;
  std::vector<command> commands(1, std::move(question));
  auto outcomes = co_await source.run(std::move(commands));
  if (!outcomes.front()) co_return outcomes.front().error();
  co_return std::move(outcomes.front()->rows);
}

}  // namespace

asio::awaitable<outcome<std::optional<index_build_progress>>> read_index_build_progress(querier& source,
                                                                                        std::int32_t pid) {
  const outcome<text_rows> rows = co_await ask(source, std::string(progress_of), std::to_string(pid));
  if (!rows) co_return rows.error();
  std::optional<index_build_progress> progress;
  if (!rows->empty()) {
    const text_row& row = rows->front();
    progress.emplace();
    progress->command = text(row, 0);
    progress->phase = text(row, 1);
    progress->relation = full_name(row, 2);
    progress->index = full_name(row, 4);
    progress->done = number<double>(row, 6);
    progress->lockers_done = number<std::int64_t>(row, 7).value_or(0);
    progress->lockers_total = number<std::int64_t>(row, 8).value_or(0);
    progress->waits_for_pid = number<std::int32_t>(row, 9).value_or(0);
  }
  co_return progress;
}

asio::awaitable<outcome<std::optional<index_state>>> find_index(querier& source, std::string schema,
                                                                std::string name) {
  const outcome<text_rows> rows = co_await ask(source, std::string(state_columns) + std::string(by_name),
                                               std::move(schema), std::move(name));
  if (!rows) co_return rows.error();
  std::optional<index_state> state;
  if (!rows->empty()) state = decode_state(rows->front());
  co_return state;
}

asio::awaitable<outcome<std::vector<index_state>>> invalid_indexes(querier& source, std::uint32_t table_oid) {
  const outcome<text_rows> rows = co_await ask(
      source, std::string(state_columns) + std::string(invalid_of_table), std::to_string(table_oid));
  if (!rows) co_return rows.error();
  std::vector<index_state> states;
  for (const text_row& row : *rows) states.push_back(decode_state(row));
  co_return states;
}

}  // namespace tidegate::control
