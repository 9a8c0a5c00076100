#include "proxy/admin/console_commands.hpp"

#include "protocol/sqlstate.hpp"
#include "proxy/admin/runtime_keys.hpp"
#include "proxy/log/log.hpp"
#include "proxy/version.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::admin {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using clock = std::chrono::steady_clock;
using session::report;

// What drivers and load balancers ask a server for.
constexpr auto server_settings = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"client_encoding", "UTF8"},
    {"server_encoding", "UTF8"},
    {"datestyle", "ISO"},
    {"timezone", "UTC"},
    {"standard_conforming_strings", "on"},
    {"default_transaction_isolation", "read committed"},
    {"transaction_isolation", "read committed"},
    {"transaction_read_only", "off"},
    {"default_transaction_read_only", "off"},
    {"in_hot_standby", "off"},
});

// Drivers set these after login; they change nothing here.
constexpr auto ignored_settings = std::to_array<std::string_view>(
    {"application_name", "bytea_output", "client_encoding", "client_min_messages", "datestyle",
     "extra_float_digits", "idle_in_transaction_session_timeout", "intervalstyle", "lock_timeout",
     "search_path", "standard_conforming_strings", "statement_timeout", "timezone"});

// PAUSE gives up after this when there is no timeouts.query_wait.
constexpr std::chrono::hours longest_pause{1};

// SHOW LEDGER asks so many databases at most, for so many rows each, and waits no longer.
constexpr std::size_t most_ledgers = 16;
constexpr std::size_t most_ledger_rows = 50;
constexpr std::chrono::seconds patience_with_ledgers{5};

report problem(std::string_view state, std::string message, std::string detail = {}, std::string hint = {}) {
  return {.sqlstate = std::string(state),
          .message = std::move(message),
          .detail = std::move(detail),
          .hint = std::move(hint)};
}

std::string topic_list() {
  std::string out;
  for (const topic& each : topics()) out += (out.empty() ? "" : ", ") + std::string(each.name);
  return out;
}

std::string changeable_list() {
  std::string out;
  for (const runtime_key& key : runtime_keys()) {
    if (key.set != nullptr) out += (out.empty() ? "" : ", ") + std::string(key.name);
  }
  return out;
}

const std::pair<std::string_view, std::string_view>* find_server_setting(std::string_view name) {
  const auto found =
      std::ranges::find(server_settings, name, &std::pair<std::string_view, std::string_view>::first);
  return found == server_settings.end() ? nullptr : &*found;
}

// What the ledgers answer, each when it can. All on the console's thread.
struct ledger_answers {
  std::vector<ledger_line> lines;
  std::set<std::string> missing;
  std::vector<std::pair<std::string, control::sql_error>> failed;
  std::weak_ptr<asio::steady_timer> waiting;
};

asio::awaitable<void> ask_ledger(control::control_plane& plane, control::control_target target,
                                 std::string database, std::shared_ptr<ledger_answers> into) {
  const auto source = plane.querier_for(std::move(target));
  auto rows = co_await control::read_ledger(*source, most_ledger_rows);
  if (rows) {
    for (auto& row : *rows) into->lines.push_back({database, std::move(row)});
  } else {
    into->failed.emplace_back(database, rows.error());
  }
  into->missing.erase(database);
  if (!into->missing.empty()) co_return;
  if (const auto timer = into->waiting.lock()) timer->cancel();
}

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

rights rights_of(const config::settings& settings, const std::string& user) {
  if (is_among(settings.admin.users, user)) return rights::change;
  return is_among(settings.admin.stats_users, user) ? rights::look : rights::none;
}

console_commands::console_commands(session::shared_services& shared, gateway_access& gateway, caller who,
                                   std::function<bool()> interrupted)
    : shared_(shared), gateway_(gateway), who_(std::move(who)), interrupted_(std::move(interrupted)) {}

console_commands::outcome console_commands::check(const command& c) const {
  if (c.what == verb::show && find_topic(c.name) == nullptr && find_server_setting(c.name) == nullptr)
    return problem(sqlstate::syntax_error, "there is no \"" + c.name + "\" to show", {},
                   "Topics: " + topic_list() + ".");
  return std::nullopt;
}

