#include "policies/event_triggers.hpp"

#include "policies/sql/parse.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tidegate::policies {
namespace {

bool fires(const std::string& text) {
  const sql::parsed parsed = sql::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return may_fire_event_triggers(parsed.statements.at(0));
}

bool hides(const std::string& text) {
  const sql::parsed parsed = sql::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return may_run_unseen_ddl(parsed.statements.at(0));
}

TEST(event_triggers, changes_of_the_catalog_fire_them) {
  for (const char* text : {"CREATE TABLE t (a int)",
                           "ALTER TABLE t ADD a int",
                           "DROP TABLE t",
                           "GRANT SELECT ON t TO r",
                           "COMMENT ON TABLE t IS 'x'",
                           "REFRESH MATERIALIZED VIEW v",
                           "SELECT 1 AS a INTO t",
                           "CREATE TABLE t AS SELECT 1",
                           "REINDEX TABLE t",
                           "CREATE EXTENSION pg_trgm",
                           "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r",
                           "SECURITY LABEL ON TABLE t IS 'x'",
                           "DO $$ BEGIN DROP TABLE t; END $$",
                           "DO $$ BEGIN EXECUTE x; END $$",
                           "DROP OWNED BY r",
                           "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c",
                           "CREATE SCHEMA s",
                           "ALTER TABLE t RENAME TO u",
                           "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                           "CREATE TYPE e AS ENUM ('a')"})
    EXPECT_TRUE(fires(text)) << text;
}

TEST(event_triggers, locks_and_queries_fire_none) {
  for (const char* text : {"LOCK TABLE t", "VACUUM FULL t", "CLUSTER t", "ALTER SYSTEM SET work_mem = 1",
                           "SELECT f()", "INSERT INTO t VALUES (1)", "CALL p()", "SET lock_timeout = 1",
                           "BEGIN", "DO $$ BEGIN PERFORM f(); END $$"})
    EXPECT_FALSE(fires(text)) << text;
}

TEST(event_triggers, what_runs_queries_may_hide_ddl) {
  for (const char* text :
       {"SELECT f()", "INSERT INTO t VALUES (1)", "CALL p()", "EXECUTE s", "EXPLAIN ANALYZE SELECT f()",
        "CREATE TABLE t AS SELECT f()", "SELECT f() INTO t", "CREATE MATERIALIZED VIEW v AS SELECT f()",
        "COPY (SELECT f()) TO STDOUT", "TRUNCATE t", "FETCH c", "DO $$ BEGIN EXECUTE x; END $$",
        "DO LANGUAGE plpython3u 'x'"})
    EXPECT_TRUE(hides(text)) << text;
}

TEST(event_triggers, plain_ddl_and_settings_hide_none) {
  for (const char* text :
       {"ALTER TABLE t ADD a int", "CREATE EXTENSION pg_trgm", "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        "BEGIN", "COMMIT", "SET search_path = a", "DROP TABLE t", "CREATE INDEX ON t (a)",
        "DO $$ BEGIN ALTER TABLE t ADD a int; END $$", "GRANT SELECT ON t TO r"})
    EXPECT_FALSE(hides(text)) << text;
}

}  // namespace
}  // namespace tidegate::policies
