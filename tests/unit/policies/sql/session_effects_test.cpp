#include "policies/sql/session_effects.hpp"

#include "tests/unit/policies/sql/sql_cases.hpp"

#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::sql {
namespace {

using enum session_effect;
using testing::ElementsAre;
using testing::IsEmpty;

const session_effects none;

session_effects of(std::string_view text, lexical_settings settings = {}) {
  const session_effects found = effects_of(text, settings);
  EXPECT_EQ(assess(text, settings).effects, found) << text;
  return found;
}

TEST(session_effects, one_pass_finds_what_two_find) {
  const std::vector<std::string> listed = {"set_tenant"};
  const auto check = [&](const std::string& text) {
    for (const bool conforming : {true, false}) {
      const lexical_settings settings{.standard_conforming_strings = conforming};
      const assessment found = assess(text, settings, listed);
      EXPECT_EQ(found.is, classify(text, settings)) << text;
      EXPECT_EQ(found.effects, effects_of(text, settings, listed)) << text;
    }
  };
  for (const char* file : {"harmless.txt", "suspicious.txt"}) {
    for (const std::string& text : read_cases(file)) check(text);
  }
  const std::vector<std::string> pieces = {
      "select",      "with",        "insert",      "into",       "update",     "close",      "copy",
      "(",           ")",           ";",           ",",          "'pg_temp'",  "'a\\'",      "E'pg_temp'",
      "\"currval\"", "\"\"",        "nextval",     "set_config", "deallocate", "execute",    "pg_advisory_x",
      "hold",        "temp",        "set_tenant",  "-- call\n",  "/* ; */",    "1.5e3",      "$$temp$$",
      "U&'x'",       "dblink_exec", "pg_settings", "begin",      "set",        "b'pg_temp'", "N'x'",
      "pg_temp_1.t"};
  std::mt19937 random(4711);
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (unsigned left = random() % 9; left != 0; --left)
      text += pieces[random() % pieces.size()] + (random() % 8 == 0 ? "" : " ");
    check(text);
  }
}

TEST(session_effects, ordinary_work_leaves_nothing) {
  for (const char* text :
       {"SELECT 1", "BEGIN", "COMMIT", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "set constraints all deferred", "DELETE FROM t -- LISTEN x", "SELECT pg_advisory_xact_lock(1)",
        "CREATE TABLE t(a int)", "ALTER TABLE t SET SCHEMA s", "SELECT $$ set_config $$", "NOTIFY x"}) {
    EXPECT_EQ(of(text), none) << text;
  }
  for (const char* text :
       {"UPDATE t SET a = 1", "INSERT INTO t VALUES ('SET x = 1')", "SELECT nextval('s')"}) {
    EXPECT_EQ(of(text), session_effects(draws_values)) << text;
    EXPECT_FALSE(of(text).lasting()) << text;
  }
  EXPECT_EQ(of("SET LOCAL a = 1"), session_effects(local_settings));
  EXPECT_FALSE(of("SET LOCAL a = 1").lasting());
}

