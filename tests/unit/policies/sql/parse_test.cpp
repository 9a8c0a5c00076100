#include "policies/sql/parse.hpp"

#include "tests/unit/policies/sql/sql_cases.hpp"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::sql {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The one statement of a text, which must be of type T.
template <class T>
struct only {
  explicit only(std::string_view text, parse_options options = {}) : result(parse(text, options)) {
    EXPECT_TRUE(result.ok()) << text << ": " << (result.error ? result.error->message : "");
    EXPECT_EQ(result.statements.size(), 1U) << text;
    value = result.ok() ? result.statements.at(0).template as<T>() : nullptr;
    if (value == nullptr) throw std::runtime_error("another kind of statement: " + std::string(text));
  }
  const T* operator->() const { return value; }
  const statement& whole() const { return result.statements.at(0); }

  parsed result;
  const T* value = nullptr;
};

std::string_view slice(std::string_view text, text_range range) {
  return text.substr(static_cast<std::size_t>(range.begin),
                     static_cast<std::size_t>(range.end - range.begin));
}

TEST(parse, gives_ranges_without_blanks_comments_and_semicolons) {
  const std::string_view text = " /* a */ SELECT 1 ;\n-- b\n DROP TABLE t -- c\n; ;";
  const parsed result = parse(text);
  ASSERT_EQ(result.statements.size(), 2U);
  EXPECT_EQ(slice(text, result.statements[0].range), "SELECT 1");
  EXPECT_EQ(slice(text, result.statements[1].range), "DROP TABLE t");
  EXPECT_FALSE(result.statements[0].ddl);
  EXPECT_TRUE(result.statements[1].ddl);
}

TEST(parse, reports_where_a_syntax_error_is) {
  const parsed result = parse("ALTER TABLE t ADD COLUMN");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error->failure, parse_failure::syntax);
  EXPECT_EQ(result.error->at, 24);
}

TEST(parse, refuses_a_statement_beyond_the_limit) {
  const parsed result = parse("CREATE TABLE t (a int)", {.limit_bytes = 10});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error->failure, parse_failure::too_long);
}

TEST(parse, takes_long_texts_statement_by_statement) {
  const std::string_view text = "SELECT 1; CREATE TABLE t (a int); CREATE TABLE u (b int)";
  const parsed result = parse(text, {.limit_bytes = 30});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result.statements.size(), 3U);
  EXPECT_EQ(slice(text, result.statements[2].range), "CREATE TABLE u (b int)");
  EXPECT_EQ(slice(text, result.statements[2].as<create_table>()->columns.at(0).range), "b int");
}

TEST(parse, passes_a_newer_form_of_a_harmless_statement) {
  const parsed result =
      parse("ALTER TABLE t ADD c int; SELECT JSON_VALUE(a, '$.b' DEFAULT 1 ON EMPTY) FROM t");
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result.statements.size(), 2U);
  EXPECT_EQ(result.statements[1].as<other_statement>()->node, "Unparsed");
  EXPECT_EQ(result.statements[1].tag, "SELECT");
}

TEST(parse, reads_backslashes_as_the_server_does) {
  EXPECT_EQ(parse(R"(SELECT 'x\'; DROP TABLE t; --')").statements.size(), 2U);
  EXPECT_EQ(
      parse(R"(SELECT 'x\'; DROP TABLE t; --')", {.standard_conforming_strings = false}).statements.size(),
      1U);
  EXPECT_NO_THROW(check_parser());
}

TEST(alter_table, has_every_command_with_its_range) {
  const std::string_view text =
      "ALTER TABLE IF EXISTS ONLY a.\"T\" ADD COLUMN IF NOT EXISTS c varchar(20)[] COLLATE \"C\" NOT NULL "
      "DEFAULT f(1, 2), "
      "DROP COLUMN IF EXISTS d CASCADE";
  const only<alter_table> alter(text);
  EXPECT_EQ(alter->relation.schema, "a");
  EXPECT_EQ(alter->relation.name, "T");
  EXPECT_EQ(alter->relation.at, 27);
  EXPECT_TRUE(alter->only);
  EXPECT_TRUE(alter->if_exists);
  ASSERT_EQ(alter->commands.size(), 2U);
  const alter_command& add = alter->commands[0];
  EXPECT_EQ(add.action, alter_action::add_column);
  EXPECT_TRUE(add.if_not_exists);
  EXPECT_TRUE(slice(text, add.range).ends_with("DEFAULT f(1, 2)"));
  EXPECT_EQ(add.column->type.name, "varchar");
  EXPECT_THAT(add.column->type.modifiers, ElementsAre(20));
  EXPECT_EQ(add.column->type.array_dimensions, 1);
  EXPECT_EQ(add.column->type.text, "varchar(20)[]");
  EXPECT_EQ(add.column->collation, "C");
  ASSERT_NE(add.column->find(constraint_kind::not_null), nullptr);
  const constraint_definition* value = add.column->find(constraint_kind::default_value);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(value->value->text, "f(1, 2)");
  EXPECT_EQ(value->value->functions.at(0).arguments, 2);
  EXPECT_EQ(value->value->functions.at(0).constant_arguments.at(1), "2");
  EXPECT_EQ(alter->commands[1].action, alter_action::drop_column);
  EXPECT_TRUE(alter->commands[1].if_exists);
  EXPECT_TRUE(alter->commands[1].cascade);
}

