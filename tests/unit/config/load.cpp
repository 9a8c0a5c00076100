#include "config/load.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr std::string_view rules[] = {"rename-column", "drop-table", "create-index-not-concurrently"};
const load_options options{.rule_ids = rules, .parse_limit_bytes = 1024 * 1024, .reads_files = false};

load_result load(const std::string& text) {
  return load_text(text, "/etc/tidegate", options);
}

std::vector<std::string> problems_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const problem& p : load(text).problems) lines.push_back(to_text("f", p));
  return lines;
}

// A file that loads, with `more` at its end.
std::string minimal(const std::string& more) {
  return "auth: {method: trust}\ndatabases: {\"*\": {}}\n" + more;
}

TEST(load, takes_the_smallest_configuration_of_the_design) {
  const load_result result = load(R"(
listen: [{address: 127.0.0.1, port: 6432}]        # tls: {mode, certificate, key, ca} beside them
http: {address: 127.0.0.1, port: 9632}
threads: 2                                        # default: one per core
auth: {method: trust}                             # trust | scram-sha-256 | md5 | cert | passthrough | by a list of rules
admin: {users: [postgres]}
databases:
  "*":                                            # any name, the same on the server; or a name of its own
    host: 127.0.0.1                               # or a unix socket's folder
    port: 5432
    pool: {mode: session}                         # session (a server per client; size unset = no limit) | transaction, size: 20
    control: {user: postgres}                     # the gateway's own connection: facts, backfill, state
policies: {mode: enforce}                         # enforce | observe | off
locks: {lock_timeout: 50ms, ddl_wait_budget: 60s, stall_budget: 100ms, hold_budget: 1s}
)");
  ASSERT_TRUE(result.value) << to_text("f", result.problems.front());
  const settings& s = *result.value;
  ASSERT_EQ(s.listen.size(), 1u);
  EXPECT_EQ(s.listen[0].port, 6432);
  EXPECT_EQ(s.threads, 2u);
  EXPECT_EQ(s.relay, relay_mode::epoll);
  ASSERT_EQ(s.auth.rules.size(), 1u);
  EXPECT_EQ(s.auth.rules[0].method, auth_method::trust);
  EXPECT_EQ(s.auth.rules[0].type, connection_type::any);
  EXPECT_THAT(s.admin.users, ElementsAre("postgres"));
  ASSERT_EQ(s.databases.size(), 1u);
  EXPECT_EQ(s.databases[0].name, "*");
  EXPECT_EQ(s.databases[0].control.user, "postgres");
  EXPECT_FALSE(s.databases[0].pool.size);
  EXPECT_EQ(s.locks.lock_timeout, 50ms);
  EXPECT_EQ(s.locks.ddl_wait_budget, 60s);
}

TEST(load, gives_what_is_left_out_its_default) {
  const load_result result = load(minimal(""));
  ASSERT_TRUE(result.value);
  EXPECT_EQ(result.value->listen.at(0).address, "127.0.0.1");
  EXPECT_EQ(result.value->listen.at(0).port, 6432);
  EXPECT_EQ(result.value->http.port, 9632);
  EXPECT_EQ(result.value->limits.parse_bytes, 1024u * 1024);
  EXPECT_EQ(result.value->timeouts.login, 60s);
  EXPECT_EQ(result.value->audit.target, audit_target::stderr_stream);
}

TEST(load, takes_a_section_whose_keys_are_all_commented_out) {
  EXPECT_TRUE(load(minimal("locks:\n  # lock_timeout: 1s\n")).value);
}

TEST(load, reports_all_problems_with_their_places_in_the_order_of_the_file) {
  EXPECT_THAT(
      problems_of("listen: [{adress: 127.0.0.1, port: 70000}]\n"
                  "auth: {method: scram}\n"
                  "databases:\n"
                  "  shop: {port: x}\n"
                  "locks:\n"
                  "  lock_timeout: 50\n"),
      ElementsAre(
          R"(f:1:11: unknown key "adress" in listen[0]; did you mean "address"?)",
          R"(f:1:36: listen[0].port: "70000" is no number from 0 to 65535)",
          AllOf(StartsWith(R"(f:2:16: auth.method: "scram" is not known here; )"),
                HasSubstr("scram-sha-256")),
          R"(f:4:16: databases.shop.port: "x" is no number from 1 to 65535)",
          R"(f:6:17: locks.lock_timeout: "50" is no duration; write a number with a unit: 50ms, 2s, 5min, 1h, 1d)"));
}

