#include "policies/engine.hpp"
#include "policies/fact_request.hpp"
#include "policies/override_comment.hpp"
#include "policies/policy_scope.hpp"
#include "policies/sql/parse.hpp"
#include "tests/unit/policies/catalog_text.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::policies {

namespace {

const std::string index_statement = "CREATE INDEX i ON orders (region)";

// One statement with a filled table `public.orders`.
struct situation {
  std::string text = index_statement;
  policies::policy policy;
  session_facts session{.role = "app", .application = "shop", .database = "app", .lock_timeout = {}};
  std::vector<std::string> catalog = {
      "table public.orders rows=5000000 size=1.2GB columns(id int8 not null, region text, qty int4)"};
  transaction_history history;

  decision decide() {
    test::catalog_text facts;
    for (const auto& line : catalog) facts.add(line);
    parsed_ = sql::parse(text);
    EXPECT_TRUE(parsed_.ok()) << text;
    const auto snapshot = facts.snapshot(facts_needed(parsed_.statements));
    return policies::decide({parsed_.statements.at(0), text, snapshot, session, history}, policy);
  }

  sql::parsed parsed_;
};

policy_scope allow(std::string rule) {
  policy_scope scope;
  scope.rules.push_back({std::move(rule), verdict::allow});
  return scope;
}

TEST(Decide, the_last_scope_that_matches_wins) {
  situation given;
  given.policy.scopes.push_back(allow("create-index-not-concurrently"));
  auto for_shop = allow("create-index-not-concurrently");
  for_shop.applications = {"shop"};
  for_shop.rules[0].action = verdict::block;
  given.policy.scopes.push_back(for_shop);
  EXPECT_EQ(given.decide().action, verdict::block);
  given.session.application = "report";
  EXPECT_EQ(given.decide().action, verdict::allow);
}

TEST(Decide, a_scope_covers_tables_by_pattern) {
  situation given;
  auto scope = allow("create-index-not-concurrently");
  scope.tables = {"archive.*", "public.ord?rs"};
  given.policy.scopes.push_back(scope);
  EXPECT_EQ(given.decide().action, verdict::allow);
  given.policy.scopes[0].tables = {"archive.*"};
  EXPECT_EQ(given.decide().action, verdict::rewrite);
}

TEST(Decide, an_unknown_size_counts_as_big_in_a_scope) {
  situation given;
  given.catalog = {"table public.orders columns(id int8 not null, region text)"};
  auto scope = allow("create-index-not-concurrently");
  scope.max_bytes = 1 << 30;
  given.policy.scopes.push_back(scope);
  EXPECT_EQ(given.decide().action, verdict::rewrite);
}

TEST(Decide, an_allowed_finding_stays_for_the_audit) {
  situation given;
  given.policy.scopes.push_back(allow("create-index-not-concurrently"));
  const auto decided = given.decide();
  ASSERT_EQ(decided.reported.size(), 1U);
  EXPECT_EQ(decided.reported[0].action, verdict::allow);
  EXPECT_TRUE(decided.guarded);
}

TEST(Decide, observing_says_what_would_have_happened) {
  situation given;
  given.policy.mode = policy_mode::observe;
  const auto decided = given.decide();
  EXPECT_EQ(decided.mode, policy_mode::observe);
  EXPECT_EQ(decided.action, verdict::rewrite);
}

TEST(Decide, a_policy_that_is_off_says_nothing) {
  situation given;
  given.policy.mode = policy_mode::off;
  const auto decided = given.decide();
  EXPECT_EQ(decided.action, verdict::allow);
  EXPECT_TRUE(decided.reported.empty());
  EXPECT_FALSE(decided.guarded);
}

TEST(Decide, a_scope_may_have_a_mode_of_its_own) {
  situation given;
  policy_scope scope;
  scope.databases = {"app"};
  scope.mode = policy_mode::observe;
  given.policy.scopes.push_back(scope);
  EXPECT_EQ(given.decide().mode, policy_mode::observe);
  given.session.database = "other";
  EXPECT_EQ(given.decide().mode, policy_mode::enforce);
}

TEST(Decide, a_scope_may_have_a_ddl_mode_of_its_own) {
  situation given;
  given.policy.ddl_mode = ddl_mode::plan;
  policy_scope scope;
  scope.tables = {"public.orders"};
  scope.ddl_mode = ddl_mode::off;
  given.policy.scopes.push_back(scope);
  EXPECT_EQ(given.decide().ddl_mode, ddl_mode::off);
  given.policy.scopes.front().tables = {"public.other"};
  EXPECT_EQ(given.decide().ddl_mode, ddl_mode::plan);
}

TEST(Decide, a_table_never_analysed_is_small_only_when_its_pages_can_hold_few_rows) {
  situation given;
  given.catalog = {"table public.orders size=8kB columns(region text)"};
  EXPECT_EQ(given.decide().action, verdict::allow);
  given.catalog = {"table public.orders size=1MB columns(region text)"};
  EXPECT_EQ(given.decide().action, verdict::rewrite);
}

TEST(Decide, a_small_table_is_guarded_all_the_same) {
  situation given;
  given.catalog = {"table public.orders rows=10 size=8kB columns(region text)"};
  EXPECT_TRUE(given.decide().guarded);
}

TEST(Decide, a_new_table_needs_no_guard) {
  situation given;
  given.catalog = {"table public.orders rows=10 size=8kB columns(region text) new"};
  EXPECT_FALSE(given.decide().guarded);
}

TEST(Decide, a_missing_relation_is_left_to_PostgreSQL) {
  situation given;
  given.catalog = {"empty"};
  const auto decided = given.decide();
  EXPECT_EQ(decided.action, verdict::allow);
  EXPECT_FALSE(decided.guarded);
}

TEST(Decide, an_override_needs_comment_and_role) {
  situation given;
  given.text = "/* tidegate:allow=create-index-not-concurrently reason=\"night\" */ " + index_statement;
  EXPECT_EQ(given.decide().action, verdict::rewrite);
  given.policy.override_roles = {"app"};
  const auto decided = given.decide();
  EXPECT_EQ(decided.action, verdict::allow);
  EXPECT_EQ(decided.override_reason, "night");
  ASSERT_EQ(decided.overridden.size(), 1U);
  EXPECT_EQ(decided.overridden[0].rule, "create-index-not-concurrently");
}

TEST(Decide, an_override_of_another_rule_or_of_all_is_none) {
  situation given;
  given.policy.override_roles = {"app"};
  for (const char* rules : {"drop-table", "*", ""}) {
    given.text = index_statement + " /* tidegate:allow=" + rules + " */";
    EXPECT_EQ(given.decide().action, verdict::rewrite) << rules;
  }
}

TEST(Decide, the_hint_names_who_may_override_only_when_somebody_may) {
  situation given;
  EXPECT_EQ(given.decide().reported.at(0).hint.find("override"), std::string::npos);
  given.policy.override_roles = {"dba"};
  const auto hint = given.decide().reported.at(0).hint;
  EXPECT_NE(hint.find("To override, as dba: put /* tidegate:allow=create-index-not-concurrently"),
            std::string::npos)
      << hint;
  EXPECT_NE(hint.find("docs/rules/create-index-not-concurrently.md"), std::string::npos);
}

TEST(Decide, elements_of_a_new_schema_are_new) {
  situation given;
  given.text = "CREATE SCHEMA s9 CREATE TABLE t9 (a bigint PRIMARY KEY) CREATE INDEX ON t9 (a)";
  EXPECT_TRUE(given.decide().reported.empty());
}

TEST(Explain, a_refusal_begins_with_the_hardest_finding_and_names_the_others) {
  situation given;
  given.text = "ALTER TABLE orders ADD CHECK (qty > 0), DROP COLUMN region";
  const auto decided = given.decide();
  const auto refusal = explain_refusal(decided);
  ASSERT_NE(refusal.first, nullptr);
  EXPECT_EQ(refusal.first->rule, "drop-column");
  EXPECT_EQ(refusal.sqlstate, "TG001");
  EXPECT_NE(refusal.detail.find("Also add-check-validating: "), std::string::npos) << refusal.detail;
}

TEST(Explain, what_PostgreSQL_refuses_keeps_its_code) {
  situation given;
  given.text = "CREATE INDEX CONCURRENTLY i ON orders (region)";
  given.session.in_transaction = true;
  EXPECT_EQ(explain_refusal(given.decide()).sqlstate, "25001");
}

TEST(Explain, warnings_are_only_what_warns) {
  situation given;
  given.text = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (region)";
  given.catalog.push_back("index i on public.orders (region) invalid");
  const auto decided = given.decide();
  const auto warnings = explain_warnings(decided);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].first->rule, "concurrent-index-if-not-exists");
}

