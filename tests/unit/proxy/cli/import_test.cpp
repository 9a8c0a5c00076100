// From PgBouncer's files to a configuration that the loader takes.

#include "proxy/cli/import.hpp"

#include "config/load.hpp"

#include <map>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using files = std::map<std::string, std::string>;

file_source source_of(const files& all) {
  return [all](const std::string& file) -> std::optional<std::string> {
    const auto found = all.find(file);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  };
}

struct outcome {
  imported result;
  std::shared_ptr<const config::settings> settings;
};

outcome import(const files& all, const std::string& user_file = {}) {
  outcome out;
  out.result =
      import_pgbouncer({"/etc/pgbouncer/pgbouncer.ini", user_file}, "/etc/pgbouncer", source_of(all));
  config::load_options options = config::default_load_options();
  options.reads_files = false;
  const config::load_result loaded = config::load_text(out.result.yaml, "/etc/tidegate", options);
  for (const config::problem& p : loaded.problems)
    ADD_FAILURE() << config::to_text("yaml", p) << "\n" << out.result.yaml;
  out.settings = loaded.value;
  return out;
}

outcome import_ini(const std::string& text) {
  return import({{"/etc/pgbouncer/pgbouncer.ini", text},
                 {"/etc/pgbouncer/userlist.txt",
                  "\"ann\" \"SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy\"\n"
                  "\"app\" \"plain words\"\n\"old\" \"md5abcdef\"\n"}});
}

// ---- reading ----

TEST(pgbouncer_files, an_ini_has_sections_comments_quotes_and_includes) {
  const auto ini = read_pgbouncer_ini(
      "a/main.ini", source_of({{"a/main.ini",
                                "; comment\n[databases]\n\"my db\" = host=x\n"
                                "# comment\n[pgbouncer]\nlisten_port=1\n"
                                "%include more.ini\nlisten_port = 3\n"},
                               {"more.ini", "listen_port = 2\n[users]\nann=pool_mode=session\n"}}));
  ASSERT_EQ(ini.databases.size(), 1u);
  EXPECT_EQ(ini.databases[0].key, "my db");
  EXPECT_EQ(ini.databases[0].value, "host=x");
  EXPECT_EQ(ini.databases[0].place, "main.ini:3");
  // a section goes on behind the file that began it
  EXPECT_EQ(ini.find("listen_port")->value, "2");
  ASSERT_EQ(ini.users.size(), 2u);
  EXPECT_THAT(ini.problems, IsEmpty());
}

TEST(pgbouncer_files, what_an_ini_can_t_say_is_told_with_its_place) {
  const auto ini =
      read_pgbouncer_ini("x.ini", source_of({{"x.ini",
                                              "a = 1\n[nothing]\nb = 2\n[pgbouncer]\nno value\n%include "
                                              "gone.ini\n\"x = 1\n%include x.ini\n"}}));
  EXPECT_THAT(ini.problems, Contains(Pair("x.ini:1", HasSubstr("no section"))));
  EXPECT_THAT(ini.problems, Contains(Pair("x.ini:5", HasSubstr("key = value"))));
  EXPECT_THAT(ini.problems, Contains(Pair("x.ini:6", HasSubstr("cannot read gone.ini"))));
  EXPECT_THAT(ini.problems, Contains(Pair("x.ini:8", HasSubstr("include each other"))));
}

TEST(pgbouncer_files, connection_strings_have_quotes_and_blanks) {
  EXPECT_THAT(parse_connection_string("host=a port = 5 password='it''s me' x=''").value(),
              ElementsAre(Pair("host", "a"), Pair("port", "5"), Pair("password", "it's me"), Pair("x", "")));
  EXPECT_THAT(parse_connection_string("").value(), IsEmpty());
  for (const char* text : {"host", "=a", "a='b", "a b=c"})
    EXPECT_FALSE(parse_connection_string(text)) << text;
}

