// What PostgreSQL 16 to 18 understand and the parser does not.
#include "policies/sql/parse.hpp"

#include <string_view>

#include <gtest/gtest.h>

namespace tidegate::sql {
namespace {

alter_command first_command(std::string_view text) {
  const parsed result = parse(text);
  EXPECT_TRUE(result.ok()) << text << ": " << (result.error ? result.error->message : "");
  if (!result.ok()) return {};
  return result.statements.at(0).as<alter_table>()->commands.at(0);
}

TEST(newer_syntax, knows_virtual_columns) {
  for (const std::string_view text : {"ALTER TABLE t ADD c int GENERATED ALWAYS AS (a * f(2)) VIRTUAL",
                                      "ALTER TABLE t ADD c int GENERATED ALWAYS AS (a * f(2))"}) {
    const alter_command add = first_command(text);
    const auto* generated = add.column->find(constraint_kind::generated_virtual);
    ASSERT_NE(generated, nullptr) << text;
    EXPECT_EQ(generated->value->functions.at(0).name, "f");
    EXPECT_EQ(add.column->find(constraint_kind::default_value), nullptr);
  }
  const alter_command stored =
      first_command("ALTER TABLE t ADD c int GENERATED ALWAYS AS (a) STORED, ADD d int STORAGE MAIN");
  EXPECT_NE(stored.column->find(constraint_kind::generated_stored), nullptr);
}

TEST(newer_syntax, keeps_positions) {
  const std::string_view text = "ALTER TABLE t ADD c int GENERATED ALWAYS AS (a) VIRTUAL, DROP d";
  const parsed result = parse(text);
  ASSERT_TRUE(result.ok());
  const text_range range = result.statements.at(0).as<alter_table>()->commands.at(1).range;
  EXPECT_EQ(text.substr(static_cast<std::size_t>(range.begin)), "DROP d");
}

TEST(newer_syntax, knows_set_expression) {
  const alter_command change = first_command("ALTER TABLE t ALTER c SET EXPRESSION AS (a + 1)");
  EXPECT_EQ(change.action, alter_action::set_expression);
  EXPECT_EQ(change.value->text, "(a + 1)");
}

TEST(newer_syntax, knows_constraints_that_are_not_enforced) {
  EXPECT_TRUE(
      first_command("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT ENFORCED").constraint->not_enforced);
  EXPECT_FALSE(
      first_command("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) ENFORCED").constraint->not_enforced);
  EXPECT_TRUE(first_command("ALTER TABLE t ALTER CONSTRAINT k NOT ENFORCED").constraint->not_enforced);
  EXPECT_EQ(first_command("ALTER TABLE t ALTER CONSTRAINT k NO INHERIT").action,
            alter_action::alter_constraint);
}

TEST(newer_syntax, knows_not_null_as_a_table_constraint) {
  const alter_command add = first_command("ALTER TABLE t ADD CONSTRAINT k NOT NULL \"C\" NOT VALID");
  EXPECT_EQ(add.constraint->kind, constraint_kind::not_null);
  EXPECT_EQ(add.constraint->name, "k");
  EXPECT_EQ(add.constraint->columns.at(0), "C");
  EXPECT_TRUE(add.constraint->not_valid);
  EXPECT_FALSE(add.constraint->value);
}

TEST(newer_syntax, knows_numbers_with_underscores_and_bases) {
  EXPECT_EQ(first_command("ALTER TABLE t ADD c varchar(1_000)").column->type.modifiers.at(0), 1000);
  EXPECT_EQ(first_command("ALTER TABLE t ADD c varchar(0xFF)").column->type.modifiers.at(0), 255);
}

TEST(newer_syntax, takes_other_forms_without_loss) {
  for (const std::string_view text :
       {"ALTER TABLE t ALTER c SET STATISTICS DEFAULT", "CREATE TABLE t (a text STORAGE EXTERNAL, b int)",
        "ALTER TABLE t ADD PRIMARY KEY (a, b WITHOUT OVERLAPS)", "VACUUM ONLY t", "ALTER TABLE t\vADD c int",
        "ALTER TABLE t ADD FOREIGN KEY (a, PERIOD b) REFERENCES r (a, PERIOD b)"})
    EXPECT_TRUE(parse(text).ok()) << text;
}

TEST(newer_syntax, leaves_real_errors_errors) {
  EXPECT_FALSE(parse("ALTER TABLE t ADD c int GENERATED ALWAYS AS (a) VIRTUAL oops oops").ok());
}

}  // namespace
}  // namespace tidegate::sql