TEST(OverrideComment, is_found_in_comments_only) {
  EXPECT_TRUE(find_override("DROP TABLE t /* tidegate:allow=drop-table reason=\"old\" */"));
  EXPECT_TRUE(find_override("-- tidegate:allow=drop-table\nDROP TABLE t"));
  EXPECT_FALSE(find_override("SELECT '/* tidegate:allow=drop-table */'"));
  EXPECT_FALSE(find_override("SELECT $$/* tidegate:allow=drop-table */$$"));
  EXPECT_FALSE(find_override("SELECT \"/* tidegate:allow=drop-table */\""));
  EXPECT_FALSE(find_override("SELECT E'\\'/* tidegate:allow=drop-table */'"));
}

TEST(OverrideComment, is_not_looked_for_where_the_text_is_ambiguous) {
  EXPECT_FALSE(find_override("SELECT 'x\\' /* tidegate:allow=drop-table */ '; DROP TABLE t"));
}

TEST(OverrideComment, names_several_rules) {
  const auto found = find_override("DROP TABLE t /*tidegate:allow=drop-table,drop-cascade*/");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rules, (std::vector<std::string>{"drop-table", "drop-cascade"}));
}

TEST(OverrideComment, belongs_to_the_statement_it_stands_at) {
  const std::string text = "/*a*/ SELECT 1; /*b*/ SELECT 2 /*c*/; /*d*/";
  const std::vector<sql::text_range> ranges{{6, 14}, {22, 30}};
  EXPECT_THAT(with_comments(text, ranges),
              testing::ElementsAre("/*a*/ SELECT 1", " /*b*/ SELECT 2 /*c*/; /*d*/"));
}