TEST(pgbouncer_files, an_hba_line_has_lists_masks_and_options) {
  const auto hba = read_hba_file(
      "hba", "# x\nhost all \"a b\", c 10.0.0.0 255.0.0.0 md5 # why\nlocal all all peer map=m\nhost x\n");
  ASSERT_EQ(hba.lines.size(), 2u);
  EXPECT_THAT(hba.lines[0].users, ElementsAre("a b", "c"));
  EXPECT_EQ(hba.lines[0].mask, "255.0.0.0");
  EXPECT_EQ(hba.lines[0].method, "md5");
  EXPECT_THAT(hba.lines[1].options, ElementsAre(Pair("map", "m")));
  EXPECT_THAT(hba.problems, ElementsAre(Pair("hba:4", testing::_)));
}

TEST(pgbouncer_files, a_user_list_gives_up_what_pgbouncer_ignores) {
  const auto users = read_userlist("; x\n\"a\" \"1\" and more\n\"a\" \"2\"\n\"q\"\"\" \"s\"\"\"\nnothing\n");
  EXPECT_THAT(users, ElementsAre(Pair("a", "1"), Pair("q\"", "s\"")));
  EXPECT_EQ(to_user_file(users), "\"a\" \"1\"\n\"q\"\"\" \"s\"\"\"\n");
}

// ---- translating ----

TEST(import, a_usual_file_becomes_settings) {
  const auto [result, settings] = import_ini(R"([databases]
shop = host=db1.internal port=5433 dbname=shop_production pool_size=7 max_db_client_connections=50
forced = host=10.0.0.5 user=app
* = host=/var/run/postgresql
[users]
ann = max_user_client_connections=3
[pgbouncer]
listen_addr = 127.0.0.1, ::1
listen_port = 7432
unix_socket_dir = /run/pgb
unix_socket_mode = 0770
auth_type = scram-sha-256
auth_file = userlist.txt
admin_users = root, dba
stats_users = monitoring
max_client_conn = 500
default_pool_size = 30
max_db_client_connections = 200
query_timeout = 1.5
client_idle_timeout = 0
server_tls_sslmode = require
logfile = /var/log/pgbouncer.log
)");
  ASSERT_TRUE(settings);
  ASSERT_EQ(settings->listen.size(), 3u);
  EXPECT_EQ(settings->listen[1].address, "::1");
  EXPECT_EQ(settings->listen[1].port, 7432);
  EXPECT_EQ(settings->listen[2].socket, "/run/pgb/.s.PGSQL.7432");
  EXPECT_EQ(settings->listen[2].socket_mode, 0770u);
  ASSERT_EQ(settings->databases.size(), 3u);
  EXPECT_EQ(settings->databases[0].host, "db1.internal");
  EXPECT_EQ(settings->databases[0].port, 5433);
  EXPECT_EQ(settings->databases[0].dbname, "shop_production");
  EXPECT_EQ(settings->databases[0].pool.size, 7u);
  EXPECT_EQ(settings->databases[0].max_clients, 50u);
  EXPECT_EQ(settings->databases[0].server_tls.mode, config::tls_mode::require);
  EXPECT_EQ(settings->databases[1].server_auth->user, "app");
  EXPECT_EQ(settings->databases[1].server_auth->password, "plain words");
  EXPECT_EQ(settings->databases[2].name, "*");
  EXPECT_EQ(settings->databases[2].pool.size, 30u);
  EXPECT_EQ(settings->databases[2].server_tls.mode, config::tls_mode::prefer);
  EXPECT_EQ(settings->auth.user_file, "/etc/pgbouncer/userlist.txt");
  EXPECT_EQ(settings->auth.rules[0].method, config::auth_method::scram_sha_256);
  EXPECT_THAT(settings->admin.users, ElementsAre("root", "dba"));
  EXPECT_THAT(settings->admin.stats_users, ElementsAre("monitoring"));
  EXPECT_THAT(settings->admin.aliases, ElementsAre("pgbouncer"));
  EXPECT_EQ(settings->limits.max_clients, 500u);
  EXPECT_EQ(settings->limits.max_clients_per_database, 200u);
  EXPECT_EQ(settings->limits.users.at("ann"), 3u);
  EXPECT_EQ(settings->timeouts.query, std::chrono::milliseconds(1500));
  EXPECT_EQ(settings->policies.policy.mode, policies::policy_mode::observe);
  EXPECT_THAT(result.remarks, ElementsAre(HasSubstr("password: stands in the clear")));
}

