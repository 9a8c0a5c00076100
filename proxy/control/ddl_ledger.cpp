#include "proxy/control/ddl_ledger.hpp"

#include "proxy/control/gateway_schema.hpp"
#include "proxy/log/json.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

constexpr std::size_t longest_statement = 8 * 1024;
constexpr std::size_t longest_undo = 16 * 1024;
constexpr std::size_t longest_text = 1024;
constexpr std::size_t most_items = 64;  // of a list

constexpr auto outcome_words =
    std::to_array<std::string_view>({"done", "prepared", "stopped", "failed", "unknown"});

constexpr std::string_view definitions = R"sql(
  CREATE TABLE IF NOT EXISTS tidegate.ddl (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun timestamptz NOT NULL,
    duration interval NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'prepared', 'stopped', 'failed', 'unknown')),
    login text NOT NULL,
    role text NOT NULL,
    application text NOT NULL,
    client text NOT NULL,
    backend_pid int NOT NULL,
    statement text NOT NULL,
    command text NOT NULL,
    tags jsonb NOT NULL,
    findings text[] NOT NULL,
    verdict text NOT NULL,
    action text NOT NULL,
    plan bigint,
    attempts int NOT NULL,
    lock_wait interval NOT NULL,
    in_transaction boolean NOT NULL,
    locks text[] NOT NULL,
    relations text[] NOT NULL,
    undo text,
    lost text,
    why_not text);)sql";

constexpr std::string_view insert = R"sql(
INSERT INTO tidegate.ddl (begun, duration, outcome, login, role, application, client, backend_pid, statement, command,
                          tags, findings, verdict, action, plan, attempts, lock_wait, in_transaction, locks, relations,
                          undo, lost, why_not)
VALUES (pg_catalog.to_timestamp($1::pg_catalog.float8), pg_catalog.make_interval(secs => $2::pg_catalog.float8), $3, $4, $5,
        $6, $7, $8::pg_catalog.int4, $9, $10, $11::pg_catalog.jsonb, $12::pg_catalog.text[], $13, $14,
        NULLIF($15::pg_catalog.int8, 0), $16::pg_catalog.int4, pg_catalog.make_interval(secs => $17::pg_catalog.float8),
        $18::pg_catalog.bool, $19::pg_catalog.text[], $20::pg_catalog.text[], NULLIF($21, ''), NULLIF($22, ''),
        NULLIF($23, '')))sql";

constexpr std::string_view columns = R"sql(
SELECT d.id, pg_catalog.to_char(d.begun AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS" UTC"'),
       pg_catalog.to_char(EXTRACT(epoch FROM d.duration), 'FM999999990.000'), d.outcome, d.login, d.role,
       d.application, d.client, d.statement, d.command, pg_catalog.array_to_string(d.findings, ', '), d.action, d.plan,
       pg_catalog.array_to_string(d.locks, ', '), d.undo, d.lost, d.why_not
  FROM tidegate.ddl AS d )sql";

constexpr std::string_view step_undo = R"sql(
SELECT s.undo FROM tidegate.step AS s JOIN tidegate.plan AS p ON p.id = s.plan
 WHERE p.id = $1::pg_catalog.int8 AND p.state IN ('running', 'stopped') AND s.state = 'done' AND s.undo <> ''
 ORDER BY s.number DESC)sql";