std::vector<column> console_commands::shape_of(const command& c) const {
  if (c.what == verb::select)
    return {{c.name, c.expression == selected::number ? column_type::int4 : column_type::text}};
  if (c.what != verb::show) return {};
  if (const topic* shown = find_topic(c.name)) return {shown->shape.begin(), shown->shape.end()};
  return {{c.name}};
}

asio::awaitable<command_result> console_commands::run(command c) {
  const auto began = clock::now();
  command_result result;
  const rights may = rights_of(*shared_.settings.load(), who_.user);
  if (may == rights::none || (may == rights::look && !only_looks(c))) {
    result.error =
        problem(sqlstate::insufficient_privilege, "permission denied for " + std::string(tag_of(c)),
                "User \"" + who_.user + "\" is not among admin.users.");
  } else if (auto wrong = check(c)) {
    result.error = std::move(wrong);
  } else {
    result = co_await carry_out(c);
  }
  if (!only_looks(c)) tell(c, result, began);
  if (!result.error) result.tag = tag_of(c);
  co_return result;
}

asio::awaitable<command_result> console_commands::carry_out(const command& c) {
  command_result result;
  database_switches& switches = shared_.admin.switches;
  const std::string database = c.what == verb::show                   ? c.value
                               : c.what == verb::set || only_looks(c) ? std::string()
                                                                      : c.name;
  if (auto wrong = unknown_database(database)) {
    result.error = std::move(wrong);
    co_return result;
  }
  switch (c.what) {
    case verb::show:
    case verb::select:
      result = co_await show(c);
      break;
    case verb::pause:
      result.error = co_await pause(c.name);
      break;
    case verb::resume:
      if (!switches.resume(c.name))
        result.error =
            problem(sqlstate::object_not_in_prerequisite_state,
                    c.name.empty() ? "nothing is paused" : "database \"" + c.name + "\" is not paused",
                    switches.is_all_paused() ? "All databases are paused together." : "",
                    switches.is_all_paused() ? "RESUME without a name." : "");
      break;
    case verb::disable:
      switches.disable(c.name);
      break;
    case verb::enable:
      switches.enable(c.name);
      break;
    case verb::kill:
      switches.pause(c.name);  // new clients wait for RESUME
      result.error = co_await end_sessions(c.name, false);
      break;
    case verb::reconnect:
      result.error = co_await end_sessions(c.name, true);
      break;
    case verb::kill_client:
      result.error = co_await kill_client(c.value);
      break;
    case verb::reload:
      result.error = co_await reload();
      break;
    case verb::set:
      result.error = co_await set(c, result.notices);
      break;
    case verb::shutdown:
      result.shut_down = c.value.empty()                 ? shutdown_kind::at_once
                         : c.value == "wait_for_clients" ? shutdown_kind::wait_for_clients
                                                         : shutdown_kind::drain;
      break;
    case verb::begin:
    case verb::commit:
    case verb::rollback:
    case verb::discard:
      break;
  }
  co_return result;
}

// ---- looking ----

std::string console_commands::select(const command& c) const {
  switch (c.expression) {
    case selected::version:
      return "Tidegate " + std::string(version);
    case selected::user:
      return who_.user;
    case selected::database:
      return who_.database;
    case selected::number:
    case selected::text:
      break;
  }
  return c.value;
}

asio::awaitable<command_result> console_commands::show(const command& c) {
  command_result result;
  if (c.what == verb::select) {
    result.table.push_back(make_row(select(c)));
    co_return result;
  }
  const topic* shown = find_topic(c.name);
  if (shown == nullptr) {
    result.table.push_back(make_row(std::string(find_server_setting(c.name)->second)));
    co_return result;
  }
  overview all;
  const bool complete = co_await gather(all);
  if (!complete)
    result.notices.push_back(
        problem("01000", "a thread did not answer in time: its clients are missing here"));
  if (shown->name == "ledger") co_await gather_ledgers(c.value, all, result.notices);
  result.table = shown->make(all);
  co_return result;
}

