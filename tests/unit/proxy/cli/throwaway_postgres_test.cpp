#include "proxy/cli/throwaway_postgres.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace tidegate::cli {
namespace {

namespace fs = std::filesystem;

class find_postgres_test : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tidegate-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path install(const fs::path& where, bool complete = true) {
    fs::create_directories(folder_ / where);
    for (const char* program : {"initdb", "postgres"}) {
      if (!complete && std::string(program) == "postgres") continue;
      std::ofstream(folder_ / where / program) << "";
      fs::permissions(folder_ / where / program, fs::perms::owner_all);
    }
    return folder_ / where;
  }

  fs::path folder_;
};

TEST_F(find_postgres_test, takes_the_newest_that_is_installed) {
  install("installed/9/bin");
  install("installed/15/bin");
  install("installed/18/bin", false);
  install("installed/notes/bin");
  EXPECT_EQ(find_postgres(folder_ / "installed", ""), folder_ / "installed/15/bin");
}

TEST_F(find_postgres_test, looks_at_the_search_path_otherwise) {
  const fs::path half = install("half", false), whole = install("whole");
  EXPECT_EQ(find_postgres(folder_ / "nothing", "relative::" + half.string() + ":" + whole.string()), whole);
}

TEST_F(find_postgres_test, finds_none_where_there_is_none) {
  EXPECT_EQ(find_postgres(folder_ / "nothing", ""), std::nullopt);
  EXPECT_EQ(find_postgres(folder_, "/nonexistent:"), std::nullopt);
}

}  // namespace
}  // namespace tidegate::cli
