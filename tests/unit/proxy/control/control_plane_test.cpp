#include "proxy/control/control_plane.hpp"

#include "tests/unit/proxy/control/test_server.hpp"

#include <atomic>
#include <thread>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::control {
namespace {

using test::test_server;
using test::test_session;
using test::wait_for;
namespace asio = boost::asio;

control_target silent_target(const asio::ip::tcp::acceptor& silent) {
  control_target target = test_server::instance().target();
  target.settings.port = silent.local_endpoint().port();
  return target;
}

TEST(control_plane, callers_are_resumed_on_their_own_executor) {
  asio::io_context context;  // outlives the plane
  control_plane plane;
  const auto here = std::this_thread::get_id();
  const auto work = [&]() -> asio::awaitable<bool> {
    const auto answer = co_await plane.query(test_server::instance().target(), "SELECT 1");
    co_return answer && answer->rows == text_rows{{"1"}} && std::this_thread::get_id() == here;
  };
  EXPECT_TRUE(wait_for(context, work()));
}

TEST(control_plane, connections_to_a_database_stay_bounded_and_all_callers_are_served) {
  asio::io_context context;  // outlives the plane
  control_plane plane;
  std::atomic<int> served = 0;
  const auto work = [&]() -> asio::awaitable<void> {
    const auto answer = co_await plane.query(test_server::instance().target(), "SELECT pg_sleep(0.01)");
    if (answer) ++served;
  };
  for (int i = 0; i < 20; ++i) asio::co_spawn(context, work(), asio::detached);
  context.run();
  EXPECT_EQ(served, 20);
  const auto states = wait_for(context, plane.state());
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].connections, 2U);
  EXPECT_EQ(states[0].waiting, 0U);
  EXPECT_EQ(states[0].queries, 20U);
  EXPECT_EQ(states[0].errors, 0U);
}

TEST(control_plane, a_full_queue_refuses) {
  asio::io_context context;  // outlives the plane
  control_plane_limits limits;
  limits.connections_per_database = 1;
  limits.queue_per_database = 2;
  control_plane plane(limits);
  int served = 0, refused = 0;
  const auto work = [&]() -> asio::awaitable<void> {
    const auto answer = co_await plane.query(test_server::instance().target(), "SELECT pg_sleep(0.05)");
    if (answer)
      ++served;
    else if (answer.error().sqlstate == failure::overloaded)
      ++refused;
  };
  for (int i = 0; i < 6; ++i) asio::co_spawn(context, work(), asio::detached);
  context.run();
  EXPECT_EQ(served, 3);
  EXPECT_EQ(refused, 3);
}

TEST(control_plane, a_connection_that_died_while_idle_is_replaced_unnoticed) {
  asio::io_context context;  // outlives the plane
  int errors = 0;
  control_plane plane({}, {.on_connection = {},
                           .on_error = [&](const std::string&, const sql_error&) { ++errors; },
                           .on_facts_read = {}});
  const auto first =
      wait_for(context, plane.query(test_server::instance().target(), "SELECT pg_backend_pid()"));
  ASSERT_TRUE(first);
  test_session killer(test_server::instance().writer());
  killer.execute("SELECT pg_terminate_backend(" + text(first->rows[0], 0) + ")");
  const auto second =
      wait_for(context, plane.query(test_server::instance().target(), "SELECT pg_backend_pid()"));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_NE(second->rows, first->rows);
}

TEST(control_plane, a_server_that_is_down_fails_at_once_until_the_backoff_is_over) {
  asio::io_context context;  // outlives the plane
  control_target target = test_server::instance().target();
  {
    asio::ip::tcp::acceptor gone(context, {asio::ip::make_address("127.0.0.1"), 0});
    target.settings.port = gone.local_endpoint().port();
  }
  control_plane plane;
  for (int i = 0; i < 3; ++i) {
    const auto answer = wait_for(context, plane.query(target, "SELECT 1"));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().sqlstate, failure::connection);
  }
  const auto states = wait_for(context, plane.state());
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].connections, 0U);
  EXPECT_NE(states[0].last_error, "");
  EXPECT_EQ(states[0].errors, 1U);  // one attempt; the others were told of it
}

TEST(control_plane, stop_releases_those_who_wait) {
  asio::io_context context;  // outlives the plane
  asio::ip::tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
  control_plane plane;
  std::vector<std::string> failures;
  const auto work = [&]() -> asio::awaitable<void> {
    const auto answer = co_await plane.query(silent_target(silent), "SELECT 1");
    if (!answer) failures.push_back(answer.error().sqlstate);
  };
  for (int i = 0; i < 4; ++i) asio::co_spawn(context, work(), asio::detached);
  context.poll();
  plane.stop();
  context.run();
  EXPECT_THAT(failures, testing::Each(std::string(failure::shutdown)));
  EXPECT_EQ(failures.size(), 4U);
  const auto late = wait_for(context, plane.query(silent_target(silent), "SELECT 1"));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().sqlstate, failure::shutdown);
}

TEST(control_plane, idle_connections_are_closed) {
  asio::io_context context;  // outlives the plane
  std::atomic<int> open = 0;
  control_plane_limits limits;
  limits.idle_after = std::chrono::milliseconds(20);
  control_plane plane(limits, {.on_connection = [&](const std::string&, bool up) { open += up ? 1 : -1; },
                               .on_error = {},
                               .on_facts_read = {}});
  ASSERT_TRUE(wait_for(context, plane.query(test_server::instance().target(), "SELECT 1")));
  while (!wait_for(context, plane.state()).empty()) std::this_thread::yield();
  EXPECT_EQ(open, 0);
}

TEST(control_plane, too_many_databases_evict_the_one_idle_longest) {
  asio::io_context context;  // outlives the plane
  control_plane_limits limits;
  limits.databases = 1;
  control_plane plane(limits);
  ASSERT_TRUE(wait_for(context, plane.query(test_server::instance().target("postgres"), "SELECT 1")));
  ASSERT_TRUE(wait_for(context, plane.query(test_server::instance().target("template1"), "SELECT 1")));
  const auto states = wait_for(context, plane.state());
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].database, "template1");
}

TEST(control_plane, facts_are_read_on_the_control_thread) {
  asio::io_context context;  // outlives the plane
  std::atomic<std::int64_t> took = 0;
  control_plane plane(
      {}, {.on_connection = {},
           .on_error = {},
           .on_facts_read = [&](const std::string&, std::chrono::nanoseconds t) { took = t.count(); }});
  policies::fact_request request;
  request.relations.push_back({.database = {}, .schema = "pg_catalog", .name = "pg_class"});
  const auto query = make_resolution_query(request);
  test_session client(test_server::instance().target());
  const auto names = decode_resolution(
      request, client.execute(query.sql, {query.parameters.begin(), query.parameters.end()}));
  ASSERT_TRUE(names);
  const auto read = wait_for(context, plane.read_facts(test_server::instance().target(), request, *names));
  EXPECT_EQ(read.lacked, "");
  EXPECT_TRUE(read.snapshot.relation(request.relations[0]));
  EXPECT_GT(took, 0);
}

}  // namespace
}  // namespace tidegate::control