TEST(import, an_empty_file_still_loads_with_pgbouncer_s_defaults) {
  const auto [result, settings] = import_ini("");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->listen[0].socket, "/tmp/.s.PGSQL.6432");
  EXPECT_EQ(settings->limits.max_clients, 100u);
  EXPECT_EQ(settings->auth.rules[0].method, config::auth_method::reject);
}

TEST(import, transaction_pooling_takes_its_bounds_along) {
  const auto [result, settings] = import_ini(
      "[databases]\na = host=x min_pool_size=2\n[pgbouncer]\npool_mode = transaction\nauth_type = trust\n"
      "default_pool_size = 7\nreserve_pool_size = 3\nserver_lifetime = 60\nserver_idle_timeout = 30\n");
  ASSERT_TRUE(settings);
  const config::pool_settings& pool = settings->databases[0].pool;
  EXPECT_EQ(pool.mode, config::pool_mode::transaction);
  EXPECT_EQ(pool.size, 7u);
  EXPECT_EQ(pool.minimum, 2u);
  EXPECT_EQ(pool.reserve, 3u);
  EXPECT_EQ(pool.lifetime, std::chrono::seconds(60));
  EXPECT_EQ(pool.idle_timeout, std::chrono::seconds(30));
}

TEST(import, statement_pooling_becomes_transaction_pooling_and_is_told) {
  const auto [result, settings] =
      import_ini("[databases]\na = host=x\n[pgbouncer]\npool_mode = statement\nauth_type = trust\n");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->databases[0].pool.mode, config::pool_mode::transaction);
  EXPECT_THAT(result.remarks, Contains(HasSubstr("statement")));
}

TEST(import, what_has_no_counterpart_is_told_with_its_line_and_as_a_comment) {
  const auto [result, settings] = import_ini(R"([databases]
a = host=x,y connect_query='select 1' min_pool_size=3 frob=1
tidegate = host=x
broken = host
[pgbouncer]
auth_type = trust
peer_id = 3
frobnicate = 1
server_reset_query = DISCARD ALL
ignore_startup_parameters = options
)");
  ASSERT_TRUE(settings);
  for (const char* what :
       {"pgbouncer.ini:2: a: connect_query", "pgbouncer.ini:2: a: host: of several", "a: min_pool_size",
        "a: frob: not known", "pgbouncer.ini:3: tidegate: the name is the admin console's",
        "pgbouncer.ini:4: broken", "pgbouncer.ini:7: peer_id", "pgbouncer.ini:8: frobnicate: not known",
        "ignore_startup_parameters"}) {
    EXPECT_THAT(result.remarks, Contains(HasSubstr(what)));
    EXPECT_THAT(result.yaml, HasSubstr("#   "));
  }
  for (const std::string& remark : result.remarks)
    EXPECT_THAT(result.yaml, HasSubstr("#   " + remark + "\n"));
  EXPECT_THAT(result.remarks, testing::Not(Contains(HasSubstr("server_reset_query"))));
  EXPECT_EQ(settings->databases[1].name, "tidegate_db");
  EXPECT_EQ(settings->databases[1].dbname, "tidegate");
}

TEST(import, text_of_the_file_never_becomes_yaml) {
  const auto [result, settings] = import_ini(
      "[databases]\n\"a: {b}\\\"\"\n: - x\" = host='x\"y: #z' dbname='true' password='\\n{' user='- "
      "a'\n[pgbouncer]\nauth_type = trust\nadmin_users = yes, \"q\", 007\n");
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->admin.users, ElementsAre("yes", "\"q\"", "007"));
}

