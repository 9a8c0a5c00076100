#include "proxy/control/pg_connection.hpp"

#include "tests/unit/proxy/control/test_server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::control {
namespace {

using test::test_server;
using test::test_session;
using test::wait_for;

outcome<query_result> ask(boost::asio::io_context& context, pg_connection& connection, std::string sql,
                          std::vector<text_cell> parameters = {}) {
  std::vector<command> commands;
  commands.push_back({std::move(sql), std::move(parameters), false});
  return wait_for(context, connection.run(std::move(commands))).front();
}

class connected : public testing::Test {
 protected:
  void SetUp() override {
    const auto done = wait_for(context, connection.connect(test_server::instance().target()));
    ASSERT_TRUE(done) << done.error().message;
  }
  boost::asio::io_context context;
  pg_connection connection{context.get_executor()};
};

TEST_F(connected, session_is_named_bounded_and_read_only) {
  const auto settings = ask(context, connection,
                            "SELECT current_setting('application_name'), current_setting('lock_timeout'), "
                            "current_setting('statement_timeout'), current_setting('search_path'), "
                            "current_setting('default_transaction_read_only')");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->rows, (text_rows{{"tidegate control", "50ms", "3s", "pg_catalog", "on"}}));
  EXPECT_EQ(ask(context, connection, "CREATE TABLE public.t()").error().sqlstate, "25006");
  EXPECT_GE(connection.server_version(), 120000);
}

TEST_F(connected, an_error_leaves_the_other_commands_of_the_batch_alone) {
  std::vector<command> commands{{"SELECT 1", {}, true},
                                {"SELECT 1/0", {}, true},
                                {"SELECT nonsense", {}, true},
                                {"SELECT $1::text, $2::text", {"a'\\", std::nullopt}, true}};
  for (int round = 0; round < 3; ++round) {
    const auto outcomes = wait_for(context, connection.run(commands));
    ASSERT_EQ(outcomes.size(), 4U);
    EXPECT_EQ(outcomes[0]->rows, (text_rows{{"1"}}));
    EXPECT_EQ(outcomes[1].error().sqlstate, "22012");
    EXPECT_EQ(outcomes[2].error().sqlstate, "42703");
    EXPECT_EQ(outcomes[3]->rows, (text_rows{{"a'\\", std::nullopt}}));
  }
}

TEST_F(connected, results_and_parameters_beyond_the_socket_buffers_pass) {
  const std::string large(3'000'000, 'x');
  const auto echoed = ask(context, connection, "SELECT $1::text || $1::text", {large});
  ASSERT_TRUE(echoed) << echoed.error().message;
  EXPECT_EQ(echoed->rows[0][0]->size(), 2 * large.size());
}

TEST_F(connected, statement_timeout_ends_what_takes_long) {
  control_target hasty = test_server::instance().target();
  hasty.settings.statement_timeout = std::chrono::milliseconds(30);
  ASSERT_TRUE(wait_for(context, connection.connect(hasty)));
  EXPECT_EQ(ask(context, connection, "SELECT pg_sleep(60)").error().sqlstate, "57014");
  EXPECT_TRUE(ask(context, connection, "SELECT 1"));
}

TEST_F(connected, a_session_ended_by_the_server_fails_and_closes) {
  test_session other(test_server::instance().writer());
  other.execute("SELECT pg_terminate_backend(" + std::to_string(connection.backend_pid()) + ")");
  const auto failed = ask(context, connection, "SELECT 1");
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().sqlstate == "57P01" || failed.error().sqlstate == failure::connection)
      << failed.error().sqlstate;
  EXPECT_FALSE(connection.is_open());
  EXPECT_EQ(ask(context, connection, "SELECT 1").error().sqlstate, failure::connection);
}

TEST(pg_connection, a_host_name_is_resolved_before_libpq_sees_it) {
  boost::asio::io_context context;
  pg_connection connection(context.get_executor());
  control_target target = test_server::instance().target();
  target.settings.host = "localhost";
  EXPECT_TRUE(wait_for(context, connection.connect(target)));
  target.settings.host = "no-such-host.invalid";
  const auto failed = wait_for(context, connection.connect(target));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().sqlstate, failure::connection);
  EXPECT_THAT(failed.error().message, testing::HasSubstr("no-such-host.invalid"));
}

TEST(pg_connection, a_refused_login_has_the_servers_sqlstate) {
  boost::asio::io_context context;
  pg_connection connection(context.get_executor());
  const auto no_database = wait_for(context, connection.connect(test_server::instance().target("nowhere")));
  ASSERT_FALSE(no_database);
  EXPECT_EQ(no_database.error().sqlstate, "3D000");
  EXPECT_EQ(no_database.error().message, "database \"nowhere\" does not exist");
  control_target target = test_server::instance().target();
  target.settings.user = "nobody_here";
  const auto no_role = wait_for(context, connection.connect(target));
  ASSERT_FALSE(no_role);
  EXPECT_EQ(no_role.error().sqlstate, "28000");
}

TEST(pg_connection, a_server_that_never_answers_is_given_up_at_the_deadline) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor silent(
      context, {boost::asio::ip::make_address("127.0.0.1"), 0});  // accepts by its backlog, says nothing
  control_target target = test_server::instance().target();
  target.settings.port = silent.local_endpoint().port();
  target.settings.connect_timeout = std::chrono::milliseconds(50);
  pg_connection connection(context.get_executor());
  const auto failed = wait_for(context, connection.connect(target));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().sqlstate, failure::deadline);
  EXPECT_FALSE(connection.is_open());
}

TEST(pg_connection, a_closed_port_is_refused_at_once) {
  boost::asio::io_context context;
  std::uint16_t port = 0;
  {
    boost::asio::ip::tcp::acceptor gone(context, {boost::asio::ip::make_address("127.0.0.1"), 0});
    port = gone.local_endpoint().port();
  }
  control_target target = test_server::instance().target();
  target.settings.port = port;
  pg_connection connection(context.get_executor());
  const auto failed = wait_for(context, connection.connect(target));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().sqlstate, failure::connection);
}

TEST(query_result, arrays_are_taken_apart_as_postgresql_prints_them) {
  const text_row row{"{a,\"b c\",\"q\\\"\\\\\",NULL,\"\"}", "{}", std::nullopt};
  EXPECT_EQ(array(row, 0), (std::vector<std::string>{"a", "b c", "q\"\\", "", ""}));
  EXPECT_TRUE(array(row, 1).empty());
  EXPECT_TRUE(array(row, 2).empty());
  EXPECT_EQ(array_literal(std::vector<int>{1, 2}), "{1,2}");
}

TEST(parse_conninfo, takes_uris_and_keywords_and_hides_the_password) {
  const control_target target =
      parse_conninfo("postgresql://ann:se%20cret@db.example:5433/app?sslmode=require");
  EXPECT_EQ(target.settings.host, "db.example");
  EXPECT_EQ(target.settings.port, 5433);
  EXPECT_EQ(target.settings.password, "se cret");
  EXPECT_EQ(target.settings.tls_mode, "require");
  EXPECT_EQ(target.database, "app");
  try {
    parse_conninfo("host=x password=topsecret nonsense=1");
    FAIL() << "accepted an unknown keyword";
  } catch (const std::invalid_argument& problem) {
    EXPECT_EQ(std::string(problem.what()).find("topsecret"), std::string::npos);
  }
}

}  // namespace
}  // namespace tidegate::control
