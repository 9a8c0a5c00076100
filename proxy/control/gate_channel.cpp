#include "proxy/control/gate_channel.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::control {

namespace asio = boost::asio;

namespace {

constexpr std::string_view listener_name = "tidegate gate";
constexpr std::chrono::milliseconds patience{25};  // for answers; with the lock_timeout of an attempt well
                                                   // below the stall budget
constexpr std::chrono::milliseconds first_backoff{200};
constexpr std::chrono::milliseconds longest_backoff{30'000};
constexpr std::chrono::milliseconds probe_every{30'000};  // a connection that died silently is noticed
constexpr std::size_t most_held = 256;                    // closures of others at once

constexpr std::string_view count_others = R"sql(
SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS a
 WHERE a.datname = pg_catalog.current_database() AND a.usename = SESSION_USER
   AND a.application_name = $1 AND a.pid <> $2::pg_catalog.int4)sql";

// A commit of NOTIFY alone has nothing to make durable, and must not wait for a disk or a replica.
constexpr std::string_view notify =
    "SELECT pg_catalog.set_config('synchronous_commit', 'off', true), "
    "pg_catalog.pg_notify('tidegate_gate', $1)";

constexpr std::string_view of_our_role = R"sql(
SELECT a.pid FROM pg_catalog.pg_stat_activity AS a
 WHERE a.pid = ANY ($1::pg_catalog.int4[]) AND a.usename = SESSION_USER)sql";

command notification_of(std::string payload) {
  std::vector<text_cell> parameters(1, std::move(payload));
  return {.sql = std::string(notify), .parameters = std::move(parameters), .reused = true};
}

}  // namespace

gate_channel::gate_channel(asio::any_io_executor executor, control_target target, std::string gateway,
                           const gate_channel_hooks& hooks)
    : executor_(std::move(executor)),
      target_(std::move(target)),
      gateway_(std::move(gateway)),
      hooks_(hooks),
      listener_(executor_),
      pause_(executor_) {}

void gate_channel::start() {
  asio::co_spawn(executor_, listen(), asio::detached);
}

void gate_channel::stop() {
  stopped_ = true;
  listener_.interrupt();
  pause_.cancel();
  for (const auto& [id, waits] : unanswered_) waits->timer.cancel();
  held_.clear();
}

// ---- this gateway's own closures ----

asio::awaitable<std::string> gate_channel::close(querier& by, std::vector<std::string> names,
                                                 std::chrono::milliseconds hold) {
  const auto self = shared_from_this();
  std::vector<command> commands;
  std::vector<text_cell> who{std::string(listener_name), std::to_string(listener_.backend_pid())};
  commands.push_back({.sql = std::string(count_others), .parameters = std::move(who), .reused = true});
  const auto counted = co_await by.run(std::move(commands));
  if (!counted.front() || counted.front()->rows.empty()) co_return std::string();
  const auto others = number<std::size_t>(counted.front()->rows.front(), 0).value_or(0);
  if (others == 0 || stopped_) co_return std::string();

  const core::gate_close what{.id = gateway_ + "-" + std::to_string(++given_),
                              .hold = std::min(hold, core::longest_gate_hold),
                              .names = std::move(names)};
  std::vector<command> notices;
  for (std::string& payload : core::to_payloads(what)) notices.push_back(notification_of(std::move(payload)));
  if (notices.empty()) co_return std::string();
  expected waits{.timer = asio::steady_timer(executor_), .answers = others * notices.size()};
  const std::size_t payloads = notices.size();
  // Without a listener of its own the gateway hears no answers.
  const bool hears = listener_.is_open();
  waits.timer.expires_after(patience);
  if (hears) unanswered_.emplace(what.id, &waits);
  const auto sent = co_await by.run(std::move(notices));
  const bool all_sent =
      std::all_of(sent.begin(), sent.end(), [](const auto& one) { return one.has_value(); });
  if (hears && all_sent && waits.answers > 0 && !stopped_)
    co_await waits.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  unanswered_.erase(what.id);
  if (waits.answers > 0 && !stopped_ && hooks_.on_unanswered)
    hooks_.on_unanswered(target_.database, (waits.answers + payloads - 1) / payloads);
  co_return what.id;
}

asio::awaitable<void> gate_channel::open(querier& by, std::string id) {
  const auto self = shared_from_this();
  std::vector<command> commands;
  commands.push_back(notification_of(core::to_payload(core::gate_open{std::move(id)})));
  co_await by.run(std::move(commands));
}

