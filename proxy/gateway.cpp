#if defined(__GNUC__) && !defined(__clang__)
// gcc 12 under ASan: a false alarm inside boost::system::result when one is moved.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "proxy/gateway.hpp"

#include "policies/sql/parse.hpp"
#include "proxy/admin/console_state.hpp"
#include "proxy/admission.hpp"
#include "proxy/audit/audit_log.hpp"
#include "proxy/control/control_plane.hpp"
#include "proxy/control/ledger_writer.hpp"
#include "proxy/core/gate.hpp"
#include "proxy/core/new_relations.hpp"
#include "proxy/gateway_console.hpp"
#include "proxy/log/log.hpp"
#include "proxy/metrics/http_server.hpp"
#include "proxy/metrics/registry.hpp"
#include "proxy/net/acceptor.hpp"
#include "proxy/net/listener.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/runtime_settings.hpp"
#include "proxy/version.hpp"
#include "proxy/worker.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/resource.h>

namespace tidegate {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

// PBKDF2 of logins and the parsing of long statements.
constexpr std::size_t slow_threads = 2;

// Each takes a connection to its database.
constexpr std::size_t most_gates_shared = 64;

// At the end, for what the ledger has not written yet.
constexpr std::chrono::seconds patience_with_ledger{2};

std::array<std::byte, 32> random_key() {
  std::array<std::byte, 32> key{};
  std::random_device device;
  for (std::byte& b : key) b = static_cast<std::byte>(device());
  return key;
}

// Two descriptors per client: as many as the system allows us.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool needs_restart(const config::settings& before, const config::settings& after) {
  const auto same_place = [](const config::listen_settings& a, const config::listen_settings& b) {
    return a.address == b.address && a.port == b.port && a.socket == b.socket &&
           a.socket_mode == b.socket_mode;
  };
  return !std::equal(before.listen.begin(), before.listen.end(), after.listen.begin(), after.listen.end(),
                     same_place) ||
         before.http.enabled != after.http.enabled || before.http.address != after.http.address ||
         before.http.port != after.http.port || before.threads != after.threads ||
         before.relay != after.relay || before.peers.id != after.peers.id;
}

net::relay choose_relay(const config::settings& settings) {
  const config::relay_mode wanted = settings.relay;
  if (wanted == config::relay_mode::epoll) return net::relay::epoll;
  const std::string obstacle = net::io_uring_obstacle();
  if (obstacle.empty()) return net::relay::io_uring;
  if (wanted == config::relay_mode::io_uring)
    throw gateway_failure("relay: io_uring can't be had here: " + obstacle + "; write relay: auto, or epoll");
  log::info<"relay_without_io_uring">({{"why", obstacle}});
  return net::relay::epoll;
}

}  // namespace

class gateway::impl {
 public:
  impl(std::shared_ptr<const config::settings> settings, reloader reload)
      : settings_(std::move(settings)),
        reload_(std::move(reload)),
        registry_(std::string(version)),
        audit_(settings_->audit, registry_.process()),
        control_({}, hooks()),
        ledger_(control_, registry_.process()),
        cancels_(pool::identity_of(settings_->peers)),
        shared_{.settings = {},
                .control = control_,
                .gate = gate_,
                .new_relations = new_relations_,
                .cancels = cancels_,
                .audit = audit_,
                .ledger = ledger_,
                .metrics = registry_,
                .admin = console_state_},
        slow_work_(slow_threads),
        work_(main_.get_executor()),
        http_work_(http_.get_executor()),
        signals_(main_),
        console_(main_, workers_, console_hooks()) {
    shared_.settings.store(settings_);
    audit_.tell([this](const audit::audit_record& record) { console_state_.findings.add(record); });
    using metrics::metric;
    registry_.read_from(metric::connections_accepted_total,
                        [this] { return static_cast<double>(accept_counters_.accepted.load()); });
    registry_.read_from(metric::accept_errors_total, [this] {
      return static_cast<double>(accept_counters_.paused.load() + accept_counters_.failed.load());
    });
  }