// Valid UTF-8 without zero bytes. What is none becomes a question mark, which every database can hold.
std::string clean(std::string_view text, std::size_t longest) {
  std::string out;
  text = log::utf8_prefix(text, longest);
  while (!text.empty()) {
    const std::size_t length = log::utf8_length(text);
    if (length == 0)
      out += '?';
    else if (text.front() != '\0')
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string list(const std::vector<std::string>& texts) {
  std::vector<std::string> cleaned;
  for (std::size_t i = 0; i < texts.size() && i < most_items; ++i)
    cleaned.push_back(clean(texts[i], longest_text));
  return text_array(cleaned);
}

std::string object(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out = "{";
  for (std::size_t i = 0; i < members.size() && i < most_items; ++i) {
    if (i != 0) out += ',';
    log::append_json_string(out, clean(members[i].first, longest_text));
    out += ':';
    log::append_json_string(out, clean(members[i].second, longest_text));
  }
  return out + "}";
}

std::string seconds(std::chrono::microseconds time) {
  return std::to_string(static_cast<double>(time.count()) / 1e6);
}

std::vector<text_cell> parameters_of(const ddl_entry& e) {
  // Half an undo would be another statement.
  const bool too_long = e.undo.sql.size() > longest_undo;
  return {seconds(std::chrono::duration_cast<std::chrono::microseconds>(e.begun.time_since_epoch())),
          seconds(e.duration),
          std::string(word(e.outcome)),
          clean(e.login, longest_text),
          clean(e.role, longest_text),
          clean(e.application, longest_text),
          e.client,
          std::to_string(e.backend_pid),
          clean(e.statement, longest_statement),
          e.command,
          object(e.tags),
          list(e.findings),
          e.verdict,
          e.action,
          std::to_string(e.plan),
          std::to_string(e.attempts),
          seconds(e.lock_wait),
          e.in_transaction ? "true" : "false",
          list(e.locks),
          list(e.relations),
          too_long ? std::string() : e.undo.sql,
          too_long ? std::string() : e.undo.lost,
          too_long ? std::string("it is too long") : e.undo.why_not};
}

ledger_row decode(const text_row& row) {
  return {.id = number<std::int64_t>(row, 0).value_or(0),
          .begun = text(row, 1),
          .duration = text(row, 2),
          .outcome = text(row, 3),
          .login = text(row, 4),
          .role = text(row, 5),
          .application = text(row, 6),
          .client = text(row, 7),
          .statement = text(row, 8),
          .command = text(row, 9),
          .findings = text(row, 10),
          .action = text(row, 11),
          .plan = number<std::int64_t>(row, 12).value_or(0),
          .locks = text(row, 13),
          .undo = text(row, 14),
          .lost = text(row, 15),
          .why_not = text(row, 16)};
}

asio::awaitable<outcome<std::vector<ledger_row>>> read(querier& source, std::string behind,
                                                       std::vector<text_cell> parameters) {
  std::string sql(columns);
  sql += behind;
  const auto found = co_await ask(source, sql, std::move(parameters));
  if (!found) co_return found.error();
  std::vector<ledger_row> rows;
  for (const text_row& row : found->rows) rows.push_back(decode(row));
  co_return rows;
}

// Nothing where the ledger is there and nobody but its owner can have written it.
asio::awaitable<std::optional<sql_error>> obstacle(querier& source) {
  std::vector<std::string> needed{"ddl"};
  const auto there = co_await find_standing(source, std::move(needed));
  if (!there) co_return there.error();
  if (*there == standing::ours) co_return std::nullopt;
  co_return sql_error("55000",
                      *there == standing::absent
                          ? "the database has no ledger (table tidegate.ddl) yet"
                          : "schema tidegate, or a table in it, belongs to another role than the one "
                            "that asks or is open to others");
}

}  // namespace

std::string_view word(ddl_outcome outcome) {
  return outcome_words[static_cast<std::size_t>(outcome)];
}

std::size_t memory_of(const ddl_entry& e) {
  std::size_t bytes = sizeof e;
  for (const std::string* text : {&e.login, &e.role, &e.application, &e.client, &e.statement, &e.command,
                                  &e.verdict, &e.action, &e.undo.sql, &e.undo.lost, &e.undo.why_not})
    bytes += text->size();
  for (const auto& [name, value] : e.tags) bytes += sizeof name + sizeof value + name.size() + value.size();
  for (const auto* texts : {&e.findings, &e.locks, &e.relations, &e.undo.objects})
    for (const std::string& text : *texts) bytes += sizeof text + text.size();
  return bytes;
}

asio::awaitable<std::vector<outcome<query_result>>> record_ddl(querier& source,
                                                               const std::vector<ddl_entry>& entries) {
  std::vector<std::string> needed{"ddl"};
  std::string with(definitions);
  const auto why_not = co_await make_ready(source, std::move(needed), std::move(with));
  if (why_not) co_return std::vector<outcome<query_result>>(entries.size(), *why_not);
  std::vector<command> commands;
  for (const ddl_entry& entry : entries) {
    command each;
    each.sql = insert;
    each.parameters = parameters_of(entry);
    commands.push_back(std::move(each));
  }
  co_return co_await write(source, std::move(commands));
}

asio::awaitable<outcome<std::vector<ledger_row>>> read_ledger(querier& source, std::size_t most) {
  const auto why_not = co_await obstacle(source);
  if (why_not) co_return *why_not;
  std::string newest = "ORDER BY d.id DESC LIMIT " + std::to_string(most);
  std::vector<text_cell> none;
  co_return co_await read(source, std::move(newest), std::move(none));
}

asio::awaitable<outcome<ledger_answer>> find_in_ledger(querier& source, std::int64_t id) {
  const auto why_not = co_await obstacle(source);
  if (why_not) co_return *why_not;
  ledger_answer answer;
  std::vector<text_cell> one{std::to_string(id)};
  std::string by_id = "WHERE d.id = $1::pg_catalog.int8";
  auto row = co_await read(source, std::move(by_id), one);
  if (!row) co_return row.error();
  answer.row = std::move(*row);
  std::string since =
      "JOIN tidegate.ddl AS o ON o.id = $1::pg_catalog.int8 WHERE d.id > o.id AND d.relations && o.relations "
      "ORDER BY d.id LIMIT 20";
  auto later = co_await read(source, std::move(since), std::move(one));
  if (!later) co_return later.error();
  answer.later = std::move(*later);
  if (answer.row.empty() || answer.row.front().plan == 0 || answer.row.front().outcome != "stopped")
    co_return answer;
  std::vector<text_cell> plan{std::to_string(answer.row.front().plan)};
  const auto steps = co_await ask(source, step_undo, std::move(plan));
  if (!steps) co_return steps.error();
  for (const text_row& step : steps->rows) answer.step_undo.push_back(text(step, 0));
  co_return answer;
}

}  // namespace tidegate::control
