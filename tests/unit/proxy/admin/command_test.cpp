// From text to commands of the console.

#include "proxy/admin/command.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> texts(std::string_view script_text) {
  const script read = parse_script(script_text);
  std::vector<std::string> out;
  for (const command& c : read.commands) out.push_back(to_text(c));
  if (read.problem) out.push_back("problem: " + read.problem->message);
  return out;
}

TEST(console_command, ledger_may_be_that_of_one_database) {
  EXPECT_THAT(texts("SHOW LEDGER; show ledger Shop; SHOW LEDGER \"my db\""),
              ElementsAre("SHOW ledger", "SHOW ledger Shop", "SHOW ledger my db"));
  EXPECT_THAT(texts("SHOW POOLS shop"), ElementsAre(HasSubstr("problem: ")));
}

TEST(console_command, is_read_in_any_case_with_blanks_comments_and_semicolons) {
  for (const char* text : {"SHOW POOLS", "show pools;", " Show /* all /* of */ them */ Pools ; ;",
                           "-- look\nSHOW\tPOOLS -- now"})
    EXPECT_THAT(texts(text), ElementsAre("SHOW pools")) << text;
}

TEST(console_command, several_in_one_text_come_in_order) {
  EXPECT_THAT(texts("PAUSE shop; show pools;RESUME"), ElementsAre("PAUSE shop", "SHOW pools", "RESUME"));
}

TEST(console_command, empty_text_has_none) {
  for (const char* text : {"", ";", " ; ; ", "-- nothing", "/* nothing */"}) {
    const script read = parse_script(text);
    EXPECT_THAT(read.commands, IsEmpty()) << text;
    EXPECT_FALSE(read.problem) << text;
  }
}

TEST(console_command, names_of_databases_stay_as_typed) {
  EXPECT_EQ(parse_script("PAUSE Shop-1").commands.at(0).name, "Shop-1");
  EXPECT_EQ(parse_script("pause \"a \"\"b\"\"\"").commands.at(0).name, "a \"b\"");
  EXPECT_EQ(parse_script("PAUSE shop--x").commands.at(0).name, "shop");
  EXPECT_EQ(to_text(parse_script("kill \"a b\"").commands.at(0)), "KILL \"a b\"");
}

TEST(console_command, set_takes_words_numbers_and_strings) {
  const auto set = [](std::string_view text) { return parse_script(text).commands.at(0); };
  EXPECT_EQ(set("SET timeouts.query = '5s'").value, "5s");
  EXPECT_EQ(set("set Timeouts.Query to 5s").name, "timeouts.query");
  EXPECT_EQ(set("SET SESSION client_encoding TO 'UTF8'").name, "client_encoding");
  EXPECT_EQ(set("SET x=''").value, "");
}

TEST(console_command, health_checks_are_selected) {
  const auto select = [](std::string_view text) { return parse_script(text).commands.at(0); };
  EXPECT_EQ(select("SELECT 1").expression, selected::number);
  EXPECT_EQ(select("select 'x' as y").name, "y");
  EXPECT_EQ(select("SELECT pg_catalog.version()").expression, selected::version);
  EXPECT_EQ(select("SELECT current_user").expression, selected::user);
  EXPECT_THAT(texts("SELECT * FROM pg_class"), ElementsAre(HasSubstr("selects constants")));
}

TEST(console_command, driver_s_transactions_are_understood) {
  EXPECT_THAT(texts("BEGIN READ ONLY; COMMIT WORK; start transaction; ABORT"),
              ElementsAre("BEGIN", "COMMIT", "BEGIN", "ROLLBACK"));
}

TEST(console_command, shutdown_knows_its_words) {
  EXPECT_EQ(parse_script("shutdown wait_for_clients").commands.at(0).value, "wait_for_clients");
  EXPECT_THAT(texts("SHUTDOWN NOW"), ElementsAre(HasSubstr("\"NOW\"")));
}

TEST(console_command, what_is_unknown_is_told_with_the_list) {
  const script read = parse_script("  FROB x");
  ASSERT_TRUE(read.problem);
  EXPECT_THAT(read.problem->message, HasSubstr("FROB"));
  EXPECT_THAT(read.problem->hint, HasSubstr("PAUSE [database]"));
  EXPECT_EQ(read.problem->at, 2u);
}

TEST(console_command, nothing_runs_of_a_text_with_a_problem) {
  for (const char* text :
       {"RELOAD; FROB", "KILL; PAUSE 'x", "RESUME; /* no end", "DISABLE", "ENABLE ;", "KILL_CLIENT",
        "PAUSE a b", "RELOAD now", "SET x", "SET x =", "SHOW", "SHOW 'x'", "PAUSE \"\"", "1", "="}) {
    const script read = parse_script(text);
    EXPECT_TRUE(read.problem) << text;
    EXPECT_THAT(read.commands, IsEmpty()) << text;
  }
}

TEST(console_command, only_looking_is_told_from_changing) {
  EXPECT_TRUE(only_looks(parse_script("SHOW POOLS").commands.at(0)));
  for (const char* text : {"PAUSE", "RESUME", "DISABLE a", "ENABLE a", "KILL", "KILL_CLIENT 1", "RECONNECT",
                           "RELOAD", "SHUTDOWN", "SET log.level = debug"})
    EXPECT_FALSE(only_looks(parse_script(text).commands.at(0))) << text;
}

}  // namespace
}  // namespace tidegate::admin