// ---- the others' ----

asio::awaitable<void> gate_channel::listen() {
  const auto self = shared_from_this();
  control_target target = target_;
  target.settings.application_name = listener_name;
  std::chrono::milliseconds backoff = first_backoff;
  while (!stopped_) {
    outcome<void> listens = co_await listener_.connect(target);
    if (listens) {
      std::vector<command> commands;
      commands.push_back({.sql = "LISTEN tidegate_gate"});
      const auto answers = co_await listener_.run(std::move(commands));
      if (!answers.front()) listens = answers.front().error();
    }
    if (stopped_) break;
    if (hooks_.on_listener) hooks_.on_listener(target_.database, listens ? sql_error() : listens.error());
    if (listens) {
      backoff = first_backoff;
      co_await follow();
    }
    listener_.close();
    held_.clear();
    if (stopped_) break;
    pause_.expires_after(backoff);
    co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
    backoff = std::min(backoff * 2, longest_backoff);
  }
  listener_.close();
}

// Until the connection is lost.
asio::awaitable<void> gate_channel::follow() {
  while (!stopped_) {
    auto wake = clock::now() + probe_every;
    for (const auto& [id, one] : held_) wake = std::min(wake, one.until);
    const auto at_most = std::chrono::ceil<std::chrono::milliseconds>(wake - clock::now());
    const auto got = co_await listener_.notifications(std::max(at_most, std::chrono::milliseconds(1)));
    if (!got) co_return;
    drop_expired();
    if (got->empty() && at_most >= probe_every) {
      std::vector<command> commands;
      commands.push_back({.sql = "SELECT 1"});
      co_await listener_.run(std::move(commands));
    }
    std::vector<request> requests = take(*got);
    if (!requests.empty()) co_await hold(std::move(requests));
  }
}

// What is done at once; what is to be held is given back.
std::vector<gate_channel::request> gate_channel::take(
    const std::vector<pg_connection::notification>& notices) {
  std::vector<request> requests;
  for (const pg_connection::notification& notice : notices) {
    auto what = core::parse_gate_notice(notice.payload);
    if (!what) continue;
    if (const auto* answer = std::get_if<core::gate_closed>(&*what)) {
      const auto waits = unanswered_.find(answer->id);
      if (waits == unanswered_.end() || waits->second->answers == 0) continue;
      if (--waits->second->answers == 0) waits->second->timer.cancel();
    } else if (const auto* opened = std::get_if<core::gate_open>(&*what)) {
      held_.erase(opened->id);
      std::erase_if(requests, [&](const request& each) { return each.what.id == opened->id; });
    } else if (auto* close = std::get_if<core::gate_close>(&*what); close != nullptr && !is_ours(close->id)) {
      requests.push_back({std::move(*close), notice.sender});
    }
  }
  return requests;
}

// One question, however many a stranger has sent.
asio::awaitable<void> gate_channel::hold(std::vector<request> requests) {
  std::set<std::int32_t> senders;
  for (const request& each : requests) senders.insert(each.sender);
  std::vector<command> question;
  std::vector<text_cell> pids(1, array_literal(senders));
  question.push_back({.sql = std::string(of_our_role), .parameters = std::move(pids), .reused = true});
  const auto known = co_await listener_.run(std::move(question));
  if (stopped_ || !known.front()) co_return;
  std::set<std::int32_t> believed;
  for (const text_row& row : known.front()->rows)
    if (const auto pid = number<std::int32_t>(row, 0)) believed.insert(*pid);

  std::vector<command> answers;
  for (request& each : requests) {
    if (!believed.contains(each.sender) || held_.size() >= most_held) continue;
    held one{.closures = {}, .until = clock::now() + each.what.hold};
    for (const std::string& database : databases_)
      one.closures.push_back(hooks_.close(database, each.what.names, one.until));
    held_.emplace(each.what.id, std::move(one));
    answers.push_back(notification_of(core::to_payload(core::gate_closed{each.what.id})));
  }
  if (!answers.empty()) co_await listener_.run(std::move(answers));
}

void gate_channel::drop_expired() {
  const auto now = clock::now();
  std::erase_if(held_, [now](const auto& each) { return each.second.until <= now; });
}

bool gate_channel::is_ours(const std::string& id) const {
  return id.size() > gateway_.size() && id.starts_with(gateway_) && id[gateway_.size()] == '-';
}

}  // namespace tidegate::control