  ~impl() { end(); }

  void start() {
    std::signal(SIGPIPE, SIG_IGN);
    // Before anybody can see that the gateway serves: from then on they may come.
    for (const int s : {SIGHUP, SIGTERM, SIGINT}) signals_.add(s);
    asio::co_spawn(main_, handle_signals(), asio::detached);
    sql::check_parser();
    raise_descriptor_limit();
    auto runtime = make_runtime(settings_, lookup(), slow_work_, mock_key_);
    if (!runtime) throw gateway_failure(runtime.error().why);
    runtime_.store(*runtime);
    if (const auto opened = listener_.open(main_, settings_->listen); !opened)
      throw gateway_failure(opened.error().why);
    if (settings_->http.enabled) {
      try {
        http_server_ = std::make_unique<metrics::http_server>(
            http_,
            asio::ip::tcp::endpoint(asio::ip::make_address(settings_->http.address), settings_->http.port),
            metrics::http_handlers{[this] { return registry_.render(); }, [this] { return readiness(); }});
      } catch (const boost::system::system_error& error) {
        throw gateway_failure("cannot serve metrics on " + settings_->http.address + ":" +
                              std::to_string(settings_->http.port) + ": " + error.code().message());
      }
    }
    const unsigned threads =
        settings_->threads != 0 ? settings_->threads : std::max(1u, std::thread::hardware_concurrency());
    relay_by_ = choose_relay(*settings_);
    for (unsigned i = 0; i < threads; ++i) {
      workers_.push_back(std::make_unique<worker>(shared_, runtime_, places_, slow_work_, registry_, console_,
                                                  all_pools_, relay_by_, accept_counters_));
    }
    for (const auto& w : workers_) all_pools_.push_back(&w->pools());
    gate_.on_open([this] {
      for (const auto& w : workers_) w->wake_held();
    });
    for (const auto& w : workers_) w->start();
    http_thread_ = std::thread([this] { http_.run(); });
    asio::co_spawn(main_, watch_databases(), asio::detached);
    asio::co_spawn(main_, housekeeping(), asio::detached);
    asio::co_spawn(main_, share_gates(), asio::detached);
    registry_.process().config_last_reload_timestamp.store(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
    for (const auto& w : workers_)
      w->accept(listener_.sockets(),
                [this, by = w.get()](net::accepted_connection client) { hand_over(std::move(client), *by); });
    for (const auto& bound : listener_.addresses()) log::info<"listening">({{"address", bound.address}});
    if (http_server_) log::info<"http_listening">({{"port", http_server_->local_endpoint().port()}});
    log::info<"started">({{"version", version},
                          {"threads", threads},
                          {"relay", relay_by_ == net::relay::io_uring ? "io_uring" : "epoll"}});
  }

  void run() {
    main_.run();
    end();
  }

  void stop() { main_.stop(); }

  std::vector<gateway::address> listening() const {
    std::vector<gateway::address> out;
    for (const auto& bound : listener_.addresses()) out.push_back({bound.address, bound.port});
    return out;
  }

  unsigned short http_port() const {
    return http_server_ ? http_server_->local_endpoint().port() : static_cast<unsigned short>(0);
  }

 private:
  control::control_plane_hooks hooks() {
    return {
        .on_connection = {},
        .on_error =
            [](const std::string& database, const control::sql_error& error) {
              log::warning<"control_connection_failed">(
                  {{"database", database}, {"sqlstate", error.sqlstate}});
            },
        .on_facts_read = {},
        .gate = {
            .close =
                [this](const std::string& database, std::vector<std::string> names,
                       core::gate::clock::time_point until) {
                  const auto most = clock::now() + shared_.settings.load()->locks.stall_budget;
                  return gate_.close(database, std::move(names), std::min(until, most));
                },
            .on_listener =
                [](const std::string& database, const control::sql_error& error) {
                  if (error.sqlstate.empty())
                    log::info<"gate_shared">({{"database", database}});
                  else
                    log::warning<"gate_not_shared">({{"database", database}, {"sqlstate", error.sqlstate}});
                },
            .on_unanswered =
                [](const std::string& database, std::size_t missing) {
                  log::warning<"gate_held_without_answer">({{"database", database}, {"gateways", missing}});
                }}};
  }

  gateway_console::hooks console_hooks() {
    return {.reload = [this] { return reload(); },
            .alter = [this](const admin::gateway_access::change& how) { return alter(how); },
            .shut_down = [this](admin::shutdown_kind how) { shut_down(how); },
            .is_draining = [this] { return registry_.process().is_draining.load(); }};
  }

  // To the worker with the fewest clients, the one who accepted before its equals. On that one's thread.
  void hand_over(net::accepted_connection client, worker& accepted_by) {
    const auto least = std::min_element(workers_.begin(), workers_.end(),
                                        [](const auto& a, const auto& b) { return a->load() < b->load(); });
    worker& to = accepted_by.load() <= (*least)->load() ? accepted_by : **least;
    to.take(std::move(client), places_.arrive(*shared_.settings.load()));
  }

  session::secret_lookup lookup() {
    return [this](
               std::string user,
               std::string) -> asio::awaitable<boost::system::result<std::optional<session::user_secret>>> {
      using result = boost::system::result<std::optional<session::user_secret>>;
      const auto settings = shared_.settings.load();
      if (!settings->auth.query) co_return result(std::nullopt);
      const config::auth_query_settings& query = *settings->auth.query;
      const config::database_settings* entry = config::find_database(*settings, query.database);
      if (entry == nullptr)
        co_return result(
            boost::system::errc::make_error_code(boost::system::errc::no_such_device_or_address));
      // The query's own user, never the client's settings: nothing a client sends applies to this connection.
      config::database_settings as_query = *entry;
      as_query.control.user = query.user;
      as_query.control.password = query.password;
      as_query.control.dbname = {};
      const auto target = control::control_target_of(as_query, query.database);
      std::vector<control::text_cell> parameters(1, user);
      const auto answer = co_await control_.query(*target, query.query, std::move(parameters));
      if (!answer)
        co_return result(boost::system::errc::make_error_code(boost::system::errc::host_unreachable));
      if (answer->rows.empty()) co_return result(std::nullopt);
      const control::text_row& row = answer->rows.front();
      co_return result(session::user_secret{control::text(row, 1), row.size() < 3 || control::truth(row, 2)});
    };
  }

  asio::awaitable<void> handle_signals() {
    for (;;) {
      boost::system::error_code error;
      const int signal = co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      if (signal == SIGHUP) {
        reload();
      } else if (draining_) {
        log::warning<"ended_at_once">({{"clients", places_.clients()}});
        main_.stop();
        co_return;
      } else {
        asio::co_spawn(main_, drain(), asio::detached);
      }
    }
  }

  // Empty, or why the old settings stay in force.
  std::string reload() {
    auto& process = registry_.process();
    try {
      if (!reload_) return "this gateway has no configuration file";
      auto fresh = reload_();
      auto runtime = make_runtime(fresh, lookup(), slow_work_, mock_key_);
      if (!runtime) throw gateway_failure(runtime.error().why);
      if (fresh->listen.size() != settings_->listen.size())
        throw gateway_failure("the number of listen entries can't change while serving");
      reload_logs(*fresh);
      if (needs_restart(*settings_, *fresh))
        log::warning<"reload_needs_restart">(
            {{"keys",
              "addresses of listen, http, threads, relay and peers.id take effect at the next start"}});
      settings_ = fresh;
      shared_.settings.store(fresh);
      runtime_.store(*runtime);
      shared_.pools.set_bounds(*fresh);
      process.config_reloads[metrics::reload_result::succeeded].add();
      process.config_last_reload_timestamp.store(std::chrono::duration_cast<std::chrono::seconds>(
                                                     std::chrono::system_clock::now().time_since_epoch())
                                                     .count());
      log::info<"reloaded">();
      return {};
    } catch (const std::exception& error) {
      process.config_reloads[metrics::reload_result::failed].add();
      log::error<"reload_failed">(
          {{"why", std::string_view(error.what())}, {"settings", "the old ones stay in force"}});
      return error.what();
    }
  }

  // SET of the admin console: holds until the next reload.
  std::string alter(const admin::gateway_access::change& how) {
    const auto fresh = std::make_shared<config::settings>(*settings_);
    if (std::string why = how(*fresh); !why.empty()) return why;
    auto runtime = make_runtime(fresh, lookup(), slow_work_, mock_key_);
    if (!runtime) return runtime.error().why;
    try {
      if (fresh->log.level != settings_->log.level) log::configure(fresh->log);
    } catch (const std::exception& error) {
      return error.what();
    }
    settings_ = fresh;
    shared_.settings.store(fresh);
    runtime_.store(*runtime);
    return {};
  }

  void shut_down(admin::shutdown_kind how) {
    switch (how) {
      case admin::shutdown_kind::at_once:
        log::warning<"ended_at_once">({{"clients", places_.clients()}});
        return main_.stop();
      case admin::shutdown_kind::drain:
        if (!draining_) asio::co_spawn(main_, drain(), asio::detached);
        return;
      case admin::shutdown_kind::wait_for_clients:
        asio::co_spawn(main_, end_with_last_client(), asio::detached);
        return;
    }
  }

  // Nobody new; those who are there may stay as long as they like. A signal still drains.
  asio::awaitable<void> end_with_last_client() {
    registry_.process().is_draining.store(true);
    log::info<"waiting_for_clients">({{"clients", places_.clients()}});
    listener_.stop();
    asio::steady_timer timer(main_);
    while (places_.clients() != 0) {
      timer.expires_after(std::chrono::milliseconds(50));
      co_await timer.async_wait(asio::use_awaitable);
    }
    main_.stop();
  }

  // Both logs take the new settings, or neither does.
  void reload_logs(const config::settings& fresh) {
    log::configure(fresh.log);
    try {
      audit_.configure(fresh.audit);
    } catch (...) {
      log::configure(settings_->log);
      throw;
    }
    log::reopen();
    audit_.reopen();
  }

  asio::awaitable<void> drain() {
    draining_ = true;
    registry_.process().is_draining.store(true);
    log::info<"draining">({{"clients", places_.clients()}});
    listener_.stop();
    for (const auto& w : workers_) w->drain();
    const auto limit = settings_->timeouts.shutdown;
    const auto until = limit.count() == 0 ? clock::time_point::max() : clock::now() + limit;
    asio::steady_timer timer(main_);
    while (places_.clients() != 0 && clock::now() < until) {
      timer.expires_after(std::chrono::milliseconds(20));
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (places_.clients() != 0) log::warning<"drain_timed_out">({{"clients", places_.clients()}});
    main_.stop();
  }

  // /readyz asks what was found out last: a scrape never waits for a database.
  asio::awaitable<void> watch_databases() {
    asio::steady_timer timer(main_);
    for (;;) {
      std::string missing;
      const auto settings = shared_.settings.load();
      for (const config::database_settings& database : settings->databases) {
        std::string name = database.name != "*"               ? database.name
                           : !database.control.dbname.empty() ? database.control.dbname
                                                              : "postgres";
        const auto target = control::control_target_of(database, name);
        if (!target) continue;
        const auto answer = co_await control_.query(*target, "SELECT 1");
        if (!answer) missing += "database " + name + ": " + answer.error().sqlstate + "\n";
      }
      {
        const std::lock_guard lock(readiness_mutex_);
        checked_ = true;
        missing_ = missing;
      }
      timer.expires_after(missing.empty() ? std::chrono::seconds(5) : std::chrono::seconds(1));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  asio::awaitable<void> housekeeping() {
    asio::steady_timer timer(main_);
    for (;;) {
      timer.expires_after(std::chrono::seconds(5));
      co_await timer.async_wait(asio::use_awaitable);
      log::report_suppressed();
      if (new_relations_.any()) new_relations_.expire(clock::now());
      console_state_.stats.tick(clock::now(), [this] { return registry_.totals(); });
    }
  }

  // A database's gate is shared with other gateways as long as it has clients here.
  asio::awaitable<void> share_gates() {
    asio::steady_timer timer(main_);
    for (;;) {
      std::map<control::control_target, std::vector<std::string>> served;
      const auto settings = shared_.settings.load();
      if (settings->locks.share_gate) {
        for (const std::string& name : places_.databases()) {
          const config::database_settings* entry = config::find_database(*settings, name);
          if (entry == nullptr) continue;
          if (auto target = control::control_target_of(*entry, name))
            served[std::move(*target)].push_back(name);
          if (served.size() >= most_gates_shared) break;
        }
      }
      std::vector<control::gate_sharing> databases;
      for (auto& [target, names] : served) databases.push_back({target, std::move(names)});
      control_.share_gates(std::move(databases));
      timer.expires_after(std::chrono::seconds(1));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  metrics::readiness readiness() {
    if (registry_.process().is_draining.load()) return {false, "draining\n"};
    const std::lock_guard lock(readiness_mutex_);
    if (!checked_) return {false, "starting\n"};
    return {missing_.empty(), missing_};
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    listener_.stop();
    for (const auto& w : workers_) w->stop();
    gate_.on_open({});  // nobody is left to be woken
    if (http_server_) http_server_->stop();
    http_.stop();
    if (http_thread_.joinable()) http_thread_.join();
    ledger_.flush(patience_with_ledger);
    control_.stop();
    slow_work_.join();
    audit_.flush();
    log::info<"stopped">();
    log::flush();
  }

  std::shared_ptr<const config::settings> settings_;
  reloader reload_;
  metrics::registry registry_;
  audit::audit_log audit_;
  control::control_plane control_;
  control::ledger_writer ledger_;
  core::gate gate_;
  admin::console_state console_state_{gate_};
  core::new_relations new_relations_;
  pool::cancel_registry cancels_;
  session::shared_services shared_;
  runtime_slot runtime_;
  admission places_;
  asio::thread_pool slow_work_;
  std::array<std::byte, 32> mock_key_ = random_key();
  asio::io_context main_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::io_context http_{1};
  asio::executor_work_guard<asio::io_context::executor_type> http_work_;
  asio::signal_set signals_;
  net::accept_counters accept_counters_;
  net::listener listener_;
  gateway_console console_;
  net::relay relay_by_ = net::relay::epoll;
  std::vector<pool::worker_pools*> all_pools_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::unique_ptr<metrics::http_server> http_server_;
  std::thread http_thread_;
  std::mutex readiness_mutex_;
  bool checked_ = false;
  std::string missing_;
  bool draining_ = false;
  bool ended_ = false;
};

gateway::gateway(std::shared_ptr<const config::settings> settings, reloader reload)
    : impl_(std::make_unique<impl>(std::move(settings), std::move(reload))) {}
gateway::~gateway() = default;
void gateway::start() {
  impl_->start();
}
void gateway::run() {
  impl_->run();
}
void gateway::stop() {
  impl_->stop();
}
std::vector<gateway::address> gateway::listening() const {
  return impl_->listening();
}
unsigned short gateway::http_port() const {
  return impl_->http_port();
}

}  // namespace tidegate