TEST(alter_table, reads_a_change_of_type) {
  const only<alter_table> alter(
      "ALTER TABLE t ALTER c TYPE timestamp (3) with time zone USING c::text::timestamptz");
  const alter_command& change = alter->commands.at(0);
  EXPECT_EQ(change.action, alter_action::alter_type);
  EXPECT_EQ(change.name, "c");
  EXPECT_EQ(change.column->type.text, "timestamp (3) with time zone");
  EXPECT_EQ(change.value->shape, expression_shape::cast_column);
  EXPECT_EQ(change.value->text, "c::text::timestamptz");
  ASSERT_EQ(change.value->casts.size(), 2U);
  EXPECT_EQ(change.value->casts[0].name, "text");
  EXPECT_EQ(change.value->casts[1].name, "timestamptz");
}

TEST(alter_table, reads_constraints) {
  const std::string_view text =
      "ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0 AND b < now()) NO INHERIT NOT VALID, ADD UNIQUE USING "
      "INDEX i, "
      "ADD FOREIGN KEY (a, b) REFERENCES r.t (x, y) DEFERRABLE INITIALLY DEFERRED, "
      "ADD EXCLUDE USING gist (p WITH &&), ADD PRIMARY KEY (a) INCLUDE (b), DROP CONSTRAINT IF EXISTS z, "
      "VALIDATE CONSTRAINT v, ALTER CONSTRAINT w NOT DEFERRABLE";
  const only<alter_table> alter(text);
  const auto constraint = [&](std::size_t i) -> const constraint_definition& {
    return *alter->commands.at(i).constraint;
  };
  EXPECT_EQ(constraint(0).value->text, "a > 0 AND b < now()");
  EXPECT_EQ(slice(text, constraint(0).range),
            "CONSTRAINT k CHECK (a > 0 AND b < now()) NO INHERIT NOT VALID");
  EXPECT_TRUE(constraint(0).not_valid);
  EXPECT_TRUE(constraint(0).no_inherit);
  EXPECT_THAT(constraint(0).value->columns, ::testing::UnorderedElementsAre("a", "b"));
  EXPECT_THAT(constraint(0).value->operators, ElementsAre("<", ">"));
  EXPECT_EQ(constraint(1).using_index, "i");
  EXPECT_EQ(constraint(2).kind, constraint_kind::foreign_key);
  EXPECT_THAT(constraint(2).columns, ElementsAre("a", "b"));
  EXPECT_EQ(constraint(2).referenced->schema, "r");
  EXPECT_THAT(constraint(2).referenced_columns, ElementsAre("x", "y"));
  EXPECT_TRUE(constraint(2).deferrable);
  EXPECT_TRUE(constraint(2).initially_deferred);
  EXPECT_FALSE(constraint(2).not_valid);
  EXPECT_EQ(constraint(3).kind, constraint_kind::exclusion);
  EXPECT_THAT(constraint(3).columns, ElementsAre("p"));
  EXPECT_THAT(constraint(4).included, ElementsAre("b"));
  EXPECT_EQ(alter->commands[5].action, alter_action::drop_constraint);
  EXPECT_TRUE(alter->commands[5].if_exists);
  EXPECT_EQ(alter->commands[6].action, alter_action::validate_constraint);
  EXPECT_EQ(alter->commands[7].action, alter_action::alter_constraint);
  EXPECT_EQ(alter->commands[7].name, "w");
}