TEST(session_effects, each_statement_tells_what_it_may_leave) {
  EXPECT_EQ(of("SET a = 1"), session_effects(settings));
  EXPECT_EQ(of("SET SESSION a = 1"), session_effects(settings));
  EXPECT_EQ(of("set \"a\".b = 1"), session_effects(settings));
  EXPECT_EQ(of("BEGIN; SET a = 1; COMMIT"), session_effects(settings));
  EXPECT_EQ(of("RESET ALL"), settings | releases);
  EXPECT_EQ(of("SELECT Pg_Catalog.Set_Config('a.b', '', false)"), session_effects(settings));
  EXPECT_EQ(of("SELECT \"set_config\"('a.b', '', false)"), session_effects(settings));
  EXPECT_EQ(of("LISTEN a"), session_effects(channels));
  EXPECT_EQ(of("UNLISTEN *"), channels | releases);
  EXPECT_EQ(of("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), session_effects(cursors));
  EXPECT_EQ(of("CLOSE c"), session_effects(releases));
  EXPECT_EQ(of("SELECT pg_try_advisory_lock(1)"), session_effects(advisory_locks));
  EXPECT_EQ(of("SELECT pg_advisory_unlock_all()"), advisory_locks | releases);
  EXPECT_EQ(of("CREATE TEMP TABLE t(a int)"), session_effects(temporary_objects));
  EXPECT_EQ(of("SELECT 1 INTO TEMPORARY t"), session_effects(temporary_objects));
  EXPECT_EQ(of("CREATE VIEW pg_temp.v AS SELECT 1"), session_effects(temporary_objects));
  EXPECT_EQ(of("DROP TABLE t"), session_effects(releases));
  EXPECT_EQ(of("PREPARE p AS SELECT 1"), statement_names | statement_texts);
  EXPECT_EQ(of("DEALLOCATE p"), statement_names | releases);
  EXPECT_EQ(of("SELECT * FROM pg_prepared_statements"), statement_names | statement_texts);
  EXPECT_EQ(of("LOAD 'x'"), session_effects(unmovable));
  EXPECT_EQ(of("SELECT setseed(0)"), session_effects(unmovable));
  EXPECT_EQ(of("SET seed = 0.5"), session_effects(unmovable));
  EXPECT_EQ(of("SET search_path = 'pg_temp'"), settings | temporary_objects);
  EXPECT_EQ(of("SELECT lastval()"), session_effects(sequence_value));
  EXPECT_FALSE(of("SELECT lastval()").lasting());
}

TEST(session_effects, texts_of_prepared_statements_matter_unless_they_are_only_dropped) {
  for (const char* text : {"DEALLOCATE p", "deallocate all", "DISCARD ALL", "ROLLBACK; DEALLOCATE ALL",
                           "BEGIN; DEALLOCATE PREPARE \"p\"; ; COMMIT", "/* c */ DISCARD ALL; -- d"})
    EXPECT_TRUE(of(text).has(statement_names) && !of(text).has(statement_texts)) << text;
  EXPECT_EQ(of("DISCARD ALL"), session_effects::all().without(statement_texts));
  for (const char* text :
       {"DEALLOCATE p; SELECT f()", "EXECUTE p", "DEALLOCATE p; EXECUTE q", "PREPARE p AS SELECT 1",
        "(SELECT 1); DEALLOCATE p", "DO $$ BEGIN END $$", "DEALLOCATE U&\"p\"",
        "DISCARD ALL; TABLE pg_prepared_statements", "\"begin\"; DEALLOCATE p"})
    EXPECT_TRUE(of(text).has(statement_names) && of(text).has(statement_texts)) << text;
}

TEST(session_effects, what_can_not_be_seen_into_may_leave_anything) {
  for (const char* text : {"DO $$ BEGIN END $$", "CALL p()", "EXPLAIN ANALYZE EXECUTE p",
                           "SELECT U&\"d\\0061t\"", "SELECT 'unterminated"}) {
    EXPECT_EQ(of(text), session_effects::all()) << text;
  }
  EXPECT_EQ(of("SELECT 'a\\'; SET b = 1", {.standard_conforming_strings = false}), session_effects::all());
  EXPECT_EQ(of("SELECT '\x83\x5c'", {.ascii_safe_encoding = false}), session_effects::all());
}

TEST(session_effects, functions_may_be_listed) {
  const std::vector<std::string> listed = {"set_tenant"};
  EXPECT_EQ(effects_of("SELECT Set_Tenant(1)", {}, listed), session_effects(unmovable));
  EXPECT_EQ(effects_of("SELECT set_tenants(1)", {}, listed), none);
}

TEST(session_effects, customised_settings_are_found_where_they_are_set) {
  const auto found = [](std::string_view text) {
    std::vector<std::string> names;
    EXPECT_TRUE(collect_custom_settings(text, names, 10)) << text;
    return names;
  };
  EXPECT_THAT(found("SELECT set_config('App.Tenant', 'a.b', false), 2.5, x.y"), ElementsAre("app.tenant"));
  EXPECT_THAT(found("SET app.tenant = 'first.last@example.com'"), ElementsAre("app.tenant"));
  EXPECT_THAT(found("set session app /* - */ . tenant = 1; RESET b.c"), ElementsAre("app.tenant", "b.c"));
  EXPECT_THAT(found("SET \"app\".\"Tenant\" TO DEFAULT"), ElementsAre("app.tenant"));
  EXPECT_THAT(found("DO $$ BEGIN PERFORM set_config('app.x', 'y', false); END $$"), ElementsAre("app.x"));
  EXPECT_THAT(found("SET a = 1.5"), IsEmpty());
  std::vector<std::string> names;
  EXPECT_FALSE(collect_custom_settings("SET a.a = 1; SET b.b = 1", names, 1));
  EXPECT_FALSE(collect_custom_settings("SELECT set_config($1, 'x', false)", names, 10));
  EXPECT_FALSE(collect_custom_settings(
      "SELECT set_config('a' || '.b', 'x', false), set_config(a, 'x', false)", names, 10));
}

}  // namespace
}  // namespace tidegate::sql