TEST(CommentTags, are_read_as_sqlcommenter_writes_them) {
  const auto tags = comment_tags("DROP TABLE t /*commit='a%20b',migration='0\\'1'*/");
  ASSERT_EQ(tags.size(), 2U);
  EXPECT_EQ(tags[0], std::pair(std::string("commit"), std::string("a b")));
  EXPECT_EQ(tags[1], std::pair(std::string("migration"), std::string("0'1")));
  EXPECT_TRUE(comment_tags("SELECT 1 /* not a tag */").empty());
}

TEST(Glob, matches_whole_names) {
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("public.*_old", "public.a_old_old"));
  EXPECT_FALSE(matches_glob("public.*_old", "public.a_older"));
  EXPECT_TRUE(matches_glob("a?c", "abc"));
  EXPECT_FALSE(matches_glob("a?c", "ac"));
}

TEST(LockLevel, conflicts_are_those_of_the_manual) {
  using enum lock_level;
  // table 13.2: rows and columns from ACCESS SHARE to ACCESS EXCLUSIVE
  const std::vector<std::string> manual = {"00000001", "00000011", "00001111", "00011111",
                                           "00110111", "00111111", "01111111", "11111111"};
  for (int a = 1; a <= 8; ++a)
    for (int b = 1; b <= 8; ++b)
      EXPECT_EQ(conflicts(static_cast<lock_level>(a), static_cast<lock_level>(b)),
                manual[static_cast<std::size_t>(a - 1)][static_cast<std::size_t>(b - 1)] == '1')
          << a << ' ' << b;
  EXPECT_FALSE(conflicts(none, access_exclusive));
}

