// What takes a statement back: text, facts, and the statement it comes to.

#include "policies/ledger/inverse.hpp"

#include "policies/fact_request.hpp"
#include "policies/sql/parse.hpp"
#include "tests/unit/policies/catalog_text.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using namespace policies;

inverse inverse_in(const std::vector<std::string>& facts, const std::string& text, std::size_t at = 0) {
  catalog_text catalog;
  for (const auto& line : facts) catalog.add(line);
  const auto parsed = sql::parse(text);
  if (!parsed.ok()) throw std::runtime_error("can't be parsed: " + text);
  auto snapshot = catalog.snapshot(facts_needed(parsed.statements));
  if (snapshot.search_path.empty()) snapshot.search_path = {"pg_catalog", "app", "public"};
  const session_facts session{.role = "app", .application = {}, .database = "app", .lock_timeout = {}};
  transaction_history history;
  for (std::size_t i = 0; i < at; ++i) history.add(parsed.statements[i], false, snapshot);
  return inverse_of({parsed.statements[at], text, snapshot, session, history});
}

const std::vector<std::string> orders = {
    "table app.orders rows=5000000 columns(id int8 not null, note text, qty int4 default)",
    "search_path app, public"};

struct taken_back {
  std::string sql, back;
};

class Inverse : public testing::TestWithParam<taken_back> {};

TEST_P(Inverse, is_qualified_and_exact) {
  const inverse result = inverse_in(orders, GetParam().sql);
  EXPECT_EQ(result.sql, GetParam().back) << result.why_not;
}

INSTANTIATE_TEST_SUITE_P(
    Statements, Inverse,
    testing::Values(
        taken_back{"CREATE TABLE t (id int)", "DROP TABLE app.t;"},
        taken_back{"CREATE TABLE IF NOT EXISTS t (id int)", "DROP TABLE app.t;"},
        taken_back{"CREATE TABLE \"Odd S\".\"T\"\"x\" (id int)", "DROP TABLE \"Odd S\".\"T\"\"x\";"},
        taken_back{"CREATE TABLE t AS SELECT 1", "DROP TABLE app.t;"},
        taken_back{"CREATE MATERIALIZED VIEW m AS SELECT 1", "DROP MATERIALIZED VIEW app.m;"},
        taken_back{"CREATE VIEW v AS SELECT 1 AS a", "DROP VIEW app.v;"},
        taken_back{"CREATE INDEX by_note ON orders (note)", "DROP INDEX app.by_note;"},
        taken_back{"CREATE INDEX CONCURRENTLY ON orders (note, qty)",
                   "DROP INDEX CONCURRENTLY app.orders_note_qty_idx;"},
        taken_back{"CREATE SCHEMA \"S\"", "DROP SCHEMA \"S\";"},
        taken_back{"CREATE TYPE mood AS ENUM ('a')", "DROP TYPE app.mood;"},
        taken_back{"CREATE TYPE pair AS (a int)", "DROP TYPE app.pair;"},
        taken_back{"CREATE DOMAIN d AS int", "DROP DOMAIN app.d;"},
        taken_back{"CREATE SEQUENCE s", "DROP SEQUENCE app.s;"},
        taken_back{"CREATE FUNCTION f(a int DEFAULT (1 + 2), VARIADIC b numeric(3, 1)[] = '{}') RETURNS int "
                   "LANGUAGE sql AS 'SELECT 1'",
                   "DROP FUNCTION app.f(a int, VARIADIC b numeric(3, 1)[]);"},
        taken_back{"CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'", "DROP PROCEDURE app.p();"},
        taken_back{"CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION f()",
                   "DROP TRIGGER t ON app.orders;"},
        taken_back{"CREATE POLICY p ON orders", "DROP POLICY p ON app.orders;"},
        taken_back{"ALTER TABLE orders ADD COLUMN a int", "ALTER TABLE app.orders DROP COLUMN a;"},
        taken_back{"ALTER TABLE ONLY orders ADD a int, ADD CONSTRAINT c CHECK (a > 0)",
                   "ALTER TABLE ONLY app.orders DROP CONSTRAINT c, DROP COLUMN a;"},
        taken_back{"ALTER TABLE orders ALTER note SET NOT NULL",
                   "ALTER TABLE app.orders ALTER COLUMN note DROP NOT NULL;"},
        taken_back{"ALTER TABLE orders ALTER id DROP NOT NULL",
                   "ALTER TABLE app.orders ALTER COLUMN id SET NOT NULL;"},
        taken_back{"ALTER TABLE orders ALTER note SET DEFAULT 'secret'",
                   "ALTER TABLE app.orders ALTER COLUMN note DROP DEFAULT;"},
        taken_back{"ALTER TABLE orders ADD CHECK (qty > 0), ADD CHECK (qty < 9)",
                   "ALTER TABLE app.orders DROP CONSTRAINT orders_qty_check1, DROP CONSTRAINT "
                   "orders_qty_check;"},
        taken_back{"ALTER TABLE orders ADD PRIMARY KEY (id, note)",
                   "ALTER TABLE app.orders DROP CONSTRAINT orders_pkey, ALTER COLUMN note DROP NOT NULL;"},
        taken_back{"ALTER TABLE orders RENAME TO \"Orders\"", "ALTER TABLE app.\"Orders\" RENAME TO orders;"},
        taken_back{"ALTER TABLE orders RENAME note TO remark",
                   "ALTER TABLE app.orders RENAME COLUMN remark TO note;"},
        taken_back{"ALTER TABLE orders RENAME CONSTRAINT a TO b",
                   "ALTER TABLE app.orders RENAME CONSTRAINT b TO a;"},
        taken_back{"ALTER TRIGGER a ON orders RENAME TO b", "ALTER TRIGGER b ON app.orders RENAME TO a;"},
        taken_back{"ALTER SCHEMA a RENAME TO b", "ALTER SCHEMA b RENAME TO a;"},
        taken_back{"ALTER TABLE orders SET SCHEMA public", "ALTER TABLE public.orders SET SCHEMA app;"},
        taken_back{"ALTER TYPE app.mood RENAME VALUE 'a' TO 'it''s'",
                   "ALTER TYPE app.mood RENAME VALUE 'it''s' TO 'a';"},
        taken_back{"ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
                   "ALTER TABLE app.orders DISABLE ROW LEVEL SECURITY;"}));

