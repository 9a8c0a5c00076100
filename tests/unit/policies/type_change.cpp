// Type pairs against what PostgreSQL 15 was measured to do (tests/cases/types/pairs_15.tsv), and the facts
// that change the answer: time zone, version, USING, missing facts.
#include "policies/type_change.hpp"

#include "policies/sql/parse.hpp"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::policies {
namespace {

type_facts domain(const std::string& name, const std::string& base, std::int32_t modifier, bool constrained) {
  return {.schema = "m",
          .name = name,
          .kind = 'd',
          .base_schema = "pg_catalog",
          .base = base,
          .base_modifier = modifier,
          .domain_constrained = constrained,
          .used_by = {}};
}

void bind_domains(catalog_snapshot& catalog) {
  for (const std::string schema : {"", "m"}) {
    const auto name = [&](std::string domain_name) {
      return sql::type_name{.schema = schema, .name = std::move(domain_name), .modifiers = {}, .text = {}};
    };
    catalog.bind_type(name("dom_plain"), domain("dom_plain", "int4", -1, false));
    catalog.bind_type(name("dom_check"), domain("dom_check", "int4", -1, true));
    catalog.bind_type(name("dom_text"), domain("dom_text", "text", -1, false));
    catalog.bind_type(name("dom_vc10"), domain("dom_vc10", "varchar", 14, false));
    catalog.bind_type(name("dom_vc20"), domain("dom_vc20", "varchar", 24, false));
    catalog.bind_type(
        name("citext"),
        type_facts{.schema = "public", .name = "citext", .base_schema = {}, .base = {}, .used_by = {}});
  }
}

catalog_snapshot utc_catalog() {
  catalog_snapshot catalog;
  catalog.available = true;
  bind_domains(catalog);
  return catalog;
}

column_facts column_of(const std::string& schema, const std::string& type, std::int32_t modifier) {
  column_facts column;
  column.name = "c";
  column.type_schema = schema;
  column.type = type;
  column.type_modifier = modifier;
  return column;
}

type_change change(const column_facts* column, const std::string& type_and_using,
                   const catalog_snapshot& catalog) {
  const auto parsed = sql::parse("ALTER TABLE t ALTER c TYPE " + type_and_using);
  EXPECT_TRUE(parsed.ok()) << type_and_using;
  if (!parsed.ok()) return {};
  return change_of(parsed.statements[0].as<sql::alter_table>()->commands[0], column, catalog, "t.c");
}

TEST(type_change, agrees_with_every_measured_pair) {
  const auto catalog = utc_catalog();
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/cases/types/pairs_15.tsv");
  int pairs = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream cells(line);
    std::vector<std::string> cell;
    for (std::string text; std::getline(cells, text, '\t');) cell.push_back(text);
    ASSERT_EQ(cell.size(), 7U) << line;
    const auto column = column_of(cell[1], cell[2], std::stoi(cell[3]));
    const auto found = change(&column, cell[4], catalog);
    EXPECT_EQ(found.rewrites, cell[5] == "yes") << cell[0] << " to " << cell[4];
    if (cell[6] != "-") {
      EXPECT_EQ(found.changes_indexes, cell[6] == "yes") << cell[0] << " to " << cell[4];
    }
    EXPECT_EQ(found.lacked_fact, "") << cell[0] << " to " << cell[4];
    ++pairs;
  }
  EXPECT_GT(pairs, 1000);
}

TEST(type_change, timestamps_change_zone_without_rewrite_only_where_the_offset_is_zero) {
  auto catalog = utc_catalog();
  const auto column = column_of("pg_catalog", "timestamp", -1);
  for (const char* zone : {"UTC", "Etc/UTC", "gmt", "<+00>+00"}) {
    catalog.time_zone = zone;
    EXPECT_FALSE(change(&column, "timestamptz", catalog).rewrites) << zone;
  }
  for (const char* zone : {"Europe/London", "Europe/Lisbon", "", "Africa/Abidjan"}) {
    catalog.time_zone = zone;
    EXPECT_TRUE(change(&column, "timestamptz", catalog).rewrites) << zone;
  }
  catalog.time_zone = "UTC";
  catalog.server_version = 110000;
  EXPECT_TRUE(change(&column, "timestamptz", catalog).rewrites);
}

