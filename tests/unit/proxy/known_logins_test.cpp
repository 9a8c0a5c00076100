#include "proxy/known_logins.hpp"

#include "tests/support/coroutines.hpp"

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tidegate {
namespace {

struct known_logins_test : ::testing::Test {
  boost::asio::io_context context;
  std::pair<int, int> sockets = testing::tcp_pair();
  session::accepted_client client{net::message_stream(net::stream(context.get_executor(), sockets.first))};
  std::shared_ptr<const runtime_settings> runtime = std::make_shared<runtime_settings>();
  pool::server_pool_ptr pool = std::make_shared<pool::server_pool>("shop", "ann", "shop", nullptr);
  known_logins known;

  known_logins_test() {
    client.user = client.identity = "ann";
    client.database = "shop";
    client.parameters = {{"application_name", "web"}, {"DateStyle", "ISO"}};
  }
  ~known_logins_test() override { ::close(sockets.second); }

  known_login_ptr login(pool::credentials proof = pool::no_credentials{}) const {
    auto made = std::make_shared<known_login>();
    made->runtime = runtime;
    made->proof = std::move(proof);
    made->pool = pool;
    return made;
  }
  known_login_ptr find(pool::credentials proof = pool::no_credentials{}) const {
    return known.find(known_logins::key_of(client), runtime, proof);
  }
};

TEST_F(known_logins_test, finds_what_is_known_of_a_client_that_says_and_proves_the_same) {
  EXPECT_EQ(find(), nullptr);
  const auto made = login();
  known.remember(known_logins::key_of(client), made);
  EXPECT_EQ(find(), made);
}

TEST_F(known_logins_test, tells_clients_apart_by_all_that_they_say) {
  known.remember(known_logins::key_of(client), login());
  const std::string own = known_logins::key_of(client);
  const auto differs = [&](auto change) {
    const auto before =
        std::tuple(client.user, client.database, client.identity, client.method, client.parameters);
    change();
    EXPECT_NE(known_logins::key_of(client), own);
    EXPECT_EQ(find(), nullptr);
    std::tie(client.user, client.database, client.identity, client.method, client.parameters) = before;
  };
  differs([&] { client.user = "bob"; });
  differs([&] { client.database = "shop2"; });
  differs([&] { client.identity = "cn=ann"; });
  differs([&] { client.method = config::auth_method::cert; });
  differs([&] { client.parameters[0].value = "batch"; });
  differs([&] { client.parameters.pop_back(); });
  differs([&] { std::swap(client.parameters[0], client.parameters[1]); });
  // A part's end is no other part's beginning.
  differs([&] { client.user = "annshop", client.database = ""; });
  differs([&] { client.parameters = {{"application_name", "webDateStyleISO"}}; });
}

TEST_F(known_logins_test, does_not_serve_another_proof_nor_other_settings) {
  known.remember(known_logins::key_of(client), login(pool::password{"old"}));
  EXPECT_NE(find(pool::password{"old"}), nullptr);
  EXPECT_EQ(find(pool::password{"new"}), nullptr);
  EXPECT_EQ(find(), nullptr);
  pool::scram_identity keys;
  known.remember(known_logins::key_of(client), login(keys));
  EXPECT_NE(find(keys), nullptr);
  keys.keys.client_key[3] = std::byte{1};
  EXPECT_EQ(find(keys), nullptr);
  known.remember(known_logins::key_of(client), login());
  runtime = std::make_shared<runtime_settings>();
  EXPECT_EQ(find(), nullptr);
}

TEST_F(known_logins_test, forgets_what_older_settings_and_gone_pools_have_left) {
  known.remember(known_logins::key_of(client), login());
  known.forget_others(runtime);
  EXPECT_NE(find(), nullptr);
  pool.reset();
  known.forget_others(runtime);
  EXPECT_EQ(find(), nullptr);
}

TEST_F(known_logins_test, is_bounded_in_number_and_in_length) {
  client.parameters[0].value.assign(2000, 'x');
  known.remember(known_logins::key_of(client), login());
  EXPECT_EQ(find(), nullptr);
  client.parameters[0].value = "first";
  known.remember(known_logins::key_of(client), login());
  for (int i = 0; i < 1000; ++i) {
    client.parameters[0].value = std::to_string(i);
    known.remember(known_logins::key_of(client), login());
    EXPECT_NE(find(), nullptr);
  }
  client.parameters[0].value = "first";
  EXPECT_EQ(find(), nullptr);
}

}  // namespace
}  // namespace tidegate