class NoInverse : public testing::TestWithParam<std::string> {};

TEST_P(NoInverse, in_doubt_and_says_why) {
  const inverse result = inverse_in(orders, GetParam());
  EXPECT_EQ(result.sql, "");
  EXPECT_NE(result.why_not, "");
}

INSTANTIATE_TEST_SUITE_P(
    Statements, NoInverse,
    testing::Values("CREATE TABLE IF NOT EXISTS orders (id int)",
                    "CREATE OR REPLACE VIEW orders AS SELECT 1 AS a",
                    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                    "ALTER TABLE orders ALTER note DROP NOT NULL", "ALTER TABLE orders ALTER id SET NOT NULL",
                    "ALTER TABLE orders ALTER qty SET DEFAULT 1", "ALTER TABLE orders ALTER qty DROP DEFAULT",
                    "ALTER TABLE orders DROP COLUMN note", "ALTER TABLE orders ALTER qty TYPE text",
                    "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text",
                    "ALTER TABLE orders ADD CONSTRAINT k UNIQUE USING INDEX i",
                    "ALTER TABLE orders ADD COLUMN a int UNIQUE, ADD CHECK (qty > 0)",
                    "ALTER TABLE orders DISABLE TRIGGER ALL", "ALTER TABLE elsewhere ADD COLUMN a int",
                    "ALTER TABLE IF EXISTS other.elsewhere ADD COLUMN a int", "DROP TABLE orders",
                    "TRUNCATE orders", "GRANT SELECT ON orders TO app", "ALTER TYPE app.mood ADD VALUE 'b'",
                    "CREATE SCHEMA AUTHORIZATION CURRENT_USER", "CREATE SCHEMA IF NOT EXISTS s",
                    "CREATE SEQUENCE IF NOT EXISTS s"));

TEST(Inverse, names_that_postgresql_chose_are_not_told_behind_other_changes) {
  const std::string text = "CREATE INDEX ON orders (note); CREATE INDEX ON orders (note)";
  EXPECT_EQ(inverse_in(orders, text, 0).sql, "DROP INDEX app.orders_note_idx;");
  const inverse second = inverse_in(orders, text, 1);
  EXPECT_EQ(second.sql, "");
  EXPECT_EQ(second.why_not, "the name that PostgreSQL chose is not known");
}

TEST(Inverse, old_state_is_not_told_behind_a_change_of_the_same_table) {
  const std::string text =
      "ALTER TABLE orders ALTER note SET NOT NULL; ALTER TABLE orders ALTER note DROP NOT NULL";
  EXPECT_EQ(inverse_in(orders, text, 1).sql, "");
}

TEST(Inverse, says_what_is_lost_and_what_it_is_about) {
  const inverse added = inverse_in(orders, "ALTER TABLE orders ADD a int, ADD \"B\" int");
  EXPECT_EQ(added.lost, "the values of column a, \"B\" of app.orders");
  EXPECT_THAT(added.objects, testing::ElementsAre("app.orders"));
  const inverse renamed = inverse_in(orders, "ALTER TABLE orders RENAME TO o");
  EXPECT_EQ(renamed.lost, "");
  EXPECT_THAT(renamed.objects, testing::ElementsAre("app.orders", "app.o"));
}

}  // namespace
}  // namespace tidegate::test
