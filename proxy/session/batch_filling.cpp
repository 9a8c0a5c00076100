#include "proxy/session/batch_filling.hpp"

#include "protocol/sqlstate.hpp"
#include "proxy/control/blockers.hpp"
#include "proxy/control/replica_lag.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace tidegate::session {
namespace {

namespace sqlstate = protocol::sqlstate;

// Rows that move to another place while a pass walks by (an update without a key, a changed key) are found by
// the next one. A default that is NULL for some rows would never end it.
constexpr int most_passes = 5;
constexpr std::chrono::seconds notice_every{2};
constexpr std::chrono::milliseconds feel_every{500};
constexpr std::uint64_t enough_statements = 20;  // to say how long one takes

std::int64_t number_in(const own_answer& answer) {
  std::int64_t value = 0;
  for (const auto& rows : answer.rows) {
    if (rows.empty() || rows.front().empty()) continue;
    const std::string text = control::text(rows.front(), 0);
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return value;
}

void append(std::vector<std::string>& to, const std::optional<std::vector<std::string>>& more) {
  if (more) to.insert(to.end(), more->begin(), more->end());
}

bool is_collision(std::string_view state) {
  return state == sqlstate::lock_not_available || state == sqlstate::deadlock_detected ||
         state == sqlstate::serialization_failure;
}

}  // namespace

batch_filling::batch_filling(client_session& session, server_dialogue& server, const policies::filling& what,
                             std::string full_name, std::uint32_t table_oid)
    : session_(session),
      server_(server),
      what_(what),
      full_name_(std::move(full_name)),
      table_oid_(table_oid) {}

boost::asio::awaitable<batch_filling::end> batch_filling::run() {
  began_ = told_ = felt_ = clock::now();
  slowdown();
  for (int passes = 0; passes < most_passes; ++passes) {
    filled_ = seen_ = 0;
    const auto ended = co_await pass();
    if (ended) co_return *ended;
    if (filled_ == 0) break;
  }
  co_return end::filled;
}

// All rows once. None: to its end.
boost::asio::awaitable<std::optional<batch_filling::end>> batch_filling::pass() {
  if (what_.key.empty()) {
    std::vector<std::string> table{std::to_string(table_oid_)};
    const auto pages = co_await ask(policies::pages_query(), std::move(table));
    if (!pages) co_return end::session_ended;
    if (!pages->ok()) co_return fail(*pages);
    const std::int64_t count = number_in(*pages);
    const double rows_per_page =
        std::max(1.0, what_.rows / static_cast<double>(std::max<std::int64_t>(count, 1)));
    for (std::int64_t page = 0; page < count;) {
      const auto size = std::max<std::int64_t>(
          1, static_cast<std::int64_t>(static_cast<double>(pace_.size()) / rows_per_page));
      const std::optional<key> from = key{std::to_string(page)};
      const std::optional<key> to = key{std::to_string(page + size)};
      const auto ended = co_await batch(from, to);
      if (ended) co_return ended;
      page += size;
      seen_ += static_cast<std::int64_t>(static_cast<double>(size) * rows_per_page);
    }
    co_return std::nullopt;
  }
  std::optional<key> from;
  for (;;) {
    const std::int64_t size = pace_.size();
    std::vector<std::string> parameters{std::to_string(size - 1)};
    append(parameters, from);
    const auto found =
        co_await ask(policies::batch_end_query(what_, from.has_value()), std::move(parameters));
    if (!found) co_return end::session_ended;
    if (!found->ok()) co_return fail(*found);
    std::optional<key> to;
    for (const auto& rows : found->rows) {
      if (rows.empty() || rows.front().size() != what_.key.size()) continue;
      to.emplace();
      for (std::size_t i = 0; i < what_.key.size(); ++i) to->push_back(control::text(rows.front(), i));
    }
    const auto ended = co_await batch(from, to);
    if (ended) co_return ended;
    if (!to) co_return std::nullopt;
    seen_ += size;
    from = std::move(to);
  }
}

// Fills one batch, as often as it takes. None: done, go on.
boost::asio::awaitable<std::optional<batch_filling::end>> batch_filling::batch(const std::optional<key>& from,
                                                                               const std::optional<key>& to) {
  const bool begun = from.has_value();
  const bool ends = to.has_value();
  for (;;) {
    if (session_.client_gone() || session_.cancel_requested()) co_return end::cancelled;
    const auto same = co_await is_still(server_, full_name_, table_oid_);
    if (!same) co_return end::session_ended;
    if (!*same) co_return end::replaced;
    std::vector<std::string> parameters;
    append(parameters, from);
    append(parameters, to);
    const auto started = clock::now();
    const auto filled = co_await ask(policies::batch_query(what_, begun, ends), std::move(parameters));
    if (!filled) co_return end::session_ended;
    std::chrono::milliseconds rest;
    const bool good = filled->ok();
    if (good) {
      filled_ += number_in(*filled);
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - started);
      const core::strain felt = co_await feel();
      rest = pace_.finished(took, felt);
    } else if (is_collision(filled->sqlstate)) {
      rest = pace_.collided();
    } else {
      co_return fail(*filled);
    }
    tell(clock::now());
    const bool rested = co_await session_.pause(rest);
    if (!rested) co_return end::cancelled;
    while (good && pace_.must_wait(strain_)) {
      felt_ = {};
      co_await feel();
      const bool waited = co_await session_.pause(pace_.lag_pause());
      if (!waited) co_return end::cancelled;
      tell(clock::now());
    }
    if (good) co_return std::nullopt;
  }
}

