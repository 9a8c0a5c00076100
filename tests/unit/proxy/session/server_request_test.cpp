#include "proxy/session/server_request.hpp"

#include "proxy/session/greeting.hpp"
#include "tests/support/coroutines.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace tidegate::session {
namespace {

struct request_test : ::testing::Test {
  boost::asio::io_context context;
  std::pair<int, int> sockets = testing::tcp_pair();
  accepted_client client{net::message_stream(net::stream(context.get_executor(), sockets.first))};
  config::database_settings database;

  request_test() {
    client.user = "bob";
    client.database = "shop";
    client.method = config::auth_method::scram_sha_256;
    client.parameters = {{"options", "-c geqo=off"}};
  }
  ~request_test() override { ::close(sockets.second); }

  pool::login_request request() { return request_for(client, database, nullptr); }
};

TEST_F(request_test, keeps_the_clients_names_and_parameters) {
  const auto made = request();
  EXPECT_EQ(made.user, "bob");
  EXPECT_EQ(made.database, "shop");
  EXPECT_EQ(made.parameters, client.parameters);
  EXPECT_TRUE(std::holds_alternative<pool::no_credentials>(made.with));
}

TEST_F(request_test, uses_the_names_of_the_database_entry) {
  database.dbname = "shop_production";
  database.server_auth = config::server_auth_settings{"app", "hidden"};
  client.secret = "own";
  const auto made = request();
  EXPECT_EQ(made.user, "app");
  EXPECT_EQ(made.database, "shop_production");
  EXPECT_EQ(std::get<pool::password>(made.with).text, "hidden");
}

TEST_F(request_test, a_password_for_all_users_leaves_the_name) {
  database.server_auth = config::server_auth_settings{"", "hidden"};
  EXPECT_EQ(request().user, "bob");
}

TEST_F(request_test, never_lends_another_users_name_to_an_unchecked_client) {
  client.method = config::auth_method::passthrough;
  database.server_auth = config::server_auth_settings{"app", "hidden"};
  const auto made = request();
  EXPECT_EQ(made.user, "bob");
  EXPECT_TRUE(std::holds_alternative<pool::passthrough>(made.with));
}

TEST_F(request_test, never_lends_the_clients_proof_to_another_user) {
  client.secret = "own";
  database.server_auth = config::server_auth_settings{"app", ""};
  EXPECT_TRUE(std::holds_alternative<pool::no_credentials>(request().with));
}

TEST_F(request_test, prefers_a_password_to_keys) {
  client.scram.emplace();
  EXPECT_TRUE(std::holds_alternative<pool::scram_identity>(request().with));
  client.secret = "own";
  EXPECT_EQ(std::get<pool::password>(request().with).text, "own");
}

TEST_F(request_test, asks_only_for_versions_that_exist) {
  client.version = {3, 1};
  EXPECT_EQ(request().version, protocol::protocol_3_0);
  client.version = protocol::protocol_3_2;
  EXPECT_EQ(request().version, protocol::protocol_3_2);
}

TEST_F(request_test, another_login_is_like_the_first) {
  EXPECT_EQ(login_again(request(), database), nullptr) << "without a control role nobody asks for one";
  database.control.user = "tidegate";
  database.control.password = "hidden";
  client.secret = "own";
  const auto again = login_again(request(), database);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->request.user, "bob");
  EXPECT_EQ(std::get<pool::password>(again->request.with).text, "own");
  EXPECT_FALSE(again->as_control_role);
}

TEST_F(request_test, behind_passthrough_only_the_control_role_can_log_in_again) {
  database.control.user = "tidegate";
  database.control.password = "hidden";
  client.method = config::auth_method::passthrough;
  const auto again = login_again(request(), database);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->request.user, "tidegate");
  EXPECT_EQ(std::get<pool::password>(again->request.with).text, "hidden");
  EXPECT_TRUE(again->as_control_role);
}

TEST_F(request_test, the_greeting_has_everything_in_postgresqls_order) {
  pool::cancel_registry registry(
      {}, [](std::span<std::byte> into) { std::fill(into.begin(), into.end(), std::byte{'k'}); });
  const auto cancel = registry.enroll(258, protocol::protocol_3_0, {});
  const std::vector<pool::parameter> parameters = {{"a", "b"}};
  const auto welcome = protocol::as_bytes("<final>");
  client.welcome.assign(welcome.begin(), welcome.end());
  const auto greeting = greet(client, protocol::as_bytes("<notice>"), parameters, 'I', cancel);
  EXPECT_EQ(protocol::as_text(greeting), "<final>" + std::string("R\0\0\0\x08\0\0\0\0", 9) + "<notice>" +
                                             std::string("S\0\0\0\x08"
                                                         "a\0b\0",
                                                         9) +
                                             std::string("K\0\0\0\x0c\0\0\x01\x02kkkk", 13) +
                                             std::string("Z\0\0\0\x05I", 6));
}

}  // namespace
}  // namespace tidegate::session
