#include "policies/sql/parse.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::sql {
namespace {

using ::testing::ElementsAre;

parsed read(std::string_view body) {
  return parse("DO $body$ " + std::string(body) + " $body$");
}

const do_block& block_of(const parsed& result) {
  return *result.statements.at(0).as<do_block>();
}

std::vector<std::string> tags(std::string_view body) {
  const parsed result = read(body);
  std::vector<std::string> names;
  for (const statement& s : block_of(result).statements) names.emplace_back(s.tag);
  EXPECT_FALSE(block_of(result).opaque) << body;
  return names;
}

TEST(do_block, finds_static_statements) {
  EXPECT_THAT(tags("BEGIN ALTER TABLE t ADD c int; DROP TABLE u; END"),
              ElementsAre("ALTER TABLE", "DROP TABLE"));
  EXPECT_THAT(tags("DECLARE a int := 1; BEGIN a := 2; SELECT x INTO STRICT a FROM t; PERFORM f(a); END"),
              ElementsAre("SELECT", "SELECT"));
  EXPECT_THAT(tags("<<l>> BEGIN IF CASE WHEN a THEN b ELSE c END THEN TRUNCATE t; ELSIF x THEN NULL; ELSE "
                   "DROP TABLE t; "
                   "END IF; EXCEPTION WHEN others THEN DROP TABLE u; END l"),
              ElementsAre("TRUNCATE TABLE", "DROP TABLE", "DROP TABLE"));
  EXPECT_THAT(tags("BEGIN CASE a WHEN 1 THEN DROP TABLE t; ELSE DROP VIEW v; END CASE; END"),
              ElementsAre("DROP TABLE", "DROP VIEW"));
  EXPECT_THAT(tags("BEGIN FOR r IN SELECT * FROM t LOOP DROP TABLE u; END LOOP; FOR i IN 1..10 LOOP NULL; "
                   "END LOOP; END"),
              ElementsAre("SELECT", "DROP TABLE"));
  EXPECT_THAT(tags("BEGIN RETURN QUERY SELECT 1; RAISE NOTICE 'DROP TABLE t'; END"), ElementsAre("SELECT"));
}

TEST(do_block, reads_constant_dynamic_sql_and_reports_the_rest) {
  EXPECT_THAT(tags("BEGIN EXECUTE 'DROP TABLE \"it''s\"'; EXECUTE $x$DROP VIEW v$x$ USING 1; END"),
              ElementsAre("DROP TABLE", "DROP VIEW"));
  for (const char* body :
       {"BEGIN EXECUTE 'DROP TABLE ' || name; END", "BEGIN EXECUTE format('DROP %I', a); END",
        "BEGIN FOR r IN EXECUTE q LOOP NULL; END LOOP; END", "BEGIN RETURN QUERY EXECUTE q; END",
        "BEGIN OPEN c FOR EXECUTE q; END"}) {
    const parsed result = read(body);
    EXPECT_TRUE(block_of(result).has_dynamic_sql) << body;
    EXPECT_TRUE(result.statements.at(0).ddl) << body;
  }
}

TEST(do_block, says_what_it_can_not_read) {
  EXPECT_TRUE(block_of(read("BEGIN ALTER TABLE FROM; END")).opaque);
  EXPECT_TRUE(block_of(parse("DO LANGUAGE plpython3u 'x = 1'")).opaque);
  EXPECT_TRUE(parse("DO LANGUAGE plpython3u 'x = 1'").statements.at(0).ddl);
}

TEST(do_block, notes_loops_and_commits) {
  const parsed loop = read("BEGIN FOR i IN 1..9 LOOP UPDATE t SET a = 1 WHERE id = i; COMMIT; END LOOP; END");
  EXPECT_TRUE(block_of(loop).has_loop_with_dml);
  EXPECT_TRUE(block_of(loop).commits);
  EXPECT_FALSE(block_of(read("BEGIN LOOP NULL; END LOOP; UPDATE t SET a = 1; END")).has_loop_with_dml);
}

TEST(do_block, has_no_positions_of_its_own) {
  const parsed result = read("BEGIN ALTER TABLE t ADD c int DEFAULT f(); END");
  const statement& inner = block_of(result).statements.at(0);
  EXPECT_EQ(inner.range.begin, -1);
  EXPECT_EQ(inner.as<alter_table>()->relation.at, -1);
  EXPECT_EQ(inner.as<alter_table>()->commands.at(0).column->find(constraint_kind::default_value)->value->text,
            "f()");
}

TEST(do_block, does_not_follow_without_end) {
  std::string text = "DROP TABLE t";
  for (int depth = 0; depth < 20; ++depth) {
    const std::string tag = "$d" + std::to_string(depth) + "$";
    text = "DO " + tag + " BEGIN " + text + "; END " + tag;
  }
  const parsed result = parse(text);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result.statements.at(0).ddl);
}

}  // namespace
}  // namespace tidegate::sql