// One transaction. Nothing but an index is walked by, whatever the planner thinks of the numbers: a batch
// that read the whole table would take as long each time. Row security that would hide rows is an error.
boost::asio::awaitable<std::optional<own_answer>> batch_filling::ask(std::string sql,
                                                                     std::vector<std::string> parameters) {
  std::vector<own_statement> statements;
  statements.push_back({"BEGIN"});
  statements.push_back({"SET LOCAL enable_seqscan = off"});
  statements.push_back({"SET LOCAL jit = off"});
  statements.push_back({"SET LOCAL row_security = off"});
  statements.push_back({"SET LOCAL lock_timeout = '1s'"});
  statements.push_back({std::move(sql), std::move(parameters)});
  statements.push_back({"COMMIT"});
  auto answer = co_await server_.run(std::move(statements), dialogue_end::sync);
  if (!answer) co_return std::nullopt;
  if (!answer->ok() && server_.status() != 'I') {
    const auto back = co_await server_.run_sql(dialogue_end::sync, "ROLLBACK");
    if (!back) co_return std::nullopt;
  }
  co_return answer;
}

// What others feel of it, looked at now and then.
boost::asio::awaitable<core::strain> batch_filling::feel() {
  const auto now = clock::now();
  if (now - felt_ < feel_every) co_return strain_;
  felt_ = now;
  strain_.slowdown = slowdown();
  if (session_.control()) {
    const auto source = session_.on().shared.control.querier_for(*session_.control());
    strain_.replica_lag = co_await control::replica_lag(*source);
  }
  co_return strain_;
}

// How long the application's statements take on this thread now, of how long they took before.
double batch_filling::slowdown() {
  const auto& seconds = session_.metrics().database->query_seconds;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < seconds.buckets; ++i) count += seconds.count(i);
  const double sum = seconds.sum();
  if (count - statements_ < enough_statements) return strain_.slowdown;
  const double now = (sum - statement_seconds_) / static_cast<double>(count - statements_);
  statements_ = count;
  statement_seconds_ = sum;
  if (usual_ == 0) {
    usual_ = now;
    return 1.0;
  }
  return usual_ > 0 ? now / usual_ : 1.0;
}

void batch_filling::tell(clock::time_point now) {
  if (now - told_ < notice_every) return;
  told_ = now;
  std::string message = "filling " + what_.column + " of " + what_.table + ": ";
  if (what_.rows > 0) {
    const double done = std::min(static_cast<double>(seen_) / what_.rows, 0.99);
    message += std::to_string(static_cast<int>(done * 100)) + " %";
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
    if (done > 0.01)
      message += ", about " +
                 control::human_duration(std::chrono::milliseconds(
                     static_cast<std::int64_t>(static_cast<double>(passed.count()) * (1 - done) / done))) +
                 " left";
  } else {
    message += std::to_string(seen_) + " rows";
  }
  if (pace_.must_wait(strain_))
    message += " (waiting for a replica that is " + control::human_duration(strain_.replica_lag) + " behind)";
  session_.send_to_client(notice(said(std::move(message))));
}

batch_filling::end batch_filling::fail(const own_answer& answer) {
  error_ = {.error = answer.error, .sqlstate = answer.sqlstate};
  return end::failed;
}

}  // namespace tidegate::session
