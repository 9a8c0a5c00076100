#include "proxy/cli/migrations/files.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::cli::migrations {

namespace {

namespace fs = std::filesystem;
using names = std::vector<std::string>;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tidegate-files-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text = "SELECT 1;\n") {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }

  found_files find(wanted_files wanted) {
    if (wanted.paths.empty()) wanted.paths = {folder_.string()};
    std::istringstream in;
    return find_files(wanted, in);
  }

  // Relative to the folder.
  names paths(const found_files& found) const {
    names all;
    for (const auto& file : found.files)
      all.push_back(fs::path(file.path).lexically_relative(folder_).string());
    return all;
  }

  fs::path folder_;
};

TEST_F(Files, a_folder_tells_its_tool_by_names_marks_and_lists) {
  write("V2__b.sql");
  write("V10__c.sql");
  auto found = find({});
  EXPECT_EQ(paths(found), (names{"V2__b.sql", "V10__c.sql"}));
  EXPECT_EQ(found.files[0].tool, layout::flyway);
  write("meta/_journal.json", R"({"entries":[{"tag":"V10__c"}]})");
  found = find({});
  EXPECT_EQ(paths(found), names{"V10__c.sql"});
  EXPECT_EQ(found.files[0].tool, layout::drizzle);
  write("sqitch.plan", "%project=a\n\nx 2024-01-01T00:00:00Z A <a@b>\n");
  write("deploy/x.sql");
  for (const std::string& given : {folder_.string(), folder_.string() + "/", (folder_ / "deploy").string()}) {
    found = find({.paths = {given}});
    EXPECT_EQ(paths(found), names{"deploy/x.sql"}) << given;
    EXPECT_EQ(found.files[0].tool, layout::sqitch);
  }
  found = find({.forced = layout::flyway});
  EXPECT_EQ(found.files.size(), 2U);
}

TEST_F(Files, a_file_tells_its_tool_by_itself_and_by_its_folder) {
  const auto tool = [&](const std::string& path) { return find({.paths = {path}}).files.at(0).tool; };
  EXPECT_EQ(tool(write("a.sql")), layout::sql);
  EXPECT_EQ(tool(write("1_a.sql", "-- migrate:up\n")), layout::dbmate);
  EXPECT_EQ(tool(write("V1__a.sql", "-- migrate:up\n")), layout::flyway);
  EXPECT_EQ(tool(write("p/1_a/migration.sql")), layout::prisma);
  EXPECT_EQ(tool(write("migration.sql")), layout::prisma);
  write("d/1_a/snapshot.json");
  EXPECT_EQ(tool(write("d/1_a/migration.sql")), layout::drizzle);
  write("s/sqitch.plan");
  EXPECT_EQ(tool(write("s/deploy/x/y.sql")), layout::sqitch);
  const auto reverting = find({.paths = {write("s/revert/x/y.sql")}});
  EXPECT_EQ(reverting.files.at(0).role, file_role::down);
  EXPECT_EQ(reverting.remarks.size(), 1U);
  EXPECT_TRUE(
      find({.paths = {write("a_b.sql", "-- migrate:up\n")}, .runs = direction::down}).remarks.empty());
  write("e/meta/_journal.json");
  EXPECT_EQ(tool(write("e/0_a.sql")), layout::drizzle);
}

TEST_F(Files, what_the_tool_would_not_run_is_remarked) {
  write("V1__a.sql");
  write("seed.sql");
  write("README.md");
  const auto found = find({});
  EXPECT_EQ(found.files.size(), 1U);
  ASSERT_EQ(found.remarks.size(), 1U);
  EXPECT_TRUE(found.remarks[0].ends_with(": not judged, as flyway does not run it: seed.sql"))
      << found.remarks[0];
  const auto down = find({.paths = {write("1_a.down.sql")}});
  EXPECT_EQ(down.files.size(), 1U);
  EXPECT_EQ(down.remarks.size(), 1U);
}

