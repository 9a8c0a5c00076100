#include "policies/plan/filling.hpp"

#include "policies/plan/migration_tool.hpp"
#include "policies/sql/parse.hpp"

#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using policies::filling;

const filling by_key{.table = "ONLY public.orders", .column = "\"C\"", .key = {"a", "\"B\""}};
const filling by_page{.table = "t", .column = "c"};

TEST(Filling, walks_by_the_key_from_where_the_last_batch_ended) {
  EXPECT_EQ(batch_end_query(by_key, false),
            "SELECT a, \"B\" FROM ONLY public.orders ORDER BY a, \"B\" OFFSET $1::pg_catalog.int8 LIMIT 1");
  EXPECT_EQ(batch_end_query(by_key, true),
            "SELECT a, \"B\" FROM ONLY public.orders WHERE (a, \"B\") > ($2, $3) ORDER BY a, \"B\" OFFSET "
            "$1::pg_catalog.int8 LIMIT 1");
}

TEST(Filling, touches_rows_without_a_value_only) {
  EXPECT_EQ(
      batch_query(by_key, true, true),
      "WITH filled AS (UPDATE ONLY public.orders SET \"C\" = DEFAULT WHERE \"C\" IS NULL AND (a, \"B\") > "
      "($1, $2) AND (a, \"B\") <= ($3, $4) RETURNING 1) SELECT pg_catalog.count(*) FROM filled");
  EXPECT_EQ(
      batch_query(by_key, false, true),
      "WITH filled AS (UPDATE ONLY public.orders SET \"C\" = DEFAULT WHERE \"C\" IS NULL AND (a, \"B\") <= "
      "($1, $2) RETURNING 1) SELECT pg_catalog.count(*) FROM filled");
  EXPECT_EQ(
      batch_query(by_key, true, false),
      "WITH filled AS (UPDATE ONLY public.orders SET \"C\" = DEFAULT WHERE \"C\" IS NULL AND (a, \"B\") > "
      "($1, $2) RETURNING 1) SELECT pg_catalog.count(*) FROM filled");
}

TEST(Filling, of_a_table_without_a_key_goes_by_pages) {
  const std::string sql = batch_query(by_page, true, true);
  EXPECT_NE(sql.find("ctid >= ('(' || $1 || ',0)')::pg_catalog.tid"), std::string::npos) << sql;
  EXPECT_NE(sql.find("ctid < ('(' || $2 || ',0)')::pg_catalog.tid"), std::string::npos) << sql;
  EXPECT_TRUE(sql::parse(sql).ok());
}

TEST(MigrationTool, is_recognised_by_its_name_or_its_comments) {
  using policies::outside_transaction;
  EXPECT_NE(outside_transaction("Rails", "").find("disable_ddl_transaction!"), std::string_view::npos);
  EXPECT_NE(outside_transaction("", "ALTER TABLE t /*framework='django%3A4'*/").find("atomic = False"),
            std::string_view::npos);
  EXPECT_NE(outside_transaction("Flyway by Redgate", "").find("executeInTransaction=false"),
            std::string_view::npos);
  EXPECT_TRUE(outside_transaction("psql", "ALTER TABLE flyway ADD c int").empty())
      << "a table's name says nothing";
}

}  // namespace
}  // namespace tidegate::test
