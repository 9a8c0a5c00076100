#include "policies/ledger/fate.hpp"

#include "policies/sql/parse.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using policies::fate;

// o, c, u, p for each CREATE TABLE.
std::string fates(const std::string& text) {
  const auto parsed = sql::parse(text);
  const auto found = policies::fates_of(parsed.statements);
  std::string out;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (parsed.statements[i].as<sql::create_table>()) out += "ocup"[static_cast<std::size_t>(found[i])];
  return out;
}

TEST(Fate, follows_the_transactions_of_a_message) {
  EXPECT_EQ(fates("CREATE TABLE a(); CREATE TABLE b()"), "oo");
  EXPECT_EQ(fates("BEGIN; CREATE TABLE a(); COMMIT; CREATE TABLE b()"), "co");
  EXPECT_EQ(fates("BEGIN; CREATE TABLE a(); ROLLBACK; BEGIN; CREATE TABLE b(); COMMIT"), "uc");
  EXPECT_EQ(fates("CREATE TABLE a(); ROLLBACK"), "u");
  EXPECT_EQ(fates("BEGIN; CREATE TABLE a(); PREPARE TRANSACTION 'x'"), "p");
}

TEST(Fate, follows_savepoints) {
  EXPECT_EQ(
      fates(
          "BEGIN; CREATE TABLE a(); SAVEPOINT s; CREATE TABLE b(); ROLLBACK TO s; CREATE TABLE c(); COMMIT"),
      "cuc");
  EXPECT_EQ(fates("CREATE TABLE a(); ROLLBACK TO of_an_earlier_message; CREATE TABLE b()"), "uo");
  EXPECT_EQ(fates("SAVEPOINT s; SAVEPOINT t; CREATE TABLE a(); RELEASE t; ROLLBACK TO s; CREATE TABLE b()"),
            "uo");
}

}  // namespace
}  // namespace tidegate::test
