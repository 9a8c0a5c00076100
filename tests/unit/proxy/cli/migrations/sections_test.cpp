#include "proxy/cli/migrations/sections.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::cli::migrations {

namespace {

// "up tx message: SELECT 1; | SELECT 2;" of each section; blanks at the ends of parts are left out.
std::vector<std::string> divided(const std::string& text, layout tool,
                                 file_role role = file_role::by_sections,
                                 std::optional<bool> executes_in_transaction = {}) {
  std::vector<std::string> all;
  for (const auto& section : divide(text, tool, role, executes_in_transaction).sections) {
    std::string made = section.runs == direction::up ? "up" : "down";
    made += section.in_transaction ? " tx" : "";
    made += section.how == sending::as_psql        ? " psql:"
            : section.how == sending::by_statement ? " statement:"
                                                   : " message:";
    bool first = true;
    for (const auto& part : section.parts) {
      std::string words = text.substr(part.begin, part.end - part.begin);
      words.erase(0, words.find_first_not_of(" \r\n"));
      words.erase(words.find_last_not_of(" \r\n") + 1);
      made += (first ? " " : " | ") + words;
      first = false;
    }
    all.push_back(made);
  }
  return all;
}

std::string refusal(const std::string& text, layout tool) {
  const auto made = divide(text, tool, file_role::by_sections);
  return made.refused ? std::to_string(made.refused->at) + " " + made.refused->what : "";
}

using list = std::vector<std::string>;

TEST(Sections, plain_and_sqitch_files_are_for_psql) {
  EXPECT_EQ(divided("A;\nB;", layout::sql, file_role::up), list{"up psql: A;\nB;"});
  EXPECT_EQ(divided("A;", layout::sqitch, file_role::down), list{"down psql: A;"});
}

TEST(Sections, golang_migrate_and_prisma_send_the_file_at_once) {
  EXPECT_EQ(divided("A;\nB;", layout::golang_migrate, file_role::up), list{"up message: A;\nB;"});
  EXPECT_EQ(divided("A;", layout::golang_migrate, file_role::down), list{"down message: A;"});
  EXPECT_EQ(divided("A;\nB;", layout::prisma, file_role::up), list{"up message: A;\nB;"});
}

TEST(Sections, flyway_leaves_its_transaction_for_statements_that_need_it) {
  const auto runs = [](const std::string& text, std::optional<bool> configured = {}) {
    return divided(text, layout::flyway, file_role::up, configured).at(0).starts_with("up tx");
  };
  EXPECT_TRUE(runs("CREATE INDEX i ON t (a);"));
  for (const char* text :
       {"CREATE INDEX CONCURRENTLY i ON t (a)", "/* x */ create -- y\nunique index concurrently i ON t (a)",
        "SELECT 1;\nVACUUM t", "DROP INDEX CONCURRENTLY i", "REINDEX VERBOSE SCHEMA s",
        "ALTER SYSTEM SET a = 1", "DISCARD ALL", "CREATE DATABASE d", "DROP TABLESPACE s"})
    EXPECT_FALSE(runs(text)) << text;
  for (const char* text : {"REINDEX INDEX CONCURRENTLY i", "SELECT 'CREATE INDEX CONCURRENTLY i'",
                           "-- VACUUM\nSELECT 1", "DISCARD PLANS", "/*", "CREATE"})
    EXPECT_TRUE(runs(text)) << text;
  EXPECT_FALSE(runs("SELECT 1", false));
  EXPECT_TRUE(runs("VACUUM", true));
}

TEST(Sections, flyway_script_configuration) {
  EXPECT_EQ(read_script_configuration("# a\r\nexecuteInTransaction = false\r\n"), false);
  EXPECT_EQ(read_script_configuration("executeInTransaction=true"), true);
  EXPECT_FALSE(read_script_configuration("encoding=UTF-8\n#executeInTransaction=false"));
}

TEST(Sections, dbmate_sends_each_section_at_once) {
  EXPECT_EQ(divided("-- hello\n\n-- migrate:up\nA;\nB;\n-- migrate:down\nC;\n", layout::dbmate),
            (list{"up tx message: A;\nB;", "down tx message: C;"}));
  EXPECT_EQ(divided("--migrate:up  transaction:false\r\nA;\r\n-- migrate:down\r\nC;", layout::dbmate),
            (list{"up message: A;", "down tx message: C;"}));
  EXPECT_EQ(divided("-- migrate:up\nA;\n-- migrate:down\n-- migrate:up\nB;\n-- migrate:down", layout::dbmate),
            (list{"up tx message: A;", "down tx message: ", "up tx message: B;", "down tx message: "}));
}

TEST(Sections, dbmate_refuses_what_no_mark_covers) {
  EXPECT_EQ(refusal("A;\n-- migrate:up\nB;", layout::dbmate),
            "0 dbmate takes no statement before -- migrate:up");
  EXPECT_EQ(refusal("", layout::dbmate), "0 dbmate finds no -- migrate:up in it");
  EXPECT_EQ(refusal("-- migrate:up", layout::dbmate), "");
}

TEST(Sections, goose_ends_statements_at_the_ends_of_lines) {
  EXPECT_EQ(divided("-- +goose Up\n-- c\nA\n  (1);  -- done;\nB; C;\n-- +goose Down\nD;\n", layout::goose),
            (list{"up tx message: A\n  (1);  -- done; | B; C;", "down tx message: D;"}));
  EXPECT_EQ(divided("-- +goose NO TRANSACTION\n-- +goose up\nA; SELECT\n2;", layout::goose),
            (list{"up message: A; SELECT\n2;", "down message:"}));
}

TEST(Sections, goose_keeps_blocks_whole) {
  EXPECT_EQ(
      divided("-- +goose Up\n-- +goose StatementBegin\nA;\nB;\n-- +goose StatementEnd\nC;", layout::goose),
      (list{"up tx message: A;\nB; | C;", "down tx message:"}));
}

TEST(Sections, goose_refuses_what_it_cannot_divide) {
  EXPECT_EQ(refusal("SELECT 1;", layout::goose), "0 goose takes no statement before -- +goose Up");
  EXPECT_EQ(refusal("-- a\n", layout::goose), "0 goose finds no -- +goose Up in it");
  EXPECT_EQ(refusal("-- +goose Up\nA", layout::goose), "13 goose misses the semicolon at the end of a line");
  EXPECT_EQ(refusal("-- +goose Up\n-- +goose StatementBegin\nA;", layout::goose),
            "40 goose misses -- +goose StatementEnd");
  EXPECT_EQ(refusal("-- +goose Up\n-- +goose Upwards\n", layout::goose), "13 goose does not know this mark");
  EXPECT_EQ(refusal("-- +goose Down\nA;\n", layout::goose),
            "0 goose takes one -- +goose Up and behind it one -- +goose Down");
  // judged all the same
  EXPECT_EQ(divided("-- +goose Up\nA", layout::goose).at(0), "up tx message: A");
}

TEST(Sections, node_pg_migrate_divides_at_its_first_marks) {
  EXPECT_EQ(divided("-- Up Migration\nA;\n-- Down Migration\nB;", layout::node_pg_migrate),
            (list{"up tx message: -- Up Migration\nA;", "down tx message: -- Down Migration\nB;"}));
  EXPECT_EQ(divided("--- down migration\nB;\n--up migration: x\nA;", layout::node_pg_migrate),
            (list{"up tx message: --up migration: x\nA;", "down tx message: --- down migration\nB;"}));
  EXPECT_EQ(divided("A;\n-- Down Migration\nB;", layout::node_pg_migrate).at(0),
            "up tx message: A;\n-- Down Migration\nB;");
  EXPECT_EQ(divided("A;", layout::node_pg_migrate), list{"up tx message: A;"});
  EXPECT_EQ(divided("A;", layout::node_pg_migrate, file_role::down), list{"down tx message: A;"});
}

TEST(Sections, drizzle_sends_what_is_between_its_breakpoints) {
  EXPECT_EQ(divided("A;--> statement-breakpoint\nB; C;\n--> statement-breakpoint\n", layout::drizzle,
                    file_role::up),
            list{"up tx message: A; | B; C; | "});
}

TEST(Sections, empty_texts_are_no_trouble) {
  for (const auto tool : {layout::sql, layout::flyway, layout::golang_migrate, layout::node_pg_migrate,
                          layout::prisma, layout::drizzle, layout::sqitch})
    EXPECT_EQ(divided("", tool, file_role::up).size(), 1U) << name(tool);
}

}  // namespace

}  // namespace tidegate::cli::migrations
