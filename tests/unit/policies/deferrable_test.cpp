#include "policies/plan/deferrable.hpp"

#include "policies/sql/parse.hpp"

#include <gtest/gtest.h>

namespace tidegate::policies {
namespace {

bool deferrable(const char* text) {
  const auto parsed = sql::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return is_deferrable(parsed.statements.front());
}

TEST(Deferrable, what_only_adds_to_what_the_rest_does_not_name) {
  for (const char* text :
       {"CREATE INDEX ON t (a)", "CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a)",
        "ALTER TABLE t ADD CHECK (a > 0)", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u",
        "ALTER TABLE t ADD PRIMARY KEY (a)",
        "ALTER TABLE t ALTER a SET NOT NULL, ADD CONSTRAINT c UNIQUE (a)",
        "ALTER TABLE t VALIDATE CONSTRAINT c"})
    EXPECT_TRUE(deferrable(text)) << text;
}

TEST(Deferrable, nothing_that_the_rest_may_use_or_that_cannot_wait) {
  for (const char* text :
       {"ALTER TABLE t ADD COLUMN a int", "ALTER TABLE t ADD CHECK (a > 0), ADD COLUMN b serial",
        "ALTER TABLE t DROP CONSTRAINT c", "ALTER TABLE t ALTER a TYPE bigint",
        "CREATE INDEX CONCURRENTLY ON t (a)", "DROP INDEX i", "REINDEX TABLE t",
        "ALTER TABLE t ATTACH PARTITION p DEFAULT"})
    EXPECT_FALSE(deferrable(text)) << text;
}

}  // namespace
}  // namespace tidegate::policies
