#include "proxy/cli/demo.hpp"

#include "policies/sql/parse.hpp"
#include "proxy/cli/application_load.hpp"
#include "proxy/cli/demo_story.hpp"
#include "proxy/cli/embedded_gateway.hpp"
#include "proxy/cli/screen.hpp"
#include "proxy/cli/throwaway_postgres.hpp"
#include "proxy/log/log.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

std::shared_ptr<const config::settings> settings_for(const throwaway_postgres& server,
                                                     const fs::path& folder) {
  config::settings made;
  config::listen_settings listen;
  listen.port = 0;
  made.listen.push_back(listen);
  made.http.port = 0;
  config::auth_rule roles_of_the_demo;
  roles_of_the_demo.users = {demo_owner, demo_application};
  roles_of_the_demo.method = config::auth_method::trust;
  made.auth.rules.push_back(std::move(roles_of_the_demo));
  config::database_settings database;
  database.name = demo_database;
  database.host = server.socket_folder().string();
  database.port = server.port();
  database.control.user = demo_control;
  made.databases.push_back(std::move(database));
  made.limits.parse_bytes = sql::parse_limit_bytes;
  made.log.level = config::log_level::warning;
  made.log.file = (folder / "tidegate.log").string();
  made.audit.target = config::audit_target::file;
  made.audit.file = (folder / "audit.jsonl").string();
  return std::make_shared<const config::settings>(std::move(made));
}

class demo {
 public:
  demo(const demo_options& options, std::ostream& out)
      : options_(options),
        to_(out, options.coloured),
        server_(find_or_fail(), folder_.path(), {demo_owner, demo_application}) {}

  // True when it was told to the end, false when a signal came first.
  bool run() {
    bool told = false;
    std::exception_ptr failed;
    // Ends before what its coroutines refer to.
    asio::io_context context(1);
    asio::signal_set signals(context, SIGINT, SIGTERM, SIGHUP);
    signals.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
    asio::co_spawn(context, tell(), [&](std::exception_ptr thrown) {
      failed = thrown;
      told = !thrown;
      if (thrown || !options_.keep) context.stop();
    });
    context.run();
    if (failed) std::rethrow_exception(failed);
    return told;
  }

 private:
  static fs::path find_or_fail() {
    const char* const search_path = std::getenv("PATH");
    const auto found = find_postgres("/usr/lib/postgresql", search_path != nullptr ? search_path : "");
    if (!found)
      throw std::runtime_error(
          "PostgreSQL's server is not installed: neither /usr/lib/postgresql/*/bin nor PATH has initdb and "
          "postgres.\n"
          "On Debian: apt-get install postgresql");
    return *found;
  }

  asio::awaitable<void> tell() {
    const auto began = std::chrono::steady_clock::now();
    to_.title("Tidegate: point a connection string at it, and no schema change takes the database down");
    to_.blank();
    to_.line("starting a throwaway PostgreSQL", screen::tone::faint);
    co_await server_.start();
    const sql_address by_socket{.host = server_.socket_folder().string(),
                                .port = server_.port(),
                                .user = std::string(throwaway_postgres::superuser),
                                .database = "postgres",
                                .application = "tidegate demo"};
    to_.line("filling the table orders with " + grouped(demo_rows) + " rows", screen::tone::faint);
    co_await prepare_demo(by_socket);
    const auto settings = settings_for(server_, folder_.path());
    log::configure(settings->log);
    gateway_ = std::make_unique<embedded_gateway>(settings);
    to_.line("Tidegate on 127.0.0.1:" + std::to_string(gateway_->port()) +
                 " in front of PostgreSQL on 127.0.0.1:" + std::to_string(server_.port()),
             screen::tone::faint);
    to_.line("an application of " + std::to_string(application_load::clients) + " clients works through it",
             screen::tone::faint);
    demo_places places;
    places.server = by_socket;
    places.server_port = server_.port();
    places.gateway_port = gateway_->port();
    places.http_port = gateway_->http_port();
    co_await tell_demo(to_, std::move(places));
    to_.blank();
    const auto took =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
    to_.line("told in " + std::to_string(took.count()) + " s", screen::tone::faint);
    if (options_.keep) tell_addresses();
  }

  void tell_addresses() {
    const auto uri = [](std::uint16_t port, const char* database) {
      return "postgresql://" + std::string(demo_owner) + "@127.0.0.1:" + std::to_string(port) + "/" +
             database;
    };
    to_.chapter("Still running, until Ctrl-C");
    to_.line("through Tidegate   psql " + uri(gateway_->port(), demo_database));
    to_.line("directly           psql " + uri(server_.port(), demo_copy));
    to_.line("metrics            http://127.0.0.1:" + std::to_string(gateway_->http_port()) + "/metrics");
    to_.line("audit log          " + (folder_.path() / "audit.jsonl").string());
  }

  // In the order in which they are made; ended the other way round.
  demo_options options_;
  screen to_;
  // Others can enter it, but not list it.
  scratch_folder folder_{"tidegate-demo", fs::perms::group_exec | fs::perms::others_exec};
  throwaway_postgres server_;
  std::unique_ptr<embedded_gateway> gateway_;
};

}  // namespace

int run_demo(const demo_options& options, std::ostream& out, std::ostream& err) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    bool told = false;
    {
      demo of(options, out);
      told = of.run();
    }
    if (!told) out << "\n   ended by a signal; nothing is left behind\n" << std::flush;
    return 0;
  } catch (const std::exception& error) {
    err << "tidegate: " << error.what() << '\n';
    return 3;
  }
}

}  // namespace tidegate::cli
