#include "proxy/cli/migrations/file_names.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::cli::migrations {

namespace {

using names = std::vector<std::string>;

names chosen(layout tool, names paths, direction runs = direction::up, std::string_view list = {}) {
  names all;
  for (const auto& file : choose(tool, std::move(paths), runs, list).files) all.push_back(file.path);
  return all;
}

TEST(FileNames, plain_files_run_by_the_numbers_in_their_names) {
  EXPECT_EQ(chosen(layout::sql, {"10_b.sql", "9_a.sql", "notes.txt", "more/1.sql", "010_a.sql"}),
            (names{"9_a.sql", "010_a.sql", "10_b.sql", "more/1.sql"}));
}

TEST(FileNames, flyway_runs_versions_by_their_parts_and_repeatable_ones_behind) {
  EXPECT_EQ(chosen(layout::flyway,
                   {"R__views.sql", "V1.10__ten.sql", "V1_9__nine.sql", "V2__two.sql", "U2__two.sql",
                    "sub/V1.9.1__nine.sql", "afterMigrate.sql", "beforeMigrate__a.sql"}),
            (names{"beforeMigrate__a.sql", "V1_9__nine.sql", "sub/V1.9.1__nine.sql", "V1.10__ten.sql",
                   "V2__two.sql", "R__views.sql", "afterMigrate.sql"}));
  EXPECT_EQ(chosen(layout::flyway, {"V1__a.sql", "U1__a.sql", "U10__b.sql", "U9__c.sql"}, direction::down),
            (names{"U10__b.sql", "U9__c.sql", "U1__a.sql"}));
}

TEST(FileNames, flyway_leaves_out_what_has_no_version) {
  const auto made = choose(
      layout::flyway, {"V__a.sql", "V1_a.sql", "Vx__a.sql", "seed.sql", "V1__a.sql.conf"}, direction::up);
  EXPECT_TRUE(made.files.empty());
  EXPECT_EQ(made.strays, (names{"V1_a.sql", "V__a.sql", "Vx__a.sql", "seed.sql"}));
}

TEST(FileNames, golang_migrate_compares_versions_as_numbers) {
  const names paths = {"10_b.up.sql",   "9_a.up.sql",    "9_a.down.sql",
                       "10_b.down.sql", "0011_c.up.sql", "x.up.sql"};
  EXPECT_EQ(chosen(layout::golang_migrate, paths), (names{"9_a.up.sql", "10_b.up.sql", "0011_c.up.sql"}));
  EXPECT_EQ(chosen(layout::golang_migrate, paths, direction::down), (names{"10_b.down.sql", "9_a.down.sql"}));
  EXPECT_EQ(choose(layout::golang_migrate, paths, direction::up).strays, names{"x.up.sql"});
}

TEST(FileNames, dbmate_and_prisma_compare_names_as_texts) {
  EXPECT_EQ(chosen(layout::dbmate, {"9_a.sql", "10_b.sql"}), (names{"10_b.sql", "9_a.sql"}));
  EXPECT_EQ(chosen(layout::prisma, {"9_a/migration.sql", "10_b/migration.sql", "migration_lock.toml"}),
            (names{"10_b/migration.sql", "9_a/migration.sql"}));
}

TEST(FileNames, goose_and_node_pg_migrate_compare_numbers) {
  EXPECT_EQ(chosen(layout::goose, {"10_b.sql", "9_a.sql", "0_zero.sql", "9.sql"}),
            (names{"9_a.sql", "10_b.sql"}));
  EXPECT_EQ(chosen(layout::node_pg_migrate, {"10_b.up.sql", "9-a.sql", "10_b.down.sql"}),
            (names{"9-a.sql", "10_b.up.sql"}));
}

TEST(FileNames, drizzle_runs_what_its_journal_names) {
  const auto journal = R"({"entries": [{"idx": 0, "tag": "0001_b", "when": 1}, {"idx":1,"tag":"0000_a"}]})";
  const auto made = choose(layout::drizzle, {"0000_a.sql", "0001_b.sql", "0002_c.sql", "meta/_journal.json"},
                           direction::up, journal);
  ASSERT_EQ(made.files.size(), 2U);
  EXPECT_EQ(made.files[0].path, "0001_b.sql");
  EXPECT_EQ(made.files[1].path, "0000_a.sql");
  EXPECT_EQ(made.strays, names{"0002_c.sql"});
  EXPECT_EQ(chosen(layout::drizzle, {"2_b/migration.sql", "1_a/migration.sql", "1_a/snapshot.json"}),
            (names{"1_a/migration.sql", "2_b/migration.sql"}));
}

TEST(FileNames, sqitch_follows_its_plan_and_the_tags_of_reworked_changes) {
  constexpr std::string_view plan =
      "%syntax-version=1.0.0\n%project=shop\n\n"
      "users 2024-01-01T00:00:00Z Ann <ann@example.com> # add users\n"
      "a/orders [users] 2024-01-02T00:00:00Z Ann <ann@example.com> # it's @home\n"
      "@v1 2024-01-03T00:00:00Z Ann <ann@example.com> # first\n"
      "@v2 2024-01-03T00:00:00Z Ann <ann@example.com>\n\n"
      "users [users@v2] 2024-01-04T00:00:00Z Ann <ann@example.com> # rework\r\n";
  EXPECT_EQ(
      chosen(layout::sqitch, {"deploy/users.sql", "verify/users.sql", "sqitch.plan"}, direction::up, plan),
      (names{"deploy/users@v2.sql", "deploy/a/orders.sql", "deploy/users.sql"}));
  EXPECT_EQ(chosen(layout::sqitch, {}, direction::down, plan),
            (names{"revert/users.sql", "revert/a/orders.sql", "revert/users@v2.sql"}));
  EXPECT_EQ(chosen(layout::sqitch, {"deploy/users@v1.sql"}, direction::up, plan).at(0),
            "deploy/users@v1.sql");
  const auto made = choose(layout::sqitch, {"deploy/forgotten.sql", "revert/users.sql", "verify/users.sql"},
                           direction::up, plan);
  EXPECT_EQ(made.strays, names{"deploy/forgotten.sql"});
}

TEST(FileNames, natural_order_is_an_order) {
  EXPECT_TRUE(is_naturally_before("9", "10"));
  EXPECT_FALSE(is_naturally_before("10", "9"));
  EXPECT_TRUE(is_naturally_before("a9b", "a10"));
  EXPECT_TRUE(is_naturally_before("a", "a1"));
  EXPECT_FALSE(is_naturally_before("a", "a"));
  EXPECT_TRUE(is_naturally_before("01", "1"));
  EXPECT_FALSE(is_naturally_before("1", "01"));
  EXPECT_TRUE(is_naturally_before("99999999999999999999998", "99999999999999999999999"));
}

TEST(LayoutOfName, knows_the_names_that_only_one_tool_has) {
  EXPECT_EQ(layout_of_name("V1.2__a.sql"), layout::flyway);
  EXPECT_EQ(layout_of_name("R__a.sql"), layout::flyway);
  EXPECT_EQ(layout_of_name("0001_a.up.sql"), layout::golang_migrate);
  EXPECT_EQ(layout_of_name("20240101_init/migration.sql"), layout::prisma);
  for (const char* name : {"a.sql", "0001_a.sql", "up.sql", "V1_a.sql", "V1__a.txt", "migration.sql",
                           "afterparty.sql", "afterParty.sql", "a.up.sql"})
    EXPECT_FALSE(layout_of_name(name)) << name;
}

TEST(LayoutOfText, knows_the_marks_of_tools) {
  EXPECT_EQ(layout_of_text("-- a\n-- migrate:up\nSELECT 1;"), layout::dbmate);
  EXPECT_EQ(layout_of_text("\r\n-- +goose Up\r\n"), layout::goose);
  EXPECT_EQ(layout_of_text("-- Up Migration\n"), layout::node_pg_migrate);
  EXPECT_EQ(layout_of_text("SELECT 1;--> statement-breakpoint\nSELECT 2;"), layout::drizzle);
  for (const char* text : {"", "SELECT 1", "-- migrate:upwards", "-- up", "'+goose Up'", "migrate:up"})
    EXPECT_FALSE(layout_of_text(text)) << text;
}

TEST(Layouts, have_names_that_lead_back) {
  for (const auto which : {layout::sql, layout::flyway, layout::golang_migrate, layout::dbmate, layout::goose,
                           layout::node_pg_migrate, layout::prisma, layout::drizzle, layout::sqitch})
    EXPECT_EQ(parse_layout(name(which)), which);
  EXPECT_FALSE(parse_layout("auto"));
  EXPECT_TRUE(layout_names().starts_with("sql, flyway, "));
}

}  // namespace

}  // namespace tidegate::cli::migrations
