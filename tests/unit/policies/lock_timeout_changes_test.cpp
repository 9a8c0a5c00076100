#include "policies/lock_timeout_changes.hpp"

#include "policies/sql/parse.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tidegate::policies {
namespace {

lock_timeout_changes changes_in(const std::string& text) {
  const sql::parsed parsed = sql::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return find_lock_timeout_changes(parsed.statements);
}

std::string with(const std::string& text, const std::string& value) {
  return with_lock_timeout(text, changes_in(text).sets, value);
}

TEST(lock_timeout_changes, sets_are_replaced_where_they_stand) {
  EXPECT_EQ(with("SET lock_timeout = '5s'; ALTER TABLE t ADD a int", "50ms"),
            " SET lock_timeout = '50ms' ; ALTER TABLE t ADD a int");
  EXPECT_EQ(with("BEGIN; /* a */ SET LOCAL lock_timeout TO 0 /* b */; DROP TABLE t; COMMIT", "50ms"),
            "BEGIN; /* a */  SET LOCAL lock_timeout = '50ms'  /* b */; DROP TABLE t; COMMIT");
  EXPECT_EQ(with("set session LOCK_TIMEOUT=1;SET lock_timeout=2", "7ms"),
            " SET lock_timeout = '7ms' ; SET lock_timeout = '7ms' ");
  EXPECT_EQ(with("SELECT 'SET lock_timeout = 1'; SET work_mem = 64", "50ms"),
            "SELECT 'SET lock_timeout = 1'; SET work_mem = 64");
}

TEST(lock_timeout_changes, what_cannot_be_replaced_is_named) {
  EXPECT_EQ(changes_in("RESET lock_timeout; DROP TABLE t").beyond, "RESET lock_timeout");
  EXPECT_EQ(changes_in("SET lock_timeout TO DEFAULT").beyond, "SET lock_timeout");
  EXPECT_EQ(changes_in("RESET ALL").beyond, "RESET ALL");
  EXPECT_EQ(changes_in("DISCARD ALL").beyond, "DISCARD ALL");
  EXPECT_EQ(changes_in("SELECT set_config('lock_timeout', '0', false)").beyond, "set_config()");
  EXPECT_EQ(changes_in("UPDATE pg_settings SET setting = '0' WHERE name = 'lock_timeout'").beyond,
            "UPDATE pg_settings");
  EXPECT_EQ(changes_in("DO $$ BEGIN SET LOCAL lock_timeout = 0; DROP TABLE t; END $$").beyond,
            "SET lock_timeout");
  for (const char* harmless : {"RESET work_mem", "DISCARD PLANS", "SET statement_timeout = 0", "SELECT 1",
                               "DO $$ BEGIN DROP TABLE t; END $$"})
    EXPECT_EQ(changes_in(harmless).beyond, "") << harmless;
}

}  // namespace
}  // namespace tidegate::policies
