#include "proxy/session/authentication.hpp"

#include <gtest/gtest.h>

namespace tidegate::session {
namespace {

using config::auth_method;
using config::connection_type;

config::auth_rule rule(connection_type type, std::vector<std::string> databases,
                       std::vector<std::string> users) {
  config::auth_rule made;
  made.type = type;
  made.databases = std::move(databases);
  made.users = std::move(users);
  made.method = auth_method::trust;
  return made;
}

connection_facts by_tcp(std::string user, std::string database, bool is_tls = false) {
  connection_facts facts;
  facts.peer.ip = boost::asio::ip::make_address("10.1.2.3");
  facts.user = std::move(user);
  facts.database = std::move(database);
  facts.is_tls = is_tls;
  return facts;
}

connection_facts by_unix_socket(std::string user, std::string database) {
  connection_facts facts;
  facts.peer.is_unix = true;
  facts.user = std::move(user);
  facts.database = std::move(database);
  return facts;
}

TEST(find_rule, takes_the_first_that_matches) {
  const std::vector rules{rule(connection_type::any, {}, {"bob"}), rule(connection_type::any, {"shop"}, {}),
                          rule(connection_type::any, {}, {})};
  EXPECT_EQ(find_rule(rules, by_tcp("bob", "shop")), &rules[0]);
  EXPECT_EQ(find_rule(rules, by_tcp("eve", "shop")), &rules[1]);
  EXPECT_EQ(find_rule(rules, by_tcp("eve", "other")), &rules[2]);
}

TEST(find_rule, finds_none_when_none_matches) {
  EXPECT_EQ(find_rule({rule(connection_type::any, {"shop"}, {"bob"})}, by_tcp("bob", "Shop")), nullptr);
  EXPECT_EQ(find_rule({}, by_tcp("bob", "shop")), nullptr);
}

TEST(find_rule, tells_connections_apart) {
  const auto matches = [](connection_type type, const connection_facts& facts) {
    const std::vector rules{rule(type, {}, {})};
    return find_rule(rules, facts) != nullptr;
  };
  const auto local = by_unix_socket("bob", "shop");
  const auto plain = by_tcp("bob", "shop");
  const auto tls = by_tcp("bob", "shop", true);
  EXPECT_TRUE(matches(connection_type::local, local));
  EXPECT_FALSE(matches(connection_type::local, plain));
  EXPECT_FALSE(matches(connection_type::host, local));
  EXPECT_TRUE(matches(connection_type::host, plain));
  EXPECT_TRUE(matches(connection_type::host, tls));
  EXPECT_FALSE(matches(connection_type::hostssl, plain));
  EXPECT_TRUE(matches(connection_type::hostssl, tls));
  EXPECT_TRUE(matches(connection_type::hostnossl, plain));
  EXPECT_FALSE(matches(connection_type::hostnossl, tls));
}

TEST(find_rule, an_address_leaves_unix_sockets_out) {
  auto with_address = rule(connection_type::any, {}, {});
  with_address.addresses = {{{10, 1}, 16, false}};
  const std::vector rules{with_address};
  EXPECT_NE(find_rule(rules, by_tcp("bob", "shop")), nullptr);
  EXPECT_EQ(find_rule(rules, by_unix_socket("bob", "shop")), nullptr);
}

TEST(find_rule, physical_replication_is_a_database_of_its_own) {
  const std::vector rules{rule(connection_type::any, {"shop"}, {}),
                          rule(connection_type::any, {"replication"}, {})};
  auto facts = by_tcp("bob", "shop");
  facts.is_replication = true;
  EXPECT_EQ(find_rule(rules, facts), &rules[1]);
}

TEST(certificate_allows, the_user_of_its_common_name) {
  const config::auth_settings settings;
  const auto by_cert = rule(connection_type::any, {}, {});
  EXPECT_TRUE(certificate_allows(settings, by_cert, {"bob", "CN=bob,O=x"}, "bob"));
  EXPECT_FALSE(certificate_allows(settings, by_cert, {"bob", "CN=bob,O=x"}, "eve"));
  EXPECT_FALSE(certificate_allows(settings, by_cert, {"", "O=x"}, ""));
}

TEST(certificate_allows, whom_the_map_names_and_nobody_else) {
  config::auth_settings settings;
  settings.user_maps["staff"] = {{"bob", "admin"}, {"CN=eve,O=x", "reader"}, {"root", "*"}};
  auto by_cert = rule(connection_type::any, {}, {});
  by_cert.map = "staff";
  EXPECT_TRUE(certificate_allows(settings, by_cert, {"bob", "CN=bob,O=x"}, "admin"));
  EXPECT_FALSE(certificate_allows(settings, by_cert, {"bob", "CN=bob,O=x"}, "bob"));
  EXPECT_TRUE(certificate_allows(settings, by_cert, {"eve", "CN=eve,O=x"}, "reader"));
  EXPECT_TRUE(certificate_allows(settings, by_cert, {"root", "CN=root"}, "anybody"));
  by_cert.map = "unknown";
  EXPECT_FALSE(certificate_allows(settings, by_cert, {"root", "CN=root"}, "root"));
}

}  // namespace
}  // namespace tidegate::session