TEST(type_change, using_the_column_itself_is_no_computation) {
  const auto catalog = utc_catalog();
  const auto text = column_of("pg_catalog", "text", -1);
  EXPECT_FALSE(change(&text, "text USING c", catalog).rewrites);
  EXPECT_FALSE(change(&text, "text USING c::text", catalog).rewrites);
  EXPECT_FALSE(change(&text, "varchar USING c::varchar", catalog).rewrites);
  EXPECT_TRUE(change(&text, "text USING other", catalog).rewrites);
  EXPECT_TRUE(change(&text, "text USING lower(c)", catalog).rewrites);
  EXPECT_TRUE(change(&text, "text USING c::int4::text", catalog).rewrites);
  const auto moment = column_of("pg_catalog", "timestamp", -1);
  EXPECT_TRUE(change(&moment, "timestamptz USING c AT TIME ZONE 'UTC'", catalog).rewrites);
  EXPECT_EQ(change(&moment, "timestamptz USING c AT TIME ZONE 'UTC'", catalog).lacked_fact, "");
}

TEST(type_change, without_facts_the_worst_is_assumed_and_said) {
  const catalog_snapshot nothing;
  const auto found = change(nullptr, "varchar(40)", nothing);
  EXPECT_TRUE(found.rewrites);
  EXPECT_EQ(found.lacked_fact, "the current type of t.c");
  const auto column = column_of("pg_catalog", "int4", -1);
  EXPECT_THAT(change(&column, "mystery", nothing).lacked_fact, testing::HasSubstr("mystery"));
}

TEST(type_change, a_narrower_type_is_known_from_both_sides) {
  const auto catalog = utc_catalog();
  const auto narrows = [&](const std::string& from, std::int32_t modifier, const std::string& to) {
    const auto column = column_of("pg_catalog", from, modifier);
    return change(&column, to, catalog).narrows;
  };
  EXPECT_TRUE(narrows("varchar", 24, "varchar(10)"));
  EXPECT_TRUE(narrows("text", -1, "varchar(500)"));
  EXPECT_TRUE(narrows("int8", -1, "int4"));
  EXPECT_TRUE(narrows("numeric", (10 << 16 | 2) + 4, "numeric(8,2)"));
  EXPECT_TRUE(narrows("numeric", (10 << 16 | 2) + 4, "numeric(10,4)"));
  EXPECT_TRUE(narrows("numeric", (10 << 16 | 2) + 4, "bigint"));
  EXPECT_TRUE(narrows("timestamp", -1, "timestamp(0)"));
  EXPECT_TRUE(narrows("timestamptz", -1, "date"));
  EXPECT_TRUE(narrows("int8", -1, "numeric(10)"));
  EXPECT_FALSE(narrows("varchar", 24, "varchar(40)"));
  EXPECT_FALSE(narrows("varchar", 24, "text"));
  EXPECT_FALSE(narrows("int4", -1, "int8"));
  EXPECT_FALSE(narrows("int4", -1, "numeric(10)"));
  EXPECT_FALSE(narrows("numeric", (10 << 16 | 2) + 4, "numeric(14,2)"));
  EXPECT_FALSE(narrows("timestamp", 3, "timestamp(6)"));
  EXPECT_FALSE(narrows("date", -1, "timestamp"));
}

TEST(type_change, a_change_of_the_modifier_alone_is_visible) {
  const auto catalog = utc_catalog();
  const auto column = column_of("pg_catalog", "varchar", 24);
  EXPECT_TRUE(change(&column, "varchar(40)", catalog).visible);
  EXPECT_FALSE(change(&column, "varchar(20)", catalog).visible);
  EXPECT_FALSE(change(&column, "varchar(20) COLLATE \"C\"", catalog).visible);
}

TEST(type_change, types_are_spelled_as_one_writes_them) {
  EXPECT_EQ(in_words({"pg_catalog", "varchar", 24}), "varchar(20)");
  EXPECT_EQ(in_words({"pg_catalog", "numeric", (10 << 16 | 2) + 4}), "numeric(10,2)");
  EXPECT_EQ(in_words({"pg_catalog", "int8", -1}), "bigint");
  EXPECT_EQ(in_words({"pg_catalog", "_varchar", 24}), "varchar(20)[]");
}

}  // namespace
}  // namespace tidegate::policies
