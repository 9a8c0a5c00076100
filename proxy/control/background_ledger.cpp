#include "proxy/control/background_ledger.hpp"

#include "proxy/control/gateway_schema.hpp"

#include <array>
#include <utility>
#include <vector>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

constexpr std::string_view definitions = R"sql(
  CREATE TABLE IF NOT EXISTS tidegate.background (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement text NOT NULL,
    role text NOT NULL,
    application text NOT NULL,
    transaction bigint,
    state text NOT NULL CHECK (state IN ('deferred', 'withdrawn', 'queued', 'running', 'done', 'stopped', 'failed')),
    backend_pid int,
    sqlstate text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    asked timestamptz NOT NULL DEFAULT pg_catalog.now(),
    begun timestamptz,
    ended timestamptz);)sql";

constexpr std::string_view insert = R"sql(
INSERT INTO tidegate.background (statement, role, application, transaction, state)
VALUES ($1, $2, $3, $4::pg_catalog.int8, $5) RETURNING id)sql";

constexpr std::string_view update = R"sql(
UPDATE tidegate.background
   SET state = $2, backend_pid = coalesce(nullif($3::pg_catalog.int4, 0), backend_pid), sqlstate = $4, message = $5,
       begun = CASE WHEN $2 = 'running' THEN coalesce(begun, pg_catalog.clock_timestamp()) ELSE begun END,
       ended = CASE WHEN $2 NOT IN ('queued', 'running') THEN pg_catalog.clock_timestamp() END
 WHERE id = $1::pg_catalog.int8)sql";

constexpr auto words = std::to_array<std::string_view>(
    {"deferred", "withdrawn", "queued", "running", "done", "stopped", "failed"});

}  // namespace

std::string_view word(background_state state) {
  return words.at(static_cast<std::size_t>(state));
}

asio::awaitable<outcome<std::int64_t>> record_background(querier& source, const background_entry& entry) {
  std::string with(definitions);
  std::vector<std::string> needed(1, "background");
  const auto obstacle = co_await make_ready(source, std::move(needed), std::move(with));
  if (obstacle) co_return *obstacle;
  const bool waits = entry.transaction != 0;
  std::vector<text_cell> parameters{
      entry.statement, entry.role, entry.application,
      waits ? text_cell(std::to_string(entry.transaction)) : text_cell(),
      std::string(word(waits ? background_state::deferred : background_state::queued))};
  const auto made = co_await write(source, insert, std::move(parameters));
  if (!made) co_return made.error();
  co_return made->rows.empty() ? 0 : number<std::int64_t>(made->rows.front(), 0).value_or(0);
}

asio::awaitable<bool> record_background_news(querier& source, std::int64_t id, const background_news& news) {
  std::vector<text_cell> parameters{std::to_string(id), std::string(word(news.state)),
                                    std::to_string(news.backend_pid), news.sqlstate, news.message};
  const auto written = co_await write(source, update, std::move(parameters));
  co_return written.has_value();
}

}  // namespace tidegate::control
