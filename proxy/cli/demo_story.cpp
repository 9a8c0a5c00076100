#include "proxy/cli/demo_story.hpp"

#include "proxy/cli/application_load.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

namespace {

constexpr auto warm_up = std::chrono::milliseconds(700);
constexpr auto report_holds = std::chrono::seconds(3);
constexpr auto sampled_every = std::chrono::milliseconds(500);
constexpr std::string_view metric_prefix = "tidegate_";  // left out, so that the lines are short
constexpr std::size_t longest_metric = 95;

constexpr std::string_view add_check = "ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total > 0)";
constexpr std::string_view add_column = "ALTER TABLE orders ADD COLUMN note text";
constexpr std::string_view create_index = "CREATE INDEX orders_by_customer ON orders (customer)";

asio::awaitable<void> pause(nanoseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

void expect(bool kept, const std::string& promise) {
  if (!kept) throw std::runtime_error("the demo went wrong: " + promise);
}

std::string seconds_since(clock::time_point began) {
  const auto tenths =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

double rate(const application_load::sample& seen, nanoseconds during) {
  return static_cast<double>(seen.statements) / std::chrono::duration<double>(during).count();
}

asio::awaitable<std::string> read_metrics(std::string address, std::uint16_t port) {
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  const asio::ip::tcp::endpoint where(asio::ip::make_address(address), port);
  co_await socket.async_connect(where, asio::use_awaitable);
  http::request<http::empty_body> request(http::verb::get, "/metrics", 11);
  request.set(http::field::host, address);
  request.set(http::field::connection, "close");
  co_await http::async_write(socket, request, asio::use_awaitable);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  co_await http::async_read(socket, buffer, response, asio::use_awaitable);
  co_return std::move(response.body());
}

// How an ALTER went that met a long transaction.
struct encounter {
  double usual_rate = 1;  // statements of the application per second, before
  nanoseconds worst_wait{0};
  std::uint64_t errors = 0;
  sql_answer answer;
};

class story {
 public:
  story(screen& to, demo_places places, asio::any_io_executor executor)
      : to_(to),
        places_(std::move(places)),
        executor_(std::move(executor)),
        application_(executor_, gateway(demo_application, "shop web"), demo_rows),
        person_(executor_) {}

  asio::awaitable<void> tell() {
    co_await application_.start();
    co_await person_.connect(gateway(demo_owner, "psql"));
    co_await in_steps();
    co_await behind_a_report();
    co_await index();
    co_await metrics();
    how_to_go_on();
  }

 private:
  sql_address gateway(const char* user, const char* application) const {
    return {places_.address, places_.gateway_port, user, demo_database, application};
  }
  sql_address direct(const char* user, const char* application) const {
    return {places_.address, places_.server_port, user, demo_copy, application};
  }

  asio::awaitable<void> in_steps() {
    to_.chapter("1  An unsafe change is carried out in safe steps");
    application_.take();
    co_await run_shown(std::string(add_check));
    to_.blank();
    tell_worst_wait("meanwhile the application's worst wait was ", application_.take());
  }

  asio::awaitable<void> run_shown(std::string sql) {
    to_.statement(sql.ends_with(';') ? sql : sql + ";");
    sql_client::notice_handler on_notice = [this](const server_message& said) { to_.message(said, ""); };
    const sql_answer answer = co_await person_.run(sql, std::move(on_notice));
    if (answer.error) to_.message(*answer.error, sql);
    expect(!answer.error, "a safe statement failed");
    to_.command_tag(answer.command_tag);
  }

  asio::awaitable<void> behind_a_report() {
    to_.chapter("2  A harmless ALTER meets a long report");
    to_.paragraph(
        "ADD COLUMN needs its lock for a moment only. But a report has been reading the table, so the ALTER "
        "queues "
        "behind it, and everybody else queues behind the ALTER. First directly on the server, on a copy of "
        "the "
        "table, with the same load:");
    to_.blank();
    encounter without;
    {
      application_load other(executor_, direct(demo_application, "shop web"), demo_rows);
      co_await other.start();
      sql_client person(executor_);
      co_await person.connect(direct(demo_owner, "psql"));
      without = co_await meet(person, other, direct(demo_owner, "nightly report"));
    }
    expect(!without.answer.error, "the ALTER failed directly");

    to_.blank();
    to_.paragraph("Now the same through Tidegate:");
    to_.blank();
    const encounter with = co_await meet(person_, application_, gateway(demo_owner, "nightly report"));
    expect(!with.answer.error, "the guarded ALTER failed");
    expect(with.errors == 0, "the application met errors");

    to_.blank();
    to_.line("the application's worst wait", screen::tone::strong);
    const nanoseconds most = std::max(with.worst_wait, without.worst_wait);
    const auto share = [most](nanoseconds wait) {
      return static_cast<double>(wait.count()) / static_cast<double>(most.count());
    };
    to_.bar("directly", share(without.worst_wait), milliseconds(without.worst_wait), screen::tone::bad);
    to_.bar("through Tidegate", share(with.worst_wait), milliseconds(with.worst_wait), screen::tone::good);
    expect(with.worst_wait < without.worst_wait, "the application waited longer through the gateway");
  }

  // A report holds the table for a while, the ALTER comes, and the application is watched until both are
  // through.
  asio::awaitable<encounter> meet(sql_client& person, application_load& load, sql_address reporter) {
    using namespace asio::experimental::awaitable_operators;
    sql_client report(executor_);
    co_await report.connect(std::move(reporter));
    load.take();
    co_await pause(warm_up);
    encounter seen;
    seen.usual_rate = rate(load.take(), warm_up);
    co_await report.must_run("BEGIN");
    co_await report.must_run("SELECT count(*) FROM orders");
    bool is_over = false;
    to_.statement(std::string(add_column) + ";");
    auto reporting = hold(report);
    auto altering = alter(person, seen.answer, is_over);
    auto watching = watch(load, seen, is_over);
    co_await (std::move(reporting) && std::move(altering) && std::move(watching));
    co_return seen;
  }

  asio::awaitable<void> hold(sql_client& report) {
    co_await pause(report_holds);
    co_await report.must_run("COMMIT");
  }

  asio::awaitable<void> alter(sql_client& person, sql_answer& answer, bool& is_over) {
    sql_client::notice_handler on_notice = [this](const server_message& said) { to_.message(said, ""); };
    answer = co_await person.run(std::string(add_column), std::move(on_notice));
    if (answer.error)
      to_.message(*answer.error, add_column);
    else
      to_.command_tag(answer.command_tag);
    is_over = true;
  }

  asio::awaitable<void> watch(application_load& load, encounter& seen, const bool& is_over) {
    const auto began = clock::now();
    for (bool last = false; !last;) {
      last = is_over;  // once more behind the end
      const auto from = clock::now();
      co_await pause(sampled_every);
      const application_load::sample now = load.take();
      seen.worst_wait = std::max(seen.worst_wait, now.worst_wait);
      seen.errors += now.errors;
      const double reached = rate(now, clock::now() - from);
      const bool is_stalled = now.worst_wait > sampled_every / 2;
      to_.bar("application " + seconds_since(began), reached / std::max(seen.usual_rate, 1.0),
              grouped(static_cast<std::uint64_t>(reached)) + "/s, worst wait " + milliseconds(now.worst_wait),
              is_stalled ? screen::tone::bad : screen::tone::good);
    }
  }

  asio::awaitable<void> index() {
    to_.chapter("3  CREATE INDEX does not stop the writes");
    to_.paragraph("It would hold up every write until it is built. Tidegate carries it out CONCURRENTLY:");
    to_.blank();
    application_.take();
    co_await run_shown(std::string(create_index));
    to_.blank();
    tell_worst_wait("meanwhile the application's worst wait was ", application_.take());
  }

  void tell_worst_wait(std::string_view before, const application_load::sample& seen) {
    expect(seen.errors == 0, "the application met errors");
    to_.line(std::string(before) + milliseconds(seen.worst_wait), screen::tone::good);
  }

  asio::awaitable<void> metrics() {
    to_.chapter("4  All of it is measured");
    const std::string url =
        "http://" + places_.address + ":" + std::to_string(places_.http_port) + "/metrics";
    to_.line("$ curl -s " + url + " | sed -n 's/^" + std::string(metric_prefix) + "//p'",
             screen::tone::faint);
    // A statement is counted a moment after its answer has gone out, and the last was a rewritten one.
    std::string page;
    for (int tries = 0; tries < 20; ++tries) {
      page = co_await read_metrics(places_.address, places_.http_port);
      if (page.find("action=\"rewrite\"") != std::string::npos) break;
      co_await pause(std::chrono::milliseconds(50));
    }
    std::string_view rest = page;
    std::size_t shown = 0;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (!line.starts_with(metric_prefix)) continue;
      line.remove_prefix(metric_prefix.size());
      if (!is_worth_showing(line)) continue;
      to_.line(line, screen::tone::name);
      ++shown;
    }
    expect(shown != 0, "the metrics don't show it");
  }

  static bool is_worth_showing(std::string_view line) {
    constexpr std::array names = {
        "queries_total{",     "ddl_statements_total{",      "ddl_attempts_total{",
        "ddl_seconds_count{", "ddl_lock_held_seconds_sum{", "gate_held_statements_total{",
    };
    return line.size() <= longest_metric && !line.ends_with(" 0") &&
           std::ranges::any_of(names, [line](std::string_view name) { return line.starts_with(name); });
  }

  void how_to_go_on() {
    to_.chapter("To go on");
    to_.paragraph(
        "Your own database: copy the first configuration of README.md, `tidegate doctor --config FILE`, then "
        "`tidegate serve "
        "--config FILE` and point a connection string at it. Start with `policies: {mode: observe}`. What "
        "SQL files would "
        "meet: `tidegate check FILE`. To play on with these servers: `tidegate demo --keep`.");
  }

  screen& to_;
  demo_places places_;
  asio::any_io_executor executor_;
  application_load application_;
  sql_client person_;
};

}  // namespace

asio::awaitable<void> prepare_demo(sql_address server) {
  const std::string owner = demo_owner, application = demo_application, control = demo_control;
  const std::string database = demo_database, copy = demo_copy;
  const auto executor = co_await asio::this_coro::executor;
  sql_client admin(executor);
  co_await admin.connect(server);
  const std::vector<std::string> roles = {"CREATE ROLE " + owner + " LOGIN",
                                          "CREATE ROLE " + application + " LOGIN",
                                          "CREATE ROLE " + control + " LOGIN IN ROLE pg_monitor",
                                          "CREATE DATABASE " + database + " OWNER " + owner};
  for (const std::string& sql : roles) co_await admin.must_run(sql);
  {
    sql_client inside(executor);
    server.database = database;
    co_await inside.connect(server);
    const std::vector<std::string> table = {
        "CREATE SCHEMA IF NOT EXISTS public",
        "GRANT ALL ON SCHEMA public TO " + owner,
        "SET ROLE " + owner,
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer integer NOT NULL, total integer NOT NULL,"
        " status text NOT NULL, placed_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 90)",
        "INSERT INTO orders SELECT n, n % 20000, 1 + n % 1000, 'paid' FROM generate_series(1, " +
            std::to_string(demo_rows) + ") n",
        "GRANT SELECT, UPDATE ON orders TO " + application,
        "RESET ROLE",
        "VACUUM ANALYZE orders"};
    for (const std::string& sql : table) co_await inside.must_run(sql);
  }
  // The copy needs its model for itself, and a session that has said goodbye is gone a moment later.
  for (int tries = 1;; ++tries) {
    const std::string sql = "CREATE DATABASE " + copy + " TEMPLATE " + database + " OWNER " + owner;
    const sql_answer copied = co_await admin.run(sql);
    if (!copied.error) break;
    if (tries == 20) throw std::runtime_error(copied.error->message);
    co_await pause(std::chrono::milliseconds(50));
  }
}

asio::awaitable<void> tell_demo(screen& to, demo_places places) {
  story of(to, std::move(places), co_await asio::this_coro::executor);
  co_await of.tell();
}

}  // namespace tidegate::cli