// "relation mode" of each lock.
std::vector<std::string> locks_of(const std::string& text, const std::vector<std::string>& lines = {}) {
  test::catalog_text facts;
  for (const auto& line : lines) facts.add(line);
  const auto parsed = sql::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  std::vector<std::string> locks;
  for (const auto& lock :
       locks_taken(parsed.statements.at(0), facts.snapshot(facts_needed(parsed.statements))))
    locks.push_back(lock.relation.name + " " + std::string(name(lock.level)));
  std::sort(locks.begin(), locks.end());
  return locks;
}

using names = std::vector<std::string>;

TEST(Locks, one_strong_subcommand_lifts_the_whole_alter) {
  EXPECT_EQ(locks_of("ALTER TABLE t ALTER a SET STATISTICS 9"), names{"t SHARE UPDATE EXCLUSIVE"});
  EXPECT_EQ(locks_of("ALTER TABLE t ALTER a SET STATISTICS 9, ALTER a SET DEFAULT 1"),
            names{"t ACCESS EXCLUSIVE"});
}

TEST(Locks, reach_partners_partitions_and_parents) {
  EXPECT_EQ(locks_of("ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES b"),
            (names{"a SHARE ROW EXCLUSIVE", "b SHARE ROW EXCLUSIVE"}));
  EXPECT_EQ(locks_of("CREATE TABLE p1 PARTITION OF p DEFAULT"), names{"p ACCESS EXCLUSIVE"});
  EXPECT_EQ(locks_of("ALTER TABLE p ATTACH PARTITION p1 DEFAULT"),
            (names{"p SHARE UPDATE EXCLUSIVE", "p1 ACCESS EXCLUSIVE"}));
  const names tree = {"table public.p columns(a int4) partitioned(a)",
                      "table public.p1 columns(a int4) partitioned(a)", "partition public.p1 of public.p",
                      "table public.p11 columns(a int4)", "partition public.p11 of public.p1"};
  EXPECT_EQ(locks_of("ALTER TABLE p ADD COLUMN b int", tree),
            (names{"p ACCESS EXCLUSIVE", "p1 ACCESS EXCLUSIVE", "p11 ACCESS EXCLUSIVE"}));
  EXPECT_EQ(locks_of("DROP TABLE p11", tree), (names{"p1 ACCESS EXCLUSIVE", "p11 ACCESS EXCLUSIVE"}));
}

TEST(Locks, dropping_a_table_locks_what_its_foreign_keys_refer_to) {
  const names pair = {"table public.r columns(a int4)", "table public.t columns(a int4)",
                      "constraint f on public.t foreign key (a) references public.r"};
  EXPECT_EQ(locks_of("DROP TABLE t", pair), (names{"r ACCESS EXCLUSIVE", "t ACCESS EXCLUSIVE"}));
  EXPECT_EQ(locks_of("TRUNCATE r CASCADE", pair), (names{"r ACCESS EXCLUSIVE", "t ACCESS EXCLUSIVE"}));
}

TEST(Locks, renaming_an_index_is_weak_unless_it_is_a_table) {
  const names facts = {"table public.t columns(a int4)", "index i on public.t (a)"};
  EXPECT_EQ(locks_of("ALTER INDEX i RENAME TO j", facts), names{"i SHARE UPDATE EXCLUSIVE"});
  EXPECT_EQ(locks_of("ALTER INDEX t RENAME TO j", facts), names{"t ACCESS EXCLUSIVE"});
}