TEST(load, refuses_a_key_that_is_there_twice) {
  EXPECT_THAT(problems_of(minimal("threads: 1\nthreads: 2\n")),
              ElementsAre(R"(f:4:1: the key "threads" is here twice; it is also in line 3: keep one)"));
  EXPECT_THAT(problems_of(minimal("log: {level: info, level: off}\n")),
              ElementsAre(HasSubstr("is here twice")));
}

TEST(load, refuses_whatever_makes_much_of_little) {
  EXPECT_THAT(problems_of("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"), Contains(HasSubstr("anchors")));
  EXPECT_THAT(problems_of("a: &a [x, x]\nb: [*a, *a]\n"), Contains(HasSubstr("f:2:5: aliases")));
  EXPECT_THAT(problems_of(minimal("admin: !!python/object {users: [a]}\n")), Contains(HasSubstr("tags")));
  EXPECT_THAT(problems_of(std::string(100'000, '[')), ElementsAre(HasSubstr("nested too deeply")));
  EXPECT_THAT(problems_of(std::string(2'000'000, ' ')),
              ElementsAre(HasSubstr("has more than 1048576 bytes")));
  std::string many = "a: [";
  for (int i = 0; i < 30'000; ++i) many += "1,";
  EXPECT_THAT(problems_of(many + "1]"), ElementsAre(HasSubstr("more than 20000 values")));
  EXPECT_THAT(problems_of(minimal("---\na: b\n")), ElementsAre(HasSubstr("second document")));
}

TEST(load, says_where_a_file_stops_being_yaml) {
  EXPECT_THAT(problems_of("auth: {method: trust\ndatabases: x\n"),
              ElementsAre(AllOf(StartsWith("f:"), HasSubstr("not YAML"))));
  EXPECT_THAT(problems_of("{? {a: b} : c}\n"), Contains(HasSubstr("a key must be a word")));
}

TEST(load, refuses_the_wrong_kind_of_value) {
  EXPECT_THAT(problems_of(minimal("locks: 5\n")), ElementsAre(StartsWith("f:3:8: locks: needs a mapping")));
  EXPECT_THAT(problems_of(minimal("listen: {address: x}\n")),
              ElementsAre(StartsWith("f:3:1: listen: needs a list")));
  EXPECT_THAT(problems_of(minimal("threads: [1]\n")),
              ElementsAre(StartsWith("f:3:1: threads: needs a single value")));
  EXPECT_THAT(problems_of(minimal("threads:\n")), ElementsAre(HasSubstr("threads: needs a single value")));
  EXPECT_THAT(problems_of("- a\n"), Contains(HasSubstr("needs a mapping")));
  EXPECT_THAT(problems_of(""), Contains(HasSubstr("databases: names no database")));
}

TEST(load, wants_to_be_told_who_may_come_in) {
  EXPECT_THAT(problems_of("databases: {\"*\": {}}\n"),
              ElementsAre(HasSubstr("auth: does not say who may come in")));
  EXPECT_THAT(problems_of("auth: {method: scram-sha-256}\ndatabases: {\"*\": {}}\n"),
              ElementsAre(HasSubstr("needs secrets to compare with; add auth.user_file or auth.auth_query")));
  EXPECT_THAT(problems_of("auth: {method: cert}\ndatabases: {\"*\": {}}\n"),
              ElementsAre(HasSubstr("needs a listener that asks for certificates")));
  EXPECT_THAT(problems_of("auth: {method: trust, rules: [{method: trust}]}\ndatabases: {\"*\": {}}\n"),
              ElementsAre(HasSubstr("is here beside rules")));
}

TEST(load, reads_rules_of_access) {
  const load_result result = load(
      "auth:\n  rules:\n    - {type: hostssl, databases: shop, users: [a, b], address: [10.0.0.0/8, '::1'], "
      "method: trust}\n"
      "    - {method: reject}\n"
      "databases: {shop: {}}\n");
  ASSERT_TRUE(result.value) << to_text("f", result.problems.front());
  const auth_rule& rule = result.value->auth.rules.at(0);
  EXPECT_EQ(rule.type, connection_type::hostssl);
  EXPECT_THAT(rule.databases, ElementsAre("shop"));
  EXPECT_THAT(rule.users, ElementsAre("a", "b"));
  ASSERT_EQ(rule.addresses.size(), 2u);
  EXPECT_EQ(rule.addresses[0].bits, 8);
  EXPECT_TRUE(rule.addresses[1].is_v6);
}

TEST(load, refuses_rules_of_access_that_cannot_be_meant) {
  EXPECT_THAT(problems_of("auth: {rules: [{users: [a]}]}\ndatabases: {\"*\": {}}\n"),
              ElementsAre(HasSubstr("auth.rules[0].method: is needed")));
  EXPECT_THAT(
      problems_of(
          "auth: {rules: [{type: local, address: 10.0.0.0/8, method: trust}]}\ndatabases: {\"*\": {}}\n"),
      ElementsAre(HasSubstr("a unix socket has no address")));
  EXPECT_THAT(problems_of("auth: {rules: [{address: 10.0.0.1/8, method: trust}]}\ndatabases: {\"*\": {}}\n"),
              ElementsAre(HasSubstr("\"10.0.0.1/8\" is no network")));
  EXPECT_THAT(problems_of("auth: {method: passthrough}\ndatabases: {\"*\": {server_auth: {user: a}}}\n"),
              ElementsAre(StartsWith("f:2:19: databases.*.server_auth: with method passthrough")));
}

TEST(load, refuses_settings_of_another_pool_mode) {
  EXPECT_THAT(
      problems_of("auth: {method: trust}\ndatabases: {\"*\": {pool: {mode: transaction, size: 5}}}\n"),
      IsEmpty());
  EXPECT_THAT(problems_of("auth: {method: trust}\ndatabases: {\"*\": {pool: {max_pinned: 5}}}\n"),
              ElementsAre(HasSubstr("is for mode transaction")));
  EXPECT_THAT(problems_of("auth: {method: trust}\ndatabases: {\"*\": {pool: {max_per_application: 5}}}\n"),
              ElementsAre(HasSubstr("is for mode transaction")));
  EXPECT_THAT(problems_of("auth: {method: trust}\ndatabases: {\"*\": {pool: {mode: sesion}}}\n"),
              ElementsAre(HasSubstr("did you mean \"session\"?")));
}

TEST(load, reads_peers) {
  const load_result result =
      load(minimal("peers: {id: 3, gateways: [{id: 1, host: one}, {id: 63, host: two, port: 7000}]}\n"));
  ASSERT_TRUE(result.value);
  const peers_settings& peers = result.value->peers;
  EXPECT_EQ(peers.id, 3u);
  ASSERT_EQ(peers.gateways.size(), 2u);
  EXPECT_EQ(peers.gateways[0].port, 6432);
  EXPECT_EQ(peers.gateways[1].host, "two");
}

TEST(load, refuses_peers_that_can_t_be_told_apart) {
  const std::string begin = minimal("peers: ");
  EXPECT_THAT(problems_of(begin + "{id: 64}\n"), SizeIs(1));
  EXPECT_THAT(problems_of(begin + "{gateways: [{id: 1, host: one}]}\n"), ElementsAre(HasSubstr("is needed")));
  EXPECT_THAT(problems_of(begin + "{id: 1, gateways: [{id: 1, host: one}]}\n"),
              ElementsAre(HasSubstr("is this gateway's own")));
  EXPECT_THAT(problems_of(begin + "{id: 1, gateways: [{id: 2, host: one}, {id: 2, host: two}]}\n"),
              ElementsAre(HasSubstr("is in the list already")));
  EXPECT_THAT(problems_of(begin + "{id: 1, gateways: [{host: one}, {id: 2}]}\n"), SizeIs(2));
  EXPECT_THAT(problems_of(begin + "{id: 1, gateways: [{id: 2, host: one, tls: {mode: verify-full}}]}\n"),
              ElementsAre(HasSubstr("needs ca")));
}

TEST(load, refuses_the_admin_console_as_database) {
  EXPECT_THAT(problems_of("auth: {method: trust}\ndatabases: {tidegate: {}}\n"),
              ElementsAre(HasSubstr("admin console")));
}

TEST(load, checks_that_tls_has_its_files) {
  EXPECT_THAT(problems_of(minimal("listen: [{tls: {mode: require}}]\n")),
              ElementsAre(HasSubstr("needs certificate and key")));
  EXPECT_THAT(problems_of(minimal("listen: [{tls: {mode: verify-ca, certificate: a, key: b}}]\n")),
              ElementsAre(HasSubstr("mode verify-ca needs ca")));
  EXPECT_THAT(problems_of("auth: {method: trust}\ndatabases: {a: {server_tls: {mode: verify-full}}}\n"),
              ElementsAre(HasSubstr("mode verify-full needs ca")));
  EXPECT_THAT(problems_of("auth: {method: trust}\ndatabases: {a: {server_tls: {direct: true}}}\n"),
              ElementsAre(HasSubstr("direct TLS cannot fall back")));
  EXPECT_THAT(
      problems_of("auth: {method: trust}\ndatabases: {a: {host: /run, server_tls: {mode: require}}}\n"),
      ElementsAre(HasSubstr("no TLS over a unix socket")));
}

TEST(load, reads_unix_sockets) {
  const load_result result = load(minimal("listen: [{socket: run/.s.PGSQL.6432, socket_mode: '0700'}]\n"));
  ASSERT_TRUE(result.value);
  EXPECT_TRUE(result.value->listen[0].is_unix());
  EXPECT_EQ(result.value->listen[0].socket, "/etc/tidegate/run/.s.PGSQL.6432");
  EXPECT_EQ(result.value->listen[0].socket_mode, 0700u);
  EXPECT_THAT(problems_of(minimal("listen: [{socket: /a, port: 1}]\n")),
              ElementsAre(HasSubstr("is not for a unix socket")));
  EXPECT_THAT(problems_of(minimal("listen: [{socket: /a, socket_mode: 888}]\n")),
              ElementsAre(HasSubstr("octal")));
  EXPECT_THAT(problems_of(minimal("listen: [{socket: /" + std::string(120, 'a') + "}]\n")),
              ElementsAre(HasSubstr("longer than")));
}

TEST(load, makes_scopes_of_rules_and_overrides_in_their_order) {
  const load_result result =
      load(minimal("policies:\n  rules: {drop-table: warn}\n  on_unparsable: allow\n  small_table: {rows: 5, "
                   "bytes: 1MiB}\n"
                   "  overrides:\n    - {tables: ['tmp.*'], max_size: 1GiB, rules: {drop-table: allow}}\n    "
                   "- {roles: dba, mode: observe}\n"
                   "  allow_override_roles: [dba]\n"));
  ASSERT_TRUE(result.value) << to_text("f", result.problems.front());
  const policies::policy& policy = result.value->policies.policy;
  ASSERT_EQ(policy.scopes.size(), 3u);
  EXPECT_EQ(policy.scopes[0].rules.at(0).action, policies::verdict::warn);
  EXPECT_EQ(policy.scopes[1].max_bytes, std::int64_t{1} << 30);
  EXPECT_THAT(policy.scopes[1].tables, ElementsAre("tmp.*"));
  EXPECT_EQ(policy.scopes[2].mode, policies::policy_mode::observe);
  EXPECT_FALSE(policy.scopes[2].min_bytes);
  EXPECT_EQ(policy.on_unparsable, policies::verdict::allow);
  EXPECT_EQ(policy.small_table_rows, 5);
  EXPECT_EQ(policy.small_table_bytes, 1 << 20);
}

TEST(load, knows_the_rules) {
  EXPECT_THAT(
      problems_of(minimal("policies: {rules: {drop-tabel: allow}}\n")),
      ElementsAre(R"(f:3:32: policies.rules.drop-tabel: no rule has this name; did you mean "drop-table"?)"));
  EXPECT_THAT(problems_of(minimal("policies: {rules: {drop-table: forbid}}\n")),
              ElementsAre(HasSubstr("; one of: allow, warn,")));
  EXPECT_THAT(problems_of(minimal("policies: {on_unparsable: warn}\n")),
              ElementsAre(HasSubstr("write allow or block")));
  EXPECT_THAT(problems_of(minimal("policies: {overrides: [{roles: a}]}\n")),
              ElementsAre(HasSubstr("changes nothing")));
  EXPECT_THAT(problems_of(minimal("policies: {overrides: [{min_size: 2MB, max_size: 1MB, mode: off}]}\n")),
              ElementsAre(HasSubstr("less than min_size")));
}

TEST(load, wants_bounds_where_a_guard_needs_them) {
  EXPECT_THAT(problems_of(minimal("locks: {lock_timeout: 0}\n")),
              ElementsAre(HasSubstr("must be more than 0")));
  EXPECT_THAT(problems_of(minimal("timeouts: {login: 0}\n")), ElementsAre(HasSubstr("must be more than 0")));
  EXPECT_TRUE(load(minimal("timeouts: {query: 0}\n")).value);
  EXPECT_THAT(problems_of(minimal("limits: {parse_bytes: 2MiB}\n")),
              ElementsAre(HasSubstr("the parser takes 1 to 1048576")));
  EXPECT_THAT(problems_of(minimal("limits: {max_clients: 0}\n")),
              ElementsAre(HasSubstr("is no number from 1")));
}

TEST(load, reads_clamps_limits_log_and_audit) {
  const load_result result =
      load(minimal("locks: {clamp: {lock_timeout: {max: 5s}}}\nlimits: {users: {reporting: 3}}\n"
                   "log: {level: warning, format: json, file: log}\naudit: {file: audit}\nhttp: off\n"));
  ASSERT_TRUE(result.value) << to_text("f", result.problems.front());
  EXPECT_EQ(result.value->locks.clamp.lock_timeout, 5s);
  EXPECT_FALSE(result.value->locks.clamp.statement_timeout);
  EXPECT_EQ(result.value->limits.users.at("reporting"), 3u);
  EXPECT_EQ(result.value->log.level, log_level::warning);
  EXPECT_EQ(result.value->log.file, "/etc/tidegate/log");
  EXPECT_EQ(result.value->audit.target, audit_target::file);
  EXPECT_FALSE(result.value->http.enabled);
  EXPECT_EQ(load(minimal("audit: off\n")).value->audit.target, audit_target::off);
  EXPECT_THAT(problems_of(minimal("audit: syslog\n")),
              ElementsAre(HasSubstr("write off, stderr, or {file: name}")));
}

class load_from_disk : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("tidegate-config-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
    options_.reads_files = true;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  std::filesystem::path folder_;
  load_options options_ = options;
};

TEST_F(load_from_disk, reads_users_and_passwords_beside_the_file) {
  write("users.txt", "\"ann\" \"SCRAM-SHA-256$x\"\n");
  write("secret", "s3cret\nnot this\n");
  const std::string file = write("f.yaml",
                                 "auth: {method: scram-sha-256, user_file: users.txt}\n"
                                 "databases: {\"*\": {control: {user: t, password_file: secret}}}\n");
  const load_result result = load_file(file, options_);
  ASSERT_TRUE(result.value) << to_text("f", result.problems.front());
  EXPECT_EQ(result.value->auth.users.at("ann"), "SCRAM-SHA-256$x");
  EXPECT_EQ(result.value->databases[0].control.password, "s3cret");
}

TEST_F(load_from_disk, names_files_that_cannot_be_read_and_never_quotes_secrets) {
  write("users.txt", "\"ann\" hunter2\n");
  const std::string file = write("f.yaml",
                                 "auth: {method: scram-sha-256, user_file: users.txt}\n"
                                 "databases: {\"*\": {control: {user: t, password_file: missing}}}\n");
  const load_result result = load_file(file, options_);
  ASSERT_EQ(result.problems.size(), 2u);
  EXPECT_THAT(result.problems[0].what, AllOf(HasSubstr("users.txt:1:7: "), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(result.problems[1].what, HasSubstr("cannot read"));
  write("users.txt", "");
  write("missing", "x");
  const std::string tls =
      write("g.yaml", minimal("listen: [{tls: {mode: require, certificate: nope, key: nope}}]\n"));
  ASSERT_EQ(load_file(tls, options_).problems.size(), 2u);
  EXPECT_THAT(load_file(tls, options_).problems[0].what, HasSubstr("listen[0].tls.certificate: cannot read"));
}

TEST_F(load_from_disk, says_when_the_file_itself_cannot_be_read) {
  EXPECT_THAT(to_text("f", load_file(folder_ / "none", options_).problems.at(0)),
              StartsWith("f: cannot be read"));
  EXPECT_THAT(to_text("f", load_file(folder_, options_).problems.at(0)), StartsWith("f: cannot be read"));
}

TEST(find_database, prefers_a_name_of_its_own_to_the_star) {
  const load_result result = load("auth: {method: trust}\ndatabases: {\"*\": {port: 1}, shop: {port: 2}}\n");
  ASSERT_TRUE(result.value);
  EXPECT_EQ(find_database(*result.value, "shop")->port, 2);
  EXPECT_EQ(find_database(*result.value, "else")->port, 1);
  EXPECT_EQ(find_database(*load("auth: {method: trust}\ndatabases: {a: {}}\n").value, "b"), nullptr);
}

}  // namespace
}  // namespace tidegate::config
