#include "policies/engine.hpp"
#include "proxy/cli/check.hpp"
#include "proxy/cli/check_report.hpp"
#include "proxy/cli/sql_script.hpp"

#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::cli {

namespace {

using policies::verdict;

reported_file check_plain(const std::string& text, const policies::policy& policy, const fact_source& facts) {
  const auto plain = divide(text, migrations::layout::sql, migrations::file_role::up);
  return check_script("file.sql", text, plain.sections, migrations::direction::up, policy, facts);
}

// Without a database.
reported_file check(const std::string& text, policies::policy policy = {}) {
  policy.trust_sizes = false;
  return check_plain(text, policy,
                     [](const policies::fact_request&) { return policies::catalog_snapshot{}; });
}

// "line rule" of each finding.
std::vector<std::string> found(const std::string& text) {
  std::vector<std::string> all;
  for (const auto& statement : check(text).statements)
    for (const auto& finding : statement.findings)
      all.push_back(std::to_string(finding.line) + " " + finding.rule);
  return all;
}

using names = std::vector<std::string>;

std::vector<std::string> pieces(const std::string& text, bool conforming = true) {
  std::vector<std::string> all;
  sql_script script(text);
  while (const auto piece = script.next(conforming)) {
    std::string words = piece->text;
    words.erase(0, words.find_first_not_of(" \n"));
    words.erase(words.find_last_not_of(" \n") + 1);
    all.push_back(words);
  }
  return all;
}

TEST(SqlScript, ends_statements_where_psql_does) {
  EXPECT_EQ(pieces("SELECT 1; SELECT ';' ;; -- ;\nSELECT 2"),
            (names{"SELECT 1", "SELECT ';'", "-- ;\nSELECT 2"}));
  EXPECT_EQ(pieces("SELECT $a$;$a$, \";\" /* ; /* ; */ */;SELECT 2"),
            (names{"SELECT $a$;$a$, \";\" /* ; /* ; */ */", "SELECT 2"}));
  EXPECT_EQ(pieces("SELECT E'\\';' ; SELECT 2"), (names{"SELECT E'\\';'", "SELECT 2"}));
  EXPECT_EQ(pieces("CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2); SELECT 3").size(), 2U);
  EXPECT_EQ(
      pieces("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END;"
             "SELECT 3")
          .size(),
      2U);
}

TEST(SqlScript, follows_standard_conforming_strings) {
  EXPECT_EQ(pieces("SELECT 'a\\'; SELECT 2; --'", true).size(), 2U);
  EXPECT_EQ(pieces("SELECT 'a\\'; SELECT 2; --'", false).size(), 1U);
}

TEST(SqlScript, leaves_psql_commands_out) {
  EXPECT_EQ(pieces("\\set x 1;2\n\\echo 'hi\nSELECT 1;\n\\i other.sql\n"), names{"SELECT 1"});
  EXPECT_EQ(pieces("SELECT 1 \\gset\nSELECT 2;"), (names{"SELECT 1", "SELECT 2"}));
  EXPECT_EQ(pieces("SELECT 1 \\; SELECT 2;"), names{"SELECT 1  ; SELECT 2"});
}

TEST(SqlScript, survives_what_never_ends) {
  for (const char* text :
       {"SELECT 'a", "SELECT \"a", "/* a", "SELECT $x$ a", "\\", "SELECT 1 \\g", "$", "(;"})
    EXPECT_LE(pieces(text).size(), 1U) << text;
}

TEST(LineIndex, counts_lines_and_characters) {
  const std::string text =
      "a\nb\xC3\xA4"
      "c";
  const line_index lines(text);
  EXPECT_EQ(lines.locate(0).line, 1);
  EXPECT_EQ(lines.locate(1).line, 1);
  EXPECT_EQ(lines.locate(2).line, 2);
  EXPECT_EQ(lines.locate(2).column, 1);
  EXPECT_EQ(lines.locate(5).line, 2);
  EXPECT_EQ(lines.locate(5).column, 3);
  EXPECT_EQ(lines.locate(999).line, 2);
  EXPECT_EQ(line_index("").locate(0).line, 1);
}

TEST(Check, places_findings_in_the_file) {
  const auto report = check("SELECT 1;\n\n  DROP TABLE t;\n");
  ASSERT_EQ(report.statements.size(), 2U);
  EXPECT_EQ(report.statements[1].index, 1);
  EXPECT_EQ(report.statements[1].line, 3);
  EXPECT_EQ(report.statements[1].sql, "DROP TABLE t");
  ASSERT_EQ(report.statements[1].findings.size(), 1U);
  EXPECT_EQ(report.statements[1].findings[0].line, 3);
}

TEST(Check, exempts_what_the_file_made) {
  EXPECT_TRUE(found("CREATE TABLE t (a int8 PRIMARY KEY);\nCREATE INDEX i ON t (a);\n"
                    "ALTER TABLE t ALTER a SET NOT NULL;\nDROP INDEX i;\nDROP TABLE t")
                  .empty());
  EXPECT_EQ(found("CREATE TABLE IF NOT EXISTS t (a int8 PRIMARY KEY);\nCREATE INDEX ON t (a)"),
            names{"2 create-index-not-concurrently"});
  EXPECT_EQ(found("BEGIN;\nCREATE TABLE t (a int);\nROLLBACK;\nDROP TABLE t"), names{"4 drop-table"});
  EXPECT_TRUE(found("CREATE TABLE t (a int8 PRIMARY KEY);\nALTER TABLE t RENAME TO u;\nCREATE INDEX ON u (a)")
                  .empty());
  EXPECT_TRUE(found("CREATE SCHEMA s CREATE TABLE t (a int8 PRIMARY KEY);\nCREATE INDEX ON s.t (a)").empty());
}

// With a database that has `public.orders (note text)`.
std::vector<std::string> found_with_facts(const std::string& text) {
  policies::policy policy;
  policy.trust_sizes = false;
  const auto facts = [](const policies::fact_request& request) {
    policies::catalog_snapshot snapshot;
    snapshot.available = true;
    snapshot.search_path = {"public"};
    policies::relation_facts orders;
    orders.schema = "public";
    orders.name = "orders";
    policies::column_facts note;
    note.name = "note";
    note.type_schema = "pg_catalog";
    note.type = "text";
    orders.columns.push_back(note);
    for (const auto& name : request.relations) {
      const bool known = name.name == "orders" && (name.schema.empty() || name.schema == "public");
      snapshot.bind_relation(name, known ? std::optional(orders) : std::nullopt);
    }
    return snapshot;
  };
  std::vector<std::string> all;
  for (const auto& statement : check_plain(text, policy, facts).statements)
    for (const auto& finding : statement.findings)
      all.push_back(std::to_string(finding.line) + " " + finding.rule);
  return all;
}

TEST(Check, lays_what_the_file_did_over_the_facts) {
  EXPECT_EQ(found_with_facts("ALTER TABLE orders ALTER note SET NOT NULL"), names{"1 set-not-null-scan"});
  const std::string recipe =
      "ALTER TABLE orders ADD CONSTRAINT n CHECK (note IS NOT NULL) NOT VALID;\n"
      "ALTER TABLE orders VALIDATE CONSTRAINT n;\n";
  EXPECT_TRUE(found_with_facts(recipe + "ALTER TABLE orders ALTER note SET NOT NULL").empty());
  EXPECT_TRUE(found_with_facts(recipe + "ALTER TABLE public.orders ALTER note SET NOT NULL").empty());
  EXPECT_EQ(found_with_facts(recipe + "ALTER TABLE orders DROP CONSTRAINT n;\n"
                                      "ALTER TABLE orders ALTER note SET NOT NULL"),
            names{"4 set-not-null-scan"});
  EXPECT_EQ(
      found_with_facts("BEGIN;\n" + recipe + "ROLLBACK;\nALTER TABLE orders ALTER note SET NOT NULL").back(),
      "5 set-not-null-scan");
}

TEST(Check, follows_search_path_and_names) {
  EXPECT_EQ(found_with_facts("SET search_path = public;\nDROP TABLE orders"), names{"2 drop-table"});
  EXPECT_TRUE(found_with_facts("SET search_path = nowhere;\nDROP TABLE orders").empty());
  EXPECT_TRUE(found_with_facts("DROP TABLE nothing_like_it").empty());
  EXPECT_EQ(found_with_facts("ALTER TABLE orders RENAME TO purchases;\nDROP TABLE purchases"),
            (names{"1 rename-table", "2 drop-table"}));
  EXPECT_EQ(found_with_facts("CREATE TEMP TABLE orders (note text);\nDROP TABLE orders;\nDROP TABLE orders"),
            names{"3 drop-table"});
}

TEST(Check, takes_statements_of_one_line_for_one_message) {
  EXPECT_EQ(found("SET lock_timeout = '2s'; CREATE INDEX CONCURRENTLY i ON t (a)"),
            (names{"1 concurrently-in-transaction", "1 short-lock-timeout-on-concurrently"}));
  EXPECT_TRUE(found("SET statement_timeout = '2h';\nCREATE INDEX CONCURRENTLY i ON t (a)").empty());
  EXPECT_TRUE(found("CREATE INDEX CONCURRENTLY i ON t (a); -- done\n\nSELECT 1").empty());
  EXPECT_EQ(found("BEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT"),
            names{"2 concurrently-in-transaction"});
}

// "line rule" of each finding in what runs upwards.
std::vector<std::string> found_by(migrations::layout tool, const std::string& text) {
  policies::policy policy;
  policy.trust_sizes = false;
  const auto divided = divide(text, tool, migrations::file_role::up);
  const auto report =
      check_script("file.sql", text, divided.sections, migrations::direction::up, policy,
                   [](const policies::fact_request&) { return policies::catalog_snapshot{}; });
  std::vector<std::string> all;
  for (const auto& statement : report.statements)
    for (const auto& finding : statement.findings)
      all.push_back(std::to_string(finding.line) + " " + finding.rule);
  return all;
}

TEST(Check, judges_in_the_transaction_and_the_message_of_the_tool) {
  using migrations::layout;
  const std::string build = "CREATE INDEX CONCURRENTLY i ON t (a);\n";
  const std::string in_transaction = "concurrently-in-transaction";
  EXPECT_TRUE(found_by(layout::golang_migrate, build).empty());
  EXPECT_EQ(found_by(layout::golang_migrate, "SELECT 1;\n" + build), names{"2 " + in_transaction});
  EXPECT_EQ(found_by(layout::drizzle, build), names{"1 " + in_transaction});
  EXPECT_TRUE(found_by(layout::flyway, "SELECT 1; " + build).empty());
  EXPECT_EQ(found_by(layout::dbmate, "-- migrate:up\nCOMMIT;\n" + build), names{"3 " + in_transaction});
  EXPECT_TRUE(found_by(layout::goose, "-- +goose Up\n-- +goose NO TRANSACTION\nSELECT 1;\n" + build).empty());
  EXPECT_TRUE(found_by(layout::dbmate, "-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE t;").empty());
}

TEST(Check, follows_settings_to_the_end_of_the_message_or_transaction) {
  using migrations::layout;
  const std::string set = "SET LOCAL standard_conforming_strings = off;\n";
  const std::string hidden = "SELECT 'a\\'; DROP TABLE t; --'\n";
  EXPECT_EQ(found_by(layout::prisma, set + hidden), names{"1 parser-setting-change"});
  EXPECT_EQ(found_by(layout::goose, "-- +goose Up\n" + set + hidden + ";\n"),
            names{"2 parser-setting-change"});
  EXPECT_EQ(found_by(layout::goose, "-- +goose NO TRANSACTION\n-- +goose Up\n" + set + hidden + ";\n"),
            (names{"3 parser-setting-change", "3 set-local-outside-transaction", "4 drop-table"}));
}

TEST(Check, says_what_it_assumed_of_a_line) {
  const auto report = check("SELECT 1; CREATE INDEX CONCURRENTLY i ON t (a)");
  EXPECT_NE(
      report.statements[1].findings.at(0).detail.find("Lacked fact: whether the statements of this line"),
      std::string::npos);
}

TEST(Check, follows_settings) {
  EXPECT_EQ(found("SET standard_conforming_strings = off;\nSELECT 'a\\'; DROP TABLE t; --'"),
            names{"1 parser-setting-change"});
  EXPECT_EQ(found("SELECT 'a\\'; DROP TABLE t; --'"), names{"1 drop-table"});
  EXPECT_EQ(
      found("BEGIN;\nSET LOCAL standard_conforming_strings = off;\nCOMMIT;\nSELECT 'a\\'; DROP TABLE t; --'"),
      (names{"2 parser-setting-change", "4 drop-table"}));
  EXPECT_EQ(found("SET lock_timeout = 0;\nALTER TABLE t ADD a int"),
            (names{"1 lock-timeout-disabled", "2 missing-lock-timeout"}));
}

TEST(Check, judges_the_end_of_the_file) {
  EXPECT_EQ(found("BEGIN;\n\n-- first\nALTER TABLE t ADD a int;\n-- last\n"),
            names{"4 transaction-left-open"});
  EXPECT_EQ(found("BEGIN; ALTER TABLE t ADD a int;\nSELECT 1"), names{"2 transaction-left-open"});
  EXPECT_TRUE(found("BEGIN;\nALTER TABLE t ADD a int;\nEND;\nSELECT 1").empty());
  EXPECT_TRUE(found("BEGIN;\nSELECT 1").empty());
  const auto report = check("BEGIN;\nALTER TABLE t ADD a int");
  EXPECT_EQ(report.statements.at(1).verdict, verdict::warn);
}

TEST(Check, waits_for_the_primary_key_of_a_table) {
  EXPECT_EQ(found("CREATE TABLE s.t (a int8);\nCREATE TABLE u (a int8)"),
            (names{"1 table-without-primary-key", "2 table-without-primary-key"}));
  const auto report =
      check("CREATE TABLE s.t (a int8);\nALTER TABLE ONLY s.t ADD CONSTRAINT k PRIMARY KEY (a)");
  EXPECT_TRUE(report.statements.at(0).findings.empty());
  EXPECT_EQ(report.statements.at(0).verdict, verdict::allow);
  EXPECT_EQ(found("CREATE TABLE t (a int8);\nALTER TABLE u ADD PRIMARY KEY (a)").front(),
            "1 table-without-primary-key");
}

TEST(Check, skips_copy_data) {
  EXPECT_TRUE(found("COPY t FROM stdin;\nDROP TABLE t;\n\\.\nSELECT 1;\n").empty());
  EXPECT_EQ(found("COPY t FROM stdin;\n1\n\\.\nDROP TABLE t;\n"), names{"4 drop-table"});
}

TEST(Check, refuses_what_it_cannot_parse_unless_it_is_harmless) {
  EXPECT_EQ(found("ALTER TABLE t FROBNICATE"), names{"1 unparsable"});
  EXPECT_EQ(found("SELECT 1;\nALTER TABLE t FROBNICATE;\nDROP TABLE t"),
            (names{"2 unparsable", "3 drop-table"}));
}

TEST(Check, honours_an_override_that_some_role_may_make) {
  const std::string text = "DROP TABLE t /* tidegate:allow=drop-table reason=\"unused\" */";
  EXPECT_EQ(check(text).statements[0].verdict, verdict::block);
  policies::policy policy;
  policy.override_roles = {"dba"};
  EXPECT_EQ(check(text, policy).statements[0].verdict, verdict::allow);
}

struct outcome {
  int code;
  std::string out, err;
};

outcome run(check_options options, const std::string& input) {
  options.files = {"-"};
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const int code = run_check(options, in, out, err);
  return {code, out.str(), err.str()};
}

TEST(RunCheck, exits_by_the_hardest_finding) {
  EXPECT_EQ(run({}, "SELECT 1").code, 0);
  EXPECT_EQ(run({}, "DROP TABLE t").code, 1);
  EXPECT_EQ(run({}, "CREATE INDEX i ON t (a)").code, 0);
  EXPECT_EQ(run({.fail_on = "rewrite"}, "CREATE INDEX i ON t (a)").code, 1);
}

TEST(RunCheck, refuses_bad_usage_and_says_what_would_be_right) {
  EXPECT_EQ(run({.format = "yaml"}, "").code, 2);
  EXPECT_NE(run({.format = "xml"}, "").err.find("expected text, json, sarif or github"), std::string::npos);
  EXPECT_EQ(run({.server_version = "x"}, "").code, 2);
  EXPECT_EQ(run({.server_version = "9"}, "").code, 2);
  EXPECT_EQ(run({.fail_on = "allow"}, "").code, 2);
  EXPECT_EQ(run({.config = "/nowhere.yaml"}, "").code, 2);
}

TEST(RunCheck, says_that_a_file_cannot_be_read) {
  check_options options;
  options.files = {"/nowhere.sql"};
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(run_check(options, in, out, err), 3);
  EXPECT_NE(err.str().find("/nowhere.sql"), std::string::npos);
}

TEST(RunCheck, knows_versions_by_the_words_people_use) {
  const std::string text = "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT ENFORCED";
  for (const char* version : {"18", "18.0", "180000"})
    EXPECT_EQ(run({.server_version = version}, text).code, 0) << version;
}

TEST(RunCheck, prints_json_in_one_object) {
  const auto done = run({.format = "json"}, "DROP TABLE \"a\"\"b\"");
  EXPECT_TRUE(done.out.starts_with(
      "{\"files\":[{\"file\":\"-\",\"layout\":\"sql\",\"statements\":[{\"index\":0,\"line\":1,\"sql\":"
      "\"DROP TABLE \\\"a\\\"\\\"b\\\"\",\"verdict\":\"block\",\"findings\":[{\"rule\":"
      "\"drop-table\",\"action\":\"block\",\"lock\":\"ACCESS EXCLUSIVE\""))
      << done.out;
  EXPECT_TRUE(done.out.ends_with("]}]}]}\n")) << done.out;
}

TEST(RunCheck, prints_workflow_commands_for_github) {
  const auto done = run({.format = "github"}, "\nDROP TABLE t");
  EXPECT_TRUE(done.out.starts_with("::error file=-,line=2,col=12,title=drop-table::")) << done.out;
  EXPECT_EQ(done.out.find('\n'), done.out.size() - 1);
}

TEST(RunCheck, prints_a_sarif_log_in_which_each_rule_stands_once) {
  const auto done = run({.format = "sarif"}, "DROP TABLE t;\nDROP TABLE \"a\"\"b\";");
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(done.out.starts_with(
      R"({"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"tool":{"driver":{"name":"tidegate")"))
      << done.out;
  const auto count = [&](std::string_view what) {
    std::size_t found = 0;
    for (auto at = done.out.find(what); at != std::string::npos; at = done.out.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count(R"({"id":"drop-table")"), 1u);
  EXPECT_EQ(count(R"({"ruleId":"drop-table","ruleIndex":0,"level":"error")"), 2u);
  EXPECT_EQ(count(R"("region":{"startLine":2,"startColumn":12})"), 1u);
  EXPECT_TRUE(run({.format = "sarif"}, "SELECT 1")
                  .out.ends_with(R"("results":[]}]})"
                                 "\n"));
}

TEST(RunCheck, prints_text_that_editors_understand) {
  const auto done = run({}, "DROP TABLE t");
  EXPECT_TRUE(done.out.starts_with("-:1:")) << done.out;
  EXPECT_TRUE(done.out.ends_with("1 statement, 1 finding\n")) << done.out;
}

}  // namespace

}  // namespace tidegate::cli