TEST(alter_table, reads_small_commands) {
  const only<alter_table> alter(
      "ALTER TABLE t ALTER c SET DEFAULT 1, ALTER c DROP DEFAULT, ALTER c SET NOT NULL, ALTER c DROP NOT "
      "NULL, "
      "ALTER c DROP EXPRESSION, ALTER c ADD GENERATED ALWAYS AS IDENTITY, ALTER c DROP IDENTITY, SET LOGGED, "
      "SET TABLESPACE s, SET (autovacuum_enabled = false, toast.x), ENABLE TRIGGER ALL, DISABLE TRIGGER a, "
      "OWNER TO o, "
      "INHERIT p, REPLICA IDENTITY USING INDEX i, ENABLE ROW LEVEL SECURITY, CLUSTER ON i");
  using enum alter_action;
  const alter_action expected[] = {
      set_default,   drop_default, set_not_null,     drop_not_null,       drop_expression, add_identity,
      drop_identity, set_logged,   set_tablespace,   set_options,         enable_trigger,  disable_trigger,
      owner_to,      inherit,      replica_identity, enable_row_security, cluster_on};
  ASSERT_EQ(alter->commands.size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(alter->commands[i].action, expected[i]) << i;
  EXPECT_EQ(alter->commands[0].value->shape, expression_shape::constant);
  EXPECT_TRUE(alter->commands[5].constraint->identity_always);
  EXPECT_EQ(alter->commands[9].options.at(0).value, "false");
  EXPECT_EQ(alter->commands[9].options.at(1).name, "toast.x");
  EXPECT_EQ(alter->commands[9].options.at(1).value, "true");
  EXPECT_TRUE(alter->commands[10].all);
  EXPECT_EQ(alter->commands[11].name, "a");
  EXPECT_EQ(alter->commands[12].name, "o");
  EXPECT_EQ(alter->commands[13].partition->name, "p");
  EXPECT_EQ(alter->commands[14].name, "i");
}

TEST(alter_table, reads_partitions_and_other_kinds) {
  EXPECT_EQ(only<alter_table>("ALTER TABLE t ATTACH PARTITION p DEFAULT")->commands.at(0).bound->strategy, 0);
  const only<alter_table> detach("ALTER TABLE t DETACH PARTITION a.p CONCURRENTLY");
  EXPECT_TRUE(detach->commands.at(0).concurrently);
  EXPECT_EQ(detach->commands.at(0).partition->schema, "a");
  EXPECT_EQ(only<alter_table>("ALTER INDEX i SET (fillfactor = 80)")->kind, object_kind::index);
  EXPECT_EQ(only<alter_table>("ALTER VIEW v ALTER c SET DEFAULT 1")->kind, object_kind::view);
  EXPECT_EQ(only<alter_table>("ALTER TYPE t ADD ATTRIBUTE a int")->kind, object_kind::composite_type);
  EXPECT_EQ(only<move_all_in_tablespace>("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b")->to, "b");
}

TEST(create_table_statement, reads_columns_and_clauses) {
  const std::string_view text =
      "CREATE UNLOGGED TABLE IF NOT EXISTS s.t (id bigserial PRIMARY KEY, a int REFERENCES r DEFERRABLE, "
      "g int GENERATED ALWAYS AS (a * 2) STORED, i int GENERATED BY DEFAULT AS IDENTITY, LIKE u, CHECK (a > "
      "0)) "
      "INHERITS (p)";
  const only<create_table> create(text);
  EXPECT_TRUE(create->unlogged);
  EXPECT_TRUE(create->if_not_exists);
  ASSERT_EQ(create->columns.size(), 4U);
  EXPECT_TRUE(create->columns[0].is_serial());
  EXPECT_THAT(create->columns[0].find(constraint_kind::primary_key)->columns, ElementsAre("id"));
  EXPECT_EQ(slice(text, create->columns[0].range), "id bigserial PRIMARY KEY");
  const constraint_definition* key = create->columns[1].find(constraint_kind::foreign_key);
  EXPECT_EQ(key->referenced->name, "r");
  EXPECT_TRUE(key->deferrable);
  EXPECT_EQ(create->columns[2].find(constraint_kind::generated_stored)->value->text, "a * 2");
  EXPECT_NE(create->columns[3].find(constraint_kind::identity), nullptr);
  EXPECT_EQ(create->like.at(0).name, "u");
  EXPECT_EQ(create->constraints.at(0).value->text, "a > 0");
  EXPECT_EQ(create->inherits.at(0).name, "p");
}

TEST(partition_bound, is_read_with_its_values) {
  const only<alter_table> attach(
      "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM ('2025-01-01', MINVALUE) TO (DATE '2026-01-01', "
      "now())");
  const auto& range = *attach->commands.at(0).bound;
  EXPECT_EQ(range.strategy, 'r');
  EXPECT_EQ(range.lower.at(0).text, "2025-01-01");
  EXPECT_EQ(range.lower.at(1).what, bound_kind::minvalue);
  EXPECT_EQ(range.upper.at(0).text, "2026-01-01");
  EXPECT_EQ(range.upper.at(1).what, bound_kind::expression);
  EXPECT_EQ(range.upper.at(1).text, "now()");
  EXPECT_EQ(range.text, "FOR VALUES FROM ('2025-01-01', MINVALUE) TO (DATE '2026-01-01', now())");

  const only<create_table> part(
      "CREATE TABLE p PARTITION OF t (a DEFAULT 1) FOR VALUES IN (-1, NULL, 'x') PARTITION BY HASH (b) "
      "TABLESPACE s");
  const auto& list = *part->bound;
  EXPECT_EQ(list.strategy, 'l');
  EXPECT_EQ(list.values.at(0).text, "-1");
  EXPECT_EQ(list.values.at(1).what, bound_kind::null);
  EXPECT_EQ(list.values.at(2).text, "x");
  EXPECT_EQ(part->behind_bound, "PARTITION BY HASH (b) TABLESPACE s");
}

TEST(partition_bound, is_read_as_the_catalog_prints_it) {
  EXPECT_EQ(parse_partition_bound("DEFAULT")->strategy, 0);
  EXPECT_EQ(parse_partition_bound("FOR VALUES WITH (modulus 4, remainder 1)")->strategy, 'h');
  EXPECT_EQ(parse_partition_bound("FOR VALUES FROM (0) TO (10)")->upper.at(0).text, "10");
  EXPECT_FALSE(parse_partition_bound(""));
}

TEST(create_view_statement, knows_its_columns_where_the_text_tells) {
  const only<create_view> view(
      "CREATE VIEW v (a) AS SELECT x, t.y, z AS zz, f(1), x::int8, 1 + 1, b.* FROM t, b");
  ASSERT_EQ(view->columns.size(), 6U);
  EXPECT_EQ(view->columns[0].name, "a");
  EXPECT_EQ(view->columns[1].name, "y");
  EXPECT_EQ(view->columns[2].name, "zz");
  EXPECT_EQ(view->columns[3].name, "f");
  EXPECT_EQ(view->columns[4].name, "x");
  EXPECT_EQ(view->columns[4].type.name, "int8");
  EXPECT_EQ(view->columns[5].name, "");
  EXPECT_FALSE(view->has_all_columns);
  EXPECT_TRUE(only<create_view>("CREATE VIEW v AS SELECT 1 AS a UNION SELECT 2")->has_all_columns);
}

TEST(create_table_statement, tells_its_forms_apart) {
  EXPECT_TRUE(only<create_table>("CREATE TEMP TABLE t (a int)")->temporary);
  EXPECT_TRUE(only<create_table>("CREATE TABLE t (a int) PARTITION BY RANGE (a)")->partitioned);
  const only<create_table> part("CREATE TABLE t PARTITION OF p DEFAULT");
  EXPECT_EQ(part->partition_of->name, "p");
  EXPECT_EQ(part->bound->strategy, 0);
  EXPECT_EQ(part->behind_bound, "");
  EXPECT_TRUE(only<create_table>("CREATE FOREIGN TABLE t (a int) SERVER s")->foreign);
  EXPECT_FALSE(only<create_table_as>("CREATE TABLE t AS SELECT 1")->select_into);
  EXPECT_TRUE(only<create_table_as>("SELECT 1 INTO TEMP t UNION SELECT 2")->select_into);
  EXPECT_TRUE(only<create_table_as>("CREATE MATERIALIZED VIEW v AS SELECT 1 WITH NO DATA")->with_no_data);
}

TEST(indexes, say_where_concurrently_belongs) {
  const std::string_view create_text =
      "CREATE UNIQUE /* INDEX */ INDEX i ON ONLY s.t USING gin (a, lower(b)) WHERE c > 0";
  const only<create_index> create(create_text);
  EXPECT_EQ(create_text.substr(0, static_cast<std::size_t>(create->after_index)),
            "CREATE UNIQUE /* INDEX */ INDEX");
  EXPECT_TRUE(create->unique);
  EXPECT_TRUE(create->only);
  EXPECT_EQ(create->method, "gin");
  EXPECT_THAT(create->columns, ElementsAre("a", ""));
  EXPECT_EQ(create->expressions.at(0).text, "lower(b)");
  EXPECT_EQ(create->where->text, "c > 0");
  EXPECT_TRUE(only<create_index>("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t(a)")->concurrently);
  EXPECT_FALSE(only<create_index>("CREATE INDEX \"concurrently\" ON t(a)")->concurrently);

  const std::string_view drop_text = "DROP INDEX IF EXISTS a.i, j CASCADE";
  const only<drop> dropped(drop_text);
  EXPECT_EQ(drop_text.substr(0, static_cast<std::size_t>(dropped->after_kind)), "DROP INDEX");
  EXPECT_EQ(dropped->objects.at(0).at, 21);
  EXPECT_EQ(dropped->objects.at(1).at, 26);
  EXPECT_TRUE(dropped->cascade);
  EXPECT_TRUE(only<drop>("DROP INDEX CONCURRENTLY i")->concurrently);

  const std::string_view reindex_text = "REINDEX (VERBOSE) TABLE t";
  const only<reindex> again(reindex_text);
  EXPECT_EQ(reindex_text.substr(0, static_cast<std::size_t>(again->after_target)), "REINDEX (VERBOSE) TABLE");
  EXPECT_TRUE(again->verbose);
  EXPECT_FALSE(only<reindex>("REINDEX (CONCURRENTLY false) INDEX i")->concurrently);
  EXPECT_TRUE(only<reindex>("REINDEX SCHEMA CONCURRENTLY s")->concurrently);
  EXPECT_EQ(only<reindex>("REINDEX DATABASE d")->relation.name, "d");
}

TEST(drops, name_what_goes) {
  const only<drop> trigger("DROP TRIGGER g ON s.t");
  EXPECT_EQ(trigger->kind, object_kind::trigger);
  EXPECT_EQ(trigger->objects.at(0).name, "t");
  EXPECT_EQ(trigger->names.at(0), "g");
  EXPECT_EQ(only<drop>("DROP FUNCTION a.f(int) CASCADE")->objects.at(0).schema, "a");
  EXPECT_EQ(only<drop>("DROP TYPE a.t")->objects.at(0).name, "t");
  EXPECT_EQ(only<drop>("DROP SCHEMA a, b CASCADE")->objects.size(), 2U);
  EXPECT_EQ(only<drop_owned>("DROP OWNED BY CURRENT_USER CASCADE")->roles.at(0), "current_user");
  EXPECT_TRUE(only<drop_database>("DROP DATABASE IF EXISTS d")->if_exists);
}

TEST(renames, keep_what_the_statement_called_it) {
  const only<rename> column("ALTER TABLE s.t RENAME COLUMN a TO b");
  EXPECT_EQ(column->kind, object_kind::column);
  EXPECT_EQ(column->relation.schema, "s");
  EXPECT_EQ(column->from, "a");
  EXPECT_EQ(column->to, "b");
  EXPECT_EQ(only<rename>("ALTER VIEW v RENAME COLUMN a TO b")->relation_kind, object_kind::view);
  EXPECT_EQ(only<rename>("ALTER INDEX t RENAME TO u")->relation_kind, object_kind::index);
  EXPECT_EQ(only<rename>("ALTER TABLE t RENAME CONSTRAINT a TO b")->kind, object_kind::constraint);
  EXPECT_EQ(only<rename>("ALTER SCHEMA a RENAME TO b")->relation.name, "a");
  EXPECT_EQ(only<rename>("ALTER TYPE a.t RENAME TO b")->relation.schema, "a");
  EXPECT_EQ(only<rename>("ALTER DOMAIN d RENAME CONSTRAINT a TO b")->relation_kind, object_kind::domain);
  EXPECT_EQ(only<set_schema>("ALTER TABLE t SET SCHEMA s")->to, "s");
  EXPECT_EQ(only<set_schema>("ALTER TYPE a.t SET SCHEMA s")->object.schema, "a");
}

TEST(maintenance, reads_options) {
  EXPECT_EQ(only<cluster>("CLUSTER t USING i")->index, "i");
  EXPECT_FALSE(only<cluster>("CLUSTER")->relation);
  EXPECT_TRUE(only<vacuum>("VACUUM FULL t")->full);
  EXPECT_FALSE(only<vacuum>("VACUUM (FULL off) t")->full);
  EXPECT_FALSE(only<vacuum>("ANALYZE t")->is_vacuum);
  EXPECT_TRUE(only<truncate>("TRUNCATE a, b RESTART IDENTITY CASCADE")->cascade);
  EXPECT_EQ(only<lock_table>("LOCK t")->mode, 8);
  EXPECT_EQ(only<lock_table>("LOCK TABLE a, b IN SHARE MODE NOWAIT")->mode, 5);
  EXPECT_FALSE(only<lock_table>("LOCK t IN ROW SHARE MODE").whole().ddl);
  EXPECT_TRUE(only<refresh_materialized_view>("REFRESH MATERIALIZED VIEW CONCURRENTLY v")->concurrently);
}

TEST(domains_and_enums, are_read) {
  using enum alter_domain_action;
  EXPECT_EQ(only<alter_domain>("ALTER DOMAIN s.d SET NOT NULL")->action, set_not_null);
  EXPECT_EQ(only<alter_domain>("ALTER DOMAIN d DROP DEFAULT")->action, drop_default);
  EXPECT_EQ(only<alter_domain>("ALTER DOMAIN d VALIDATE CONSTRAINT c")->name, "c");
  const only<alter_domain> add("ALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0) NOT VALID");
  EXPECT_TRUE(add->constraint->not_valid);
  EXPECT_EQ(add->constraint->value->text, "value > 0");
  const only<alter_enum> value("ALTER TYPE t ADD VALUE IF NOT EXISTS 'a' BEFORE 'b'");
  EXPECT_TRUE(value->has_position);
  EXPECT_TRUE(value->if_not_exists);
  EXPECT_TRUE(only<alter_enum>("ALTER TYPE t RENAME VALUE 'a' TO 'b'")->rename);
}

TEST(settings, are_read_in_every_form) {
  const only<variable_set> set("SET LOCAL Lock_Timeout = '2s'");
  EXPECT_EQ(set->name, "lock_timeout");
  EXPECT_EQ(set->value, "2s");
  EXPECT_TRUE(set->local);
  EXPECT_EQ(only<variable_set>("SET lock_timeout = 0")->value, "0");
  EXPECT_EQ(only<variable_set>("SET search_path TO a, b")->value, "a, b");
  EXPECT_EQ(only<variable_set>("SET lock_timeout TO DEFAULT")->form, set_form::set_default);
  EXPECT_EQ(only<variable_set>("RESET lock_timeout")->form, set_form::reset);
  EXPECT_EQ(only<variable_set>("RESET ALL")->form, set_form::reset_all);
  EXPECT_EQ(only<variable_set>("SET TRANSACTION READ ONLY")->form, set_form::multi);
  const only<alter_role_set> role("ALTER ROLE r IN DATABASE d SET lock_timeout = 0");
  EXPECT_EQ(role->role, "r");
  EXPECT_EQ(role->database, "d");
  EXPECT_EQ(only<alter_role_set>("ALTER DATABASE d RESET ALL")->setting.form, set_form::reset_all);
  EXPECT_EQ(only<alter_system>("ALTER SYSTEM SET lock_timeout = 0")->setting.value, "0");
  EXPECT_EQ(only<discard>("DISCARD TEMP")->target, discard_target::temp);
}

TEST(transactions, are_told_apart) {
  using enum transaction_action;
  EXPECT_EQ(only<transaction>("START TRANSACTION")->action, begin);
  EXPECT_EQ(only<transaction>("END")->action, commit);
  EXPECT_TRUE(only<transaction>("COMMIT AND CHAIN")->chain);
  EXPECT_EQ(only<transaction>("ROLLBACK TO a")->name, "a");
  EXPECT_EQ(only<transaction>("PREPARE TRANSACTION 'x'")->action, prepare);
  EXPECT_EQ(only<transaction>("COMMIT PREPARED 'x'")->name, "x");
}

TEST(on_relation_statements, name_their_relation) {
  EXPECT_EQ(only<on_relation>("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()")
                ->relation.name,
            "t");
  EXPECT_EQ(only<on_relation>("CREATE POLICY p ON t")->kind, object_kind::policy);
  EXPECT_EQ(only<on_relation>("ALTER POLICY p ON t TO u")->verb, on_relation_verb::alter);
  EXPECT_EQ(only<on_relation>("CREATE RULE r AS ON INSERT TO t DO NOTHING")->name, "r");
  EXPECT_EQ(only<on_relation>("CREATE STATISTICS s ON a, b FROM t")->kind, object_kind::statistics);
  const only<on_relation> comment("COMMENT ON COLUMN s.t.c IS 'x'");
  EXPECT_EQ(comment->relation.schema, "s");
  EXPECT_EQ(comment->name, "c");
  EXPECT_EQ(only<on_relation>("COMMENT ON SCHEMA s IS NULL")->relation.name, "");
}

TEST(queries, know_what_they_read_and_write) {
  const only<query> data(
      "WITH orders AS (SELECT * FROM orders), gone AS (DELETE FROM a.log RETURNING f(x)) "
      "INSERT INTO t SELECT g('k', 1, v) FROM orders JOIN (SELECT * FROM u WHERE EXISTS (SELECT FROM gone)) "
      "s ON true");
  EXPECT_EQ(data->kind, dml_kind::insert);
  std::vector<std::string> relations;
  for (const auto& r : data->relations) relations.push_back(r.name);
  EXPECT_THAT(relations, ::testing::UnorderedElementsAre("orders", "log", "t", "u"));
  EXPECT_EQ(data->targets.size(), 2U);
  ASSERT_EQ(data->whole_changes.size(), 1U);
  EXPECT_EQ(data->whole_changes[0].kind, dml_kind::delete_);
  EXPECT_EQ(data->whole_changes[0].relation.name, "log");
  EXPECT_FALSE(data->whole_changes[0].has_where);
  EXPECT_EQ(data->functions.size(), 2U);
}

TEST(queries, tell_changes_that_no_condition_narrows) {
  for (const char* text : {"UPDATE t SET a = 1", "UPDATE t SET a = 1 WHERE true AND 1 = 1",
                           "DELETE FROM t WHERE NOT (false OR 'a' <> 'a')", "DELETE FROM t WHERE 't'::bool",
                           "DELETE FROM t USING u", "DELETE FROM t WHERE true OR id = 1"})
    EXPECT_EQ(only<query>(text)->whole_changes.size(), 1U) << text;
  for (const char* text :
       {"UPDATE t SET a = 1 WHERE id = 1", "DELETE FROM t WHERE CURRENT OF c", "DELETE FROM t WHERE false",
        "DELETE FROM t WHERE NULL", "DELETE FROM t WHERE NOT NULL", "DELETE FROM t WHERE 1 = 0",
        "DELETE FROM t WHERE random() < 0.1", "UPDATE t SET a = 1 WHERE $1",
        "DELETE FROM t WHERE EXISTS (SELECT)", "DELETE FROM t WHERE true AND id = 1"})
    EXPECT_THAT(only<query>(text)->whole_changes, IsEmpty()) << text;
  EXPECT_TRUE(only<query>("DELETE FROM ONLY t")->whole_changes.at(0).only);
  EXPECT_TRUE(only<query>("DELETE FROM t")->whole_changes.at(0).plain);
  EXPECT_FALSE(only<query>("DELETE FROM t RETURNING a")->whole_changes.at(0).plain);
}

TEST(queries, see_recursive_names_and_bounds) {
  EXPECT_THAT(only<query>("WITH RECURSIVE r AS (SELECT 1 UNION SELECT * FROM r) SELECT * FROM r")->relations,
              IsEmpty());
  EXPECT_TRUE(only<query>("UPDATE pg_settings SET setting = '0'")->sets_settings);
  EXPECT_EQ(only<query>("VALUES (1)")->kind, dml_kind::values);
  EXPECT_EQ(
      only<query>("SELECT set_config('lock_timeout', '0', false)")->functions.at(0).constant_arguments.at(0),
      "lock_timeout");
}

TEST(nested_statements, are_reached) {
  EXPECT_TRUE(only<copy>("COPY t FROM PROGRAM 'x'")->program);
  EXPECT_EQ(only<copy>("COPY (SELECT f() FROM t) TO STDOUT")->body->relations.at(0).name, "t");
  const std::string_view text = "PREPARE p (int) AS DELETE FROM t WHERE a = $1";
  const only<prepare> prepared(text);
  EXPECT_EQ(slice(text, prepared->body->range), "DELETE FROM t WHERE a = $1");
  EXPECT_NE(prepared->body->as<query>(), nullptr);
  EXPECT_EQ(only<execute>("EXECUTE p(1)")->name, "p");
  const only<explain> explained("EXPLAIN (COSTS off, ANALYZE) CREATE TABLE t AS SELECT 1");
  EXPECT_TRUE(explained->analyze);
  EXPECT_TRUE(explained.whole().ddl);
  EXPECT_FALSE(only<explain>("EXPLAIN (ANALYZE false) CREATE TABLE t AS SELECT 1").whole().ddl);
  EXPECT_EQ(only<query>("DECLARE c CURSOR FOR SELECT * FROM t")->relations.at(0).name, "t");
  EXPECT_EQ(
      only<create_schema>("CREATE SCHEMA s CREATE TABLE t(a int) CREATE INDEX ON t(a)")->elements.size(), 2U);
  EXPECT_EQ(only<call>("CALL a.p(1)")->function.schema, "a");
  EXPECT_EQ(only<create_function>("CREATE FUNCTION a.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")->language,
            "sql");
  EXPECT_TRUE(only<create_view>("CREATE OR REPLACE TEMP VIEW v AS SELECT 1")->replace);
}

TEST(rights, say_who_gets_what) {
  const only<privilege_change> grant("GRANT SELECT (x), UPDATE ON a, s.b TO PUBLIC, app WITH GRANT OPTION");
  EXPECT_TRUE(grant->grant && grant->to_public && grant->with_option);
  EXPECT_THAT(grant->privileges, ElementsAre("select", "update"));
  EXPECT_EQ(grant->objects.at(1).schema, "s");
  EXPECT_EQ(only<privilege_change>("REVOKE ALL ON a FROM PUBLIC").whole().tag, "REVOKE");
  EXPECT_FALSE(only<privilege_change>("GRANT SELECT ON a TO \"Public\"")->to_public);
  EXPECT_EQ(only<privilege_change>("GRANT EXECUTE ON FUNCTION s.f(int) TO b")->objects.at(0).name, "f");
  EXPECT_TRUE(only<privilege_change>("GRANT r TO b WITH ADMIN OPTION")->of_role);
  EXPECT_TRUE(only<privilege_change>("GRANT ALL ON ALL TABLES IN SCHEMA s TO b")->all_in_schema);
  EXPECT_TRUE(
      only<privilege_change>("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")->by_default);
}

TEST(publications, say_what_is_published) {
  EXPECT_EQ(only<publication_change>("ALTER PUBLICATION p DROP TABLE t")->relations.at(0).name, "t");
  EXPECT_EQ(only<publication_change>("ALTER PUBLICATION p DROP TABLE t")->action, publication_action::drop);
  EXPECT_EQ(only<publication_change>("ALTER PUBLICATION p SET (publish = 'insert')")->action,
            publication_action::options);
  EXPECT_TRUE(only<publication_change>("CREATE PUBLICATION p FOR ALL TABLES")->all_tables);
}

TEST(functions, show_the_static_sql_of_their_bodies) {
  EXPECT_EQ(only<create_function>("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS "
                                  "'BEGIN ALTER TABLE t ADD c int; END'")
                ->statements.size(),
            1U);
  EXPECT_EQ(only<create_function>("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DROP TABLE t; SELECT 1'")
                ->statements.size(),
            2U);
}

TEST(tables_made_of_queries, tell_what_they_read) {
  EXPECT_EQ(only<create_table_as>("CREATE TABLE n AS SELECT * FROM a, s.b")->sources.size(), 2U);
  EXPECT_EQ(only<create_table_as>("SELECT * INTO n FROM a")->sources.size(), 1U);
  EXPECT_TRUE(only<create_table_as>("CREATE TABLE n AS SELECT * FROM a LIMIT 3")->narrowed);
  EXPECT_FALSE(only<create_table_as>("CREATE TABLE n AS SELECT * FROM a")->narrowed);
}

TEST(other_statements, say_whether_they_change_the_catalog) {
  EXPECT_FALSE(only<other_statement>("FETCH 1 FROM c").whole().ddl);
  EXPECT_EQ(only<other_statement>("ALTER SEQUENCE s RESTART")->kind, object_kind::sequence);
  EXPECT_EQ(only<other_statement>("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()")->name,
            "e");
}

TEST(expressions, prove_not_null_as_the_server_does) {
  const auto proves = [](std::string_view text) { return parse_expression(text)->proves_not_null; };
  EXPECT_THAT(proves("x IS NOT NULL"), ElementsAre("x"));
  EXPECT_THAT(proves("((x IS NOT NULL) AND (y > 0) AND (z IS NOT NULL))"), ElementsAre("x", "z"));
  EXPECT_THAT(proves("NOT (x IS NULL)"), ElementsAre("x"));
  EXPECT_THAT(proves("x IS DISTINCT FROM NULL"), ElementsAre("x"));
  EXPECT_THAT(proves("(x, y) IS NOT NULL"), ElementsAre("x", "y"));
  for (const char* text : {"num_nulls(x) = 0", "coalesce(x, 1) IS NOT NULL", "x IS NOT NULL OR y > 0",
                           "x > 0", "NOT ((x, y) IS NULL)", "NOT (x IS NOT NULL)", "x IS NULL"})
    EXPECT_THAT(proves(text), IsEmpty()) << text;
}

TEST(expressions, know_their_shape_and_what_they_call) {
  EXPECT_EQ(parse_expression("'{}'::jsonb")->shape, expression_shape::constant);
  EXPECT_EQ(parse_expression("NULL::text")->shape, expression_shape::null_constant);
  EXPECT_EQ(parse_expression("a.b")->shape, expression_shape::column);
  EXPECT_EQ(parse_expression("b::int::text")->shape, expression_shape::cast_column);
  EXPECT_EQ(parse_expression("1 + 1")->shape, expression_shape::other);
  EXPECT_EQ(parse_expression("a AT TIME ZONE 'UTC'")->functions.at(0).name, "timezone");
  EXPECT_EQ(parse_expression("extract(year from a)")->functions.at(0).name, "extract");
  EXPECT_TRUE(parse_expression("current_user")->has_sql_value_function);
  EXPECT_TRUE(parse_expression("a IN (SELECT 1)")->has_subquery);
  EXPECT_FALSE(parse_expression("a >"));
  EXPECT_FALSE(parse_expression("1; DROP TABLE t"));
}

TEST(cases, of_the_tricks_are_ddl_wherever_they_parse) {
  int ddl = 0;
  for (const std::string& text : read_cases("suspicious.txt")) {
    const parsed result = parse(text);
    for (const statement& s : result.statements) ddl += s.ddl ? 1 : 0;
  }
  EXPECT_GT(ddl, 40);
}

}  // namespace
}  // namespace tidegate::sql