TEST_F(Files, flyway_script_configuration_is_read) {
  write("V1__a.sql");
  write("V1__a.sql.conf", "executeInTransaction=false\n");
  write("V2__a.sql");
  const auto found = find({});
  EXPECT_EQ(found.files.at(0).executes_in_transaction, false);
  EXPECT_FALSE(found.files.at(1).executes_in_transaction);
}

TEST_F(Files, only_what_the_list_names) {
  write("V1__a.sql");
  write("V1__a.sql.conf", "");
  write("V2__b.sql");
  const auto three = write("V3__c.sql");
  EXPECT_EQ(paths(find({.only = three + "\r\n"})), names{"V3__c.sql"});
  // by its configuration, and through another way there
  EXPECT_EQ(paths(find({.only = (folder_ / "../" / folder_.filename() / "V1__a.sql.conf").string()})),
            names{"V1__a.sql"});
  const auto none = find({.only = ""});
  EXPECT_TRUE(none.files.empty());
  EXPECT_TRUE(none.problems.empty());
  const auto wrong = find({.only = "nowhere/V3__c.sql\n"});
  EXPECT_EQ(wrong.problems.size(), 1U);
}

TEST_F(Files, what_cannot_be_read_is_a_problem_and_the_rest_is_read) {
  write("a.sql");
  write("latin.sql", "SELECT 1;\n-- caf\xE9\n");
  write("wide.sql", std::string("S\0E\0", 4));
  fs::create_symlink("loop.sql", folder_ / "loop.sql");
  fs::create_symlink("gone", folder_ / "gone.sql");
  const auto found = find({});
  EXPECT_EQ(paths(found), names{"a.sql"});
  ASSERT_EQ(found.problems.size(), 4U);
  const auto says = [&](const std::string& what) {
    for (const auto& problem : found.problems)
      if (problem.find(what) != std::string::npos) return true;
    return false;
  };
  EXPECT_TRUE(says("latin.sql: line 2: not UTF-8"));
  EXPECT_TRUE(says("wide.sql: line 1: a zero byte"));
  EXPECT_TRUE(says("loop.sql: cannot be read: Too many levels of symbolic links"));
  EXPECT_TRUE(says("gone.sql: cannot be read: No such file or directory"));
}

TEST_F(Files, an_empty_folder_is_a_problem) {
  EXPECT_EQ(find({}).problems.size(), 1U);
  write("V1__a.sql");
  EXPECT_TRUE(
      find({.runs = direction::down}).problems.at(0).ends_with("no down migrations in it (layout flyway)"));
  EXPECT_TRUE(find({.forced = layout::goose}).problems.at(0).ends_with("no migrations in it (layout goose)"));
  EXPECT_EQ(find({.forced = layout::sqitch}).problems.size(), 1U);
}

TEST_F(Files, a_folder_that_leads_back_is_listed_once) {
  write("sub/a.sql");
  fs::create_directory_symlink("..", folder_ / "sub/up");
  fs::create_directory_symlink("sub", folder_ / "zub");
  fs::create_directory_symlink("ring", folder_ / "ring");
  write(".hidden/b.sql");
  const auto found = find({});
  EXPECT_EQ(found.files.size(), 1U);
  ASSERT_EQ(found.problems.size(), 1U);
  EXPECT_NE(found.problems[0].find("ring: cannot be read"), std::string::npos);
}

TEST_F(Files, a_byte_order_mark_is_no_part_of_the_text) {
  EXPECT_EQ(find({.paths = {write("a.sql", "\xEF\xBB\xBFSELECT 1;")}}).files.at(0).text, "SELECT 1;");
}

TEST_F(Files, a_file_above_the_limit_is_not_read) {
  const auto huge = write("huge.sql");
  fs::resize_file(huge, file_limit_bytes + 1);
  const auto found = find({});
  EXPECT_TRUE(found.files.empty());
  ASSERT_EQ(found.problems.size(), 1U);
  EXPECT_TRUE(found.problems[0].ends_with("huge.sql: larger than the 256 MiB that check reads"))
      << found.problems[0];
}

}  // namespace

}  // namespace tidegate::cli::migrations
