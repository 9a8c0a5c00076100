#include "config/access.hpp"

#include <gtest/gtest.h>

namespace tidegate::config {
namespace {

auth_rule rule(connection_type type, const char* net, auth_method method) {
  auth_rule made;
  made.type = type;
  made.method = method;
  if (net != nullptr) made.addresses = {*parse_network(net)};
  return made;
}

arrival from(const char* address, bool has_tls = false) {
  arrival who;
  if (address != nullptr) who.address = parse_address(address);
  who.has_tls = has_tls;
  who.database = "shop";
  who.user = "ann";
  return who;
}

TEST(parse_network, takes_prefixes_and_lone_addresses) {
  EXPECT_EQ(parse_network("10.0.0.0/8")->bits, 8);
  EXPECT_EQ(parse_network("192.0.2.7")->bits, 32);
  EXPECT_EQ(parse_network("::1")->bits, 128);
  EXPECT_EQ(parse_network("0.0.0.0/0")->bits, 0);
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.1/8", "10/8", "::/129",
                           "host", "1.2.3.4/8x"}) {
    EXPECT_FALSE(parse_network(text)) << text;
  }
}

TEST(contains, compares_the_prefix_only) {
  const network net = *parse_network("10.16.0.0/12");
  EXPECT_TRUE(contains(net, *parse_address("10.31.255.255")));
  EXPECT_FALSE(contains(net, *parse_address("10.32.0.0")));
  EXPECT_FALSE(contains(*parse_network("0.0.0.0/0"), *parse_address("::1")));
  EXPECT_TRUE(contains(*parse_network("::/0"), *parse_address("fd00::1")));
}

TEST(contains, takes_ipv4_inside_ipv6_for_ipv4) {
  EXPECT_TRUE(contains(*parse_network("10.0.0.0/8"), *parse_address("::ffff:10.1.2.3")));
}

TEST(first_match, is_the_first_rule_that_fits) {
  auth_settings auth;
  auth.rules = {rule(connection_type::hostssl, "10.0.0.0/8", auth_method::cert),
                rule(connection_type::local, nullptr, auth_method::trust),
                rule(connection_type::hostnossl, nullptr, auth_method::reject),
                rule(connection_type::host, nullptr, auth_method::scram_sha_256)};
  EXPECT_EQ(first_match(auth, from("10.1.1.1", true))->method, auth_method::cert);
  EXPECT_EQ(first_match(auth, from("10.1.1.1", false))->method, auth_method::reject);
  EXPECT_EQ(first_match(auth, from("192.0.2.1", true))->method, auth_method::scram_sha_256);
  EXPECT_EQ(first_match(auth, from(nullptr))->method, auth_method::trust);
}

TEST(first_match, is_none_when_nothing_fits) {
  auth_settings auth;
  auth.rules = {rule(connection_type::any, "10.0.0.0/8", auth_method::trust)};
  EXPECT_EQ(first_match(auth, from("192.0.2.1")), nullptr);
  EXPECT_EQ(first_match(auth, from(nullptr)), nullptr) << "a unix socket is in no network";
  auth.rules = {rule(connection_type::any, nullptr, auth_method::trust)};
  auth.rules[0].users = {"bob"};
  EXPECT_EQ(first_match(auth, from("192.0.2.1")), nullptr);
  auth.rules[0].users = {"bob", "ann"};
  auth.rules[0].databases = {"other"};
  EXPECT_EQ(first_match(auth, from("192.0.2.1")), nullptr);
  auth.rules[0].databases = {"shop"};
  EXPECT_NE(first_match(auth, from("192.0.2.1")), nullptr);
}

TEST(may_log_in, needs_the_name_or_an_entry_of_the_map) {
  auth_settings auth;
  auth.user_maps["ops"] = {{"ci.example.com", "deploy"}, {"root.example.com", "*"}};
  auth_rule plain, mapped;
  mapped.map = "ops";
  EXPECT_TRUE(may_log_in(auth, plain, "ann", "ann"));
  EXPECT_FALSE(may_log_in(auth, plain, "ann", "bob"));
  EXPECT_FALSE(may_log_in(auth, plain, "", ""));
  EXPECT_TRUE(may_log_in(auth, mapped, "ci.example.com", "deploy"));
  EXPECT_FALSE(may_log_in(auth, mapped, "ci.example.com", "postgres"));
  EXPECT_TRUE(may_log_in(auth, mapped, "root.example.com", "postgres"));
  EXPECT_FALSE(may_log_in(auth, mapped, "deploy", "deploy")) << "with a map the name alone is not enough";
}

}  // namespace
}  // namespace tidegate::config