TEST(Locks, statements_without_table_locks_have_none) {
  for (const char* text : {"GRANT SELECT ON t TO PUBLIC", "ALTER TYPE e ADD VALUE 'x'", "SELECT * FROM t",
                           "CREATE TABLE IF NOT EXISTS t (a int)", "PREPARE p AS DELETE FROM t"})
    EXPECT_TRUE(locks_of(text).empty()) << text;
}

void run(transaction_history& history, const std::string& text, bool existed = false) {
  const auto parsed = sql::parse(text);
  ASSERT_TRUE(parsed.ok()) << text;
  for (const auto& statement : parsed.statements) history.add(statement, existed);
}

sql::qualified_name relation(std::string schema, std::string name) {
  return {.database = {}, .schema = std::move(schema), .name = std::move(name)};
}

TEST(TransactionHistory, follows_savepoints) {
  transaction_history history;
  run(history, "BEGIN; CREATE TABLE a (i int); SAVEPOINT s; CREATE TABLE b (i int); ROLLBACK TO s");
  EXPECT_TRUE(history.in_transaction());
  EXPECT_TRUE(history.created(relation("", "a")));
  EXPECT_FALSE(history.created(relation("", "b")));
  run(history, "CREATE TABLE b (i int); RELEASE s");
  EXPECT_TRUE(history.created(relation("", "b")));
  run(history, "COMMIT");
  EXPECT_FALSE(history.created(relation("", "a")));
  EXPECT_FALSE(history.in_transaction());
}

TEST(TransactionHistory, knows_relations_by_schema_and_name) {
  transaction_history history;
  run(history, "CREATE TABLE app.t (i int); CREATE TEMP TABLE x (i int)");
  EXPECT_TRUE(history.created(relation("app", "t")));
  EXPECT_FALSE(history.created(relation("", "t")));
  EXPECT_TRUE(history.created(relation("", "x")));
  EXPECT_TRUE(history.created(relation("pg_temp", "x")));
  EXPECT_FALSE(history.created(relation("public", "x")));
}

TEST(TransactionHistory, forgets_what_was_dropped_and_follows_renames) {
  transaction_history history;
  run(history, "CREATE TABLE t (i int); ALTER TABLE t RENAME TO u");
  EXPECT_FALSE(history.created(relation("", "t")));
  EXPECT_TRUE(history.created(relation("", "u")));
  run(history, "DROP TABLE u");
  EXPECT_FALSE(history.created(relation("", "u")));
}

TEST(TransactionHistory, IF_NOT_EXISTS_of_an_existing_table_makes_none) {
  transaction_history history;
  run(history, "CREATE TABLE IF NOT EXISTS t (i int)", true);
  EXPECT_FALSE(history.created(relation("", "t")));
}

TEST(TransactionHistory, remembers_strong_locks_of_tables_that_others_see) {
  transaction_history history;
  run(history, "CREATE TABLE t (i int); ALTER TABLE t ADD COLUMN j int");
  EXPECT_FALSE(history.has_strong_lock());
  run(history, "ALTER TABLE orders ADD COLUMN j int");
  EXPECT_TRUE(history.has_strong_lock());
  EXPECT_FALSE(history.has_strong_lock_on_other(relation("", "orders")));
  EXPECT_TRUE(history.has_strong_lock_on_other(relation("", "customers")));
}

TEST(FactsNeeded, names_each_relation_once) {
  const auto parsed =
      sql::parse("ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES b, ADD FOREIGN KEY (y) REFERENCES b");
  const auto request = facts_needed(parsed.statements);
  ASSERT_EQ(request.relations.size(), 2U);
  EXPECT_EQ(request.relations[0].name, "a");
  EXPECT_EQ(request.relations[1].name, "b");
}

TEST(FactsNeeded, are_none_for_reads) {
  EXPECT_TRUE(facts_needed(sql::parse("SELECT f(1) FROM t").statements).empty());
}

}  // namespace

}  // namespace tidegate::policies
