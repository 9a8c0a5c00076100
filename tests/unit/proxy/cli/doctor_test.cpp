#include "proxy/cli/doctor.hpp"

#include "tests/unit/proxy/control/test_server.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tidegate::cli {
namespace {

using test::test_server;
using test::test_session;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

config::settings safe_settings() {
  config::settings settings;
  settings.listen.emplace_back();
  settings.auth.rules.emplace_back();
  settings.auth.rules.back().method = config::auth_method::scram_sha_256;
  settings.admin.users = {"postgres"};
  settings.limits.max_clients = 50;
  return settings;
}

control::server_examination healthy() {
  control::server_examination server;
  server.version = 150020;
  server.version_text = "15.20";
  server.database = "app";
  server.role = "tidegate";
  server.sees_all_sessions = true;
  server.may_create_schema = true;
  server.idle_in_transaction_timeout_ms = 60'000;
  server.lock_timeout_ms = 5000;
  server.max_connections = 100;
  server.reserved_connections = 3;
  server.wal_level = "replica";
  return server;
}

std::string told(const std::vector<advice>& list, severity at_least = severity::note) {
  std::string all;
  for (const advice& each : list)
    if (each.how_bad >= at_least) all += each.what + " -> " + each.remedy + "\n";
  return all;
}

std::string told(const control::server_examination& server) {
  return told(advise_on(server, config::database_settings{}, safe_settings()));
}

TEST(doctor, a_healthy_server_and_configuration_get_no_advice) {
  EXPECT_EQ(told(healthy()), "");
  EXPECT_EQ(told(advise_on(safe_settings())), "");
}

TEST(doctor, missing_rights_come_with_the_grant) {
  control::server_examination server = healthy();
  server.sees_all_sessions = server.may_create_schema = false;
  server.role = "Gate Keeper";
  server.foreign_owners = {"app_owner", "select"};
  const std::string all = told(server);
  EXPECT_THAT(all, HasSubstr("-> GRANT pg_monitor TO \"Gate Keeper\";"));
  EXPECT_THAT(all, HasSubstr("-> GRANT CREATE ON DATABASE app TO \"Gate Keeper\";"));
  EXPECT_THAT(all, HasSubstr("-> GRANT app_owner TO \"Gate Keeper\";"));
  EXPECT_THAT(all, HasSubstr("-> GRANT \"select\" TO \"Gate Keeper\";"));
}

TEST(doctor, versions_are_judged_at_their_edges) {
  const auto of = [](int version) {
    control::server_examination server = healthy();
    server.version = version;
    return told(server);
  };
  EXPECT_THAT(of(110022), HasSubstr("older than anything"));
  EXPECT_THAT(of(120000), IsEmpty());
  EXPECT_THAT(of(140000), HasSubstr("corrupt indexes"));
  EXPECT_THAT(of(140003), HasSubstr("corrupt indexes"));
  EXPECT_THAT(of(140004), IsEmpty());
  EXPECT_THAT(of(180004), IsEmpty());
  EXPECT_THAT(of(190000), HasSubstr("newer than"));
}

TEST(doctor, risky_settings_come_with_the_statement_that_ends_them) {
  control::server_examination server = healthy();
  server.idle_in_transaction_timeout_ms = 0;
  server.deadlock_timeout_ms = 10'000;
  server.standard_conforming_strings = false;
  server.stored = {{"app", "", "lock_timeout", "0"},
                   {"", "app", "statement_timeout", "0"},
                   {"batch", "app", "lock_timeout", "0ms"},
                   {"careful", "", "lock_timeout", "2s"}};
  const std::string all = told(server);
  EXPECT_THAT(all, HasSubstr("ALTER DATABASE app SET idle_in_transaction_session_timeout"));
  EXPECT_THAT(all, HasSubstr("deadlock_timeout is 10s"));
  EXPECT_THAT(all, HasSubstr("standard_conforming_strings is off"));
  EXPECT_THAT(all, HasSubstr("-> ALTER ROLE app RESET lock_timeout;"));
  EXPECT_THAT(all, HasSubstr("-> ALTER DATABASE app RESET statement_timeout;"));
  EXPECT_THAT(all, HasSubstr("-> ALTER ROLE batch IN DATABASE app RESET lock_timeout;"));
  EXPECT_THAT(all, Not(HasSubstr("careful")));
}

TEST(doctor, a_listener_open_to_the_world_is_looked_at) {
  config::settings settings = safe_settings();
  settings.listen.front().address = "0.0.0.0";
  settings.auth.rules.front().method = config::auth_method::trust;
  const std::string all = told(advise_on(settings), severity::warning);
  EXPECT_THAT(all, HasSubstr("without proof"));
  EXPECT_THAT(all, HasSubstr("without TLS"));
}

class doctor_on_a_server : public testing::Test {
 protected:
  int run(const std::string& database, const std::string& user, std::uint16_t port) {
    std::string file = testing::TempDir() + "tidegate-doctor-" + std::to_string(getpid()) + ".yaml";
    std::ofstream(file) << "listen: [{address: 127.0.0.1, port: 0}]\nauth: {method: trust}\ndatabases:\n  \""
                        << database << "\":\n    host: 127.0.0.1\n    port: " << port
                        << "\n    control: {user: " << user << "}\n    server_tls: {mode: disable}\n";
    std::ostringstream out, err;
    const int code = run_doctor(file, out, err);
    std::remove(file.c_str());
    report = out.str();
    problems = err.str();
    return code;
  }
  std::string report, problems;
};

TEST_F(doctor_on_a_server, a_role_with_no_rights_gets_its_grants_and_they_suffice) {
  test_server& server = test_server::instance();
  server.create_database("clinic", {"CREATE ROLE clinic_owner", "CREATE ROLE gatekeeper LOGIN",
                                    "CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO clinic_owner"});
  EXPECT_EQ(run("clinic", "gatekeeper", server.port()), 1) << problems;
  EXPECT_THAT(report, HasSubstr("GRANT pg_monitor TO gatekeeper;"));
  EXPECT_THAT(report, HasSubstr("GRANT CREATE ON DATABASE clinic TO gatekeeper;"));
  EXPECT_THAT(report, HasSubstr("GRANT clinic_owner TO gatekeeper;"));
  EXPECT_THAT(report, HasSubstr("idle_in_transaction_session_timeout is 0"));

  test_session admin(server.writer("clinic"));
  for (const char* each : {"GRANT pg_monitor TO gatekeeper", "GRANT CREATE ON DATABASE clinic TO gatekeeper",
                           "GRANT clinic_owner TO gatekeeper",
                           "ALTER DATABASE clinic SET idle_in_transaction_session_timeout = '5min'"})
    admin.execute(each);
  EXPECT_EQ(run("clinic", "gatekeeper", server.port()), 0) << report;
  EXPECT_THAT(report, HasSubstr("0 problem(s), 0 warning(s)"));

  admin.execute("ALTER ROLE gatekeeper SET lock_timeout = 0");
  EXPECT_EQ(run("clinic", "gatekeeper", server.port()), 1);
  EXPECT_THAT(report, HasSubstr("ALTER ROLE gatekeeper RESET lock_timeout;"));
}

TEST_F(doctor_on_a_server, what_cannot_be_reached_is_a_problem) {
  EXPECT_EQ(run("*", "postgres", 1), 3) << problems;
  EXPECT_THAT(report, HasSubstr("can't be reached"));
  EXPECT_EQ(run("nowhere", "postgres", test_server::instance().port()), 3);
  EXPECT_THAT(report, HasSubstr("control.dbname"));
}

TEST_F(doctor_on_a_server, a_file_that_cannot_be_used_is_told_apart) {
  std::ostringstream out, err;
  EXPECT_EQ(run_doctor("/nonexistent/tidegate.yaml", out, err), 2);
  EXPECT_THAT(err.str(), HasSubstr("/nonexistent/tidegate.yaml"));
}

}  // namespace
}  // namespace tidegate::cli