// Of one database, or of those that are configured by name or have had clients.
asio::awaitable<void> console_commands::gather_ledgers(const std::string& only, overview& into,
                                                       std::vector<report>& notices) {
  std::set<std::string> names;
  if (!only.empty()) {
    names.insert(only);
  } else {
    for (const auto& entry : into.settings->databases)
      if (entry.name != "*") names.insert(entry.name);
    for (const auto& client : into.sessions.clients) names.insert(client.database);
    for (const auto& each : into.stats) names.insert(each.total.database);
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto timer = std::make_shared<asio::steady_timer>(executor, patience_with_ledgers);
  const auto found = std::make_shared<ledger_answers>();
  found->waiting = timer;
  std::vector<std::pair<std::string, control::control_target>> targets;
  for (const std::string& name : names) {
    const config::database_settings* entry = config::find_database(*into.settings, name);
    if (entry == nullptr || config::is_console(*into.settings, name)) continue;
    auto target = control::control_target_of(*entry, name);
    if (target && targets.size() < most_ledgers) targets.emplace_back(name, std::move(*target));
  }
  for (const auto& [name, target] : targets) found->missing.insert(name);
  for (auto& [name, target] : targets)
    asio::co_spawn(executor, ask_ledger(shared_.control, std::move(target), name, found), asio::detached);
  boost::system::error_code ignored;
  if (!targets.empty()) co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  into.ledger = std::exchange(found->lines, {});
  for (const auto& [name, error] : found->failed)
    if (!only.empty() || error.sqlstate != sqlstate::object_not_in_prerequisite_state)
      notices.push_back(problem("01000", "the ledger of " + name + " can't be read: " + error.message));
  for (const std::string& name : found->missing)
    notices.push_back(problem("01000", "the ledger of " + name + " did not come in time"));
}

asio::awaitable<bool> console_commands::gather(overview& into) {
  struct collected {
    std::mutex mutex;
    worker_snapshot all;
  };
  const auto found = std::make_shared<collected>();
  gateway_access::question ask = [found](worker_access& worker) {
    worker_snapshot own;
    worker.report(own);
    const std::lock_guard lock(found->mutex);
    found->all.add(std::move(own));
  };
  const bool complete = co_await gateway_.on_every_worker(std::move(ask));
  {
    const std::lock_guard lock(found->mutex);
    into.sessions = std::move(found->all);
  }
  const console_state& state = shared_.admin;
  into.settings = shared_.settings.load();
  into.stats = state.stats.stats(shared_.metrics.totals(), clock::now());
  into.findings = state.findings.list();
  into.ddl = state.ddl.list();
  into.statements = shared_.statements.rows();
  into.usage = metrics::read_process_usage();
  into.is_paused = [&state](std::string_view database) { return state.switches.is_paused(database); };
  into.is_disabled = [&state](std::string_view database) { return state.switches.is_disabled(database); };
  into.all_paused = state.switches.is_all_paused();
  into.draining = gateway_.is_draining();
  co_return complete;
}

// ---- changing ----

console_commands::outcome console_commands::unknown_database(const std::string& database) const {
  if (database.empty()) return std::nullopt;
  const auto settings = shared_.settings.load();
  if (config::is_console(*settings, database))
    return problem(sqlstate::object_not_in_prerequisite_state,
                   "the admin console itself can't be stopped by this");
  if (config::find_database(*settings, database) == nullptr)
    return problem(sqlstate::invalid_catalog_name, "database \"" + database + "\" is not configured",
                   "The configuration has neither an entry for it nor \"*\" under databases.");
  return std::nullopt;
}

// None: some worker has not answered.
asio::awaitable<std::optional<unsigned>> console_commands::count_busy(const std::string& database) {
  const auto count = std::make_shared<std::atomic<unsigned>>(0);
  gateway_access::question ask = [count, database](worker_access& worker) {
    count->fetch_add(worker.busy_sessions(database));
  };
  const bool complete = co_await gateway_.on_every_worker(std::move(ask));
  std::optional<unsigned> out;
  if (complete) out = count->load();
  co_return out;
}

// A PAUSE that does not get there leaves nothing paused behind.
asio::awaitable<console_commands::outcome> console_commands::pause(const std::string& database) {
  database_switches& switches = shared_.admin.switches;
  if (!switches.pause(database))
    co_return problem(sqlstate::object_not_in_prerequisite_state, "already paused", {},
                      "RESUME takes it back.");
  const auto limit = shared_.settings.load()->timeouts.query_wait;
  const auto until =
      clock::now() + (limit.count() != 0 ? clock::duration(limit) : clock::duration(longest_pause));
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer again(executor);
  for (;;) {
    const std::optional<unsigned> busy = co_await count_busy(database);
    if (busy && *busy == 0) co_return std::nullopt;
    if (interrupted_()) {
      switches.resume(database);
      co_return problem(sqlstate::query_canceled, "canceling PAUSE due to user request",
                        "Nothing is paused by it.");
    }
    if (clock::now() >= until) {
      switches.resume(database);
      co_return problem(sqlstate::lock_not_available,
                        std::to_string(busy.value_or(0)) + " clients did not end their transactions in time",
                        "timeouts.query_wait is how long PAUSE waits. Nothing is paused by it.",
                        "SHOW CLIENTS has them; KILL_CLIENT ends one, KILL all.");
    }
    again.expires_after(std::chrono::milliseconds(50));
    co_await again.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<console_commands::outcome> console_commands::end_sessions(const std::string& database,
                                                                          bool at_rest) {
  gateway_access::question ask = [database, at_rest](worker_access& worker) {
    if (at_rest)
      worker.end_sessions_at_rest(database);
    else
      worker.end_sessions(database);
  };
  co_await gateway_.on_every_worker(std::move(ask));
  co_return std::nullopt;
}

asio::awaitable<console_commands::outcome> console_commands::kill_client(const std::string& id) {
  // "c12" is what SHOW CLIENTS has in its column ptr.
  const std::string_view digits = std::string_view(id).substr(id.starts_with('c') ? 1 : 0);
  std::uint64_t wanted = 0;
  const auto [stopped, error] = std::from_chars(digits.data(), digits.data() + digits.size(), wanted);
  if (error != std::errc() || stopped != digits.data() + digits.size())
    co_return problem(sqlstate::invalid_parameter_value, "\"" + id + "\" is no id of a client", {},
                      "SHOW CLIENTS has it in its column id.");
  const auto found = std::make_shared<std::atomic<bool>>(false);
  gateway_access::question ask = [found, wanted](worker_access& worker) {
    if (worker.end_session(wanted)) found->store(true);
  };
  co_await gateway_.on_every_worker(std::move(ask));
  if (found->load()) co_return std::nullopt;
  co_return problem(sqlstate::undefined_object, "there is no client " + id);
}

asio::awaitable<console_commands::outcome> console_commands::reload() {
  const std::string why = co_await gateway_.reload();
  if (why.empty()) co_return std::nullopt;
  co_return problem(sqlstate::config_file_error,
                    "the configuration was not reloaded: the old one stays in force", why);
}

asio::awaitable<console_commands::outcome> console_commands::set(const command& c,
                                                                 std::vector<report>& notices) {
  const runtime_key* key = find_runtime_key(c.name);
  if (key == nullptr) {
    if (std::ranges::find(ignored_settings, c.name) != ignored_settings.end()) {
      notices.push_back(
          problem(sqlstate::successful_completion, c.name + " means nothing to the admin console"));
      co_return std::nullopt;
    }
    co_return problem(sqlstate::undefined_object, "there is no setting \"" + c.name + "\"", {},
                      "SET can change " + changeable_list() + ".");
  }
  if (key->set == nullptr)
    co_return problem(sqlstate::cant_change_runtime_param, c.name + " can't be changed by SET",
                      "It is read from the configuration file, at a reload or at the start.",
                      "SET can change " + changeable_list() + ".");
  gateway_access::change how = [key, value = c.value](config::settings& settings) {
    const std::string right = key->set(settings, value);
    return right.empty() ? right : "It takes " + right + ".";
  };
  const std::string why = co_await gateway_.alter(std::move(how));
  if (why.empty()) co_return std::nullopt;
  co_return problem(sqlstate::invalid_parameter_value, c.name + " can't be set to \"" + c.value + "\"", why);
}

void console_commands::tell(const command& c, const command_result& result, clock::time_point began) const {
  const std::string text = to_text(c);
  const std::string state = result.error ? result.error->sqlstate : std::string();
  log::info<"console_command">(
      {{"command", text}, {"user", who_.user}, {"client", who_.client}, {"sqlstate", state}});
  audit::audit_record record;
  record.time = std::chrono::system_clock::now();
  record.client = who_.client;
  record.database = who_.database;
  record.user = who_.user;
  record.application_name = who_.application;
  record.statement = text;
  record.action = audit::action_taken::commanded;
  record.result = result.error ? audit::outcome::failed : audit::outcome::succeeded;
  record.sqlstate = state;
  record.duration = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began);
  shared_.audit.record(record);
}

}  // namespace tidegate::admin