TEST(import, hba_lines_become_rules_in_their_order) {
  const auto [result, settings] = import(
      {{"/etc/pgbouncer/pgbouncer.ini",
        "[databases]\n* = host=x\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_type = hba\nauth_hba_file = "
        "hba.conf\nauth_ident_file = "
        "ident.conf\n"
        "auth_file = u\nclient_tls_sslmode = allow\nclient_tls_key_file = k\nclient_tls_cert_file = "
        "c\nclient_tls_ca_file = ca\n"},
       {"/etc/pgbouncer/u", "\"a\" \"b\"\n"},
       {"/etc/pgbouncer/ident.conf", "m cn ann\n"},
       {"/etc/pgbouncer/hba.conf",
        "local all all peer\nhostssl shop deploy 0.0.0.0/0 cert map=m\nhost all all 10.1.2.3/8 md5\n"
        "host all all 10.0.0.0 255.0.0.0 md5\nhost @dbs all 1.2.3.4/32 reject\nhost all all all trust\n"}});
  ASSERT_TRUE(settings);
  ASSERT_EQ(settings->auth.rules.size(), 3u);
  EXPECT_EQ(settings->auth.rules[0].method, config::auth_method::cert);
  EXPECT_EQ(settings->auth.user_maps.at("m").at(0).user, "ann");
  EXPECT_EQ(settings->auth.rules[1].method, config::auth_method::md5);
  // behind a rejection that can't be said, nobody comes in
  EXPECT_EQ(settings->auth.rules[2].method, config::auth_method::reject);
  EXPECT_THAT(result.remarks, Contains(HasSubstr("hba.conf:1: method peer")));
  EXPECT_THAT(result.remarks, Contains(HasSubstr("hba.conf:3: address")));
  EXPECT_THAT(result.remarks, Contains(HasSubstr("hba.conf:5")));
}

TEST(import, certificates_are_asked_for_by_tcp_listeners_only) {
  const auto [result, settings] = import_ini(
      "[databases]\n* = host=x\n[pgbouncer]\nauth_type = cert\nclient_tls_sslmode = verify-full\n"
      "client_tls_key_file = k\nclient_tls_cert_file = c\nclient_tls_ca_file = ca\n");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->auth.rules[0].method, config::auth_method::reject);
  const auto with_tcp = import_ini(
      "[databases]\n* = host=x\n[pgbouncer]\nlisten_addr = ::1\nauth_type = cert\nclient_tls_sslmode = "
      "verify-full\n"
      "client_tls_key_file = k\nclient_tls_cert_file = c\nclient_tls_ca_file = ca\n");
  ASSERT_TRUE(with_tcp.settings);
  EXPECT_EQ(with_tcp.settings->auth.rules[0].method, config::auth_method::cert);
  EXPECT_EQ(with_tcp.settings->listen[0].tls.mode, config::tls_mode::verify_ca);
  EXPECT_EQ(with_tcp.settings->listen[0].tls.ca, "/etc/pgbouncer/ca");
}

TEST(import, secrets_come_from_the_user_list_or_a_query) {
  const auto query = import_ini(
      "[databases]\nshop = host=x\n[pgbouncer]\nauth_file = userlist.txt\nauth_user = app\n"
      "auth_query = SELECT * FROM f($1)\n");
  ASSERT_TRUE(query.settings);
  ASSERT_TRUE(query.settings->auth.query);
  EXPECT_EQ(query.settings->auth.query->database, "shop");
  EXPECT_EQ(query.settings->auth.query->password, "plain words");
  EXPECT_EQ(query.settings->auth.query->query, "SELECT * FROM f($1)");
  EXPECT_EQ(query.settings->auth.rules[0].method, config::auth_method::md5);
}

TEST(import, a_user_list_that_the_loader_would_refuse_is_not_used_as_it_is) {
  const files with_more{
      {"/etc/pgbouncer/pgbouncer.ini", "[databases]\n* = host=x\n[pgbouncer]\nauth_file = u\n"},
      {"/etc/pgbouncer/u", "\"a\" \"b\" more\n"}};
  const outcome without = import(with_more);
  ASSERT_TRUE(without.settings);
  EXPECT_EQ(without.settings->auth.rules[0].method, config::auth_method::reject);
  EXPECT_THAT(without.result.remarks, Contains(HasSubstr("--user-file")));
  const outcome with = import(with_more, "/etc/tidegate/users.txt");
  ASSERT_TRUE(with.settings);
  EXPECT_EQ(with.settings->auth.user_file, "/etc/tidegate/users.txt");
  EXPECT_THAT(with.result.clean_users, ElementsAre(Pair("a", "b")));
}

}  // namespace
}  // namespace tidegate::cli
