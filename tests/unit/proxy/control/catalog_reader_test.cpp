#include "proxy/control/catalog_reader.hpp"

#include "proxy/control/name_resolution.hpp"
#include "proxy/control/standalone_reader.hpp"
#include "tests/unit/proxy/control/test_server.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::control {
namespace {

using policies::presence;
using test::test_server;
using test::test_session;
using test::wait_for;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

sql::qualified_name name(std::string bare) {
  return {.database = {}, .schema = {}, .name = std::move(bare)};
}
sql::qualified_name name(std::string schema, std::string bare) {
  return {.database = {}, .schema = std::move(schema), .name = std::move(bare)};
}
sql::type_name type(std::string bare) {
  sql::type_name written;
  written.name = std::move(bare);
  return written;
}
sql::function_call function(std::string bare, int arguments) {
  sql::function_call written;
  written.name = std::move(bare);
  written.arguments = arguments;
  return written;
}

const std::vector<std::string> schema = {
    "CREATE SCHEMA app",
    "CREATE DOMAIN email AS varchar(80) CHECK (VALUE LIKE '%@%')",
    "CREATE DOMAIN work_email AS email",
    "CREATE DOMAIN plain_text AS text DEFAULT lower('X')",
    "CREATE DOMAIN token AS float8 DEFAULT 1 + random()",
    "CREATE TYPE mood AS ENUM ('ok')",
    "CREATE TABLE users (id serial PRIMARY KEY, name varchar(20) NOT NULL, mail email, note text DEFAULT "
    "'x', "
    "born date, shout text GENERATED ALWAYS AS (upper(note)) STORED, score int CHECK (score > 0) NO INHERIT, "
    "big bigint GENERATED ALWAYS AS IDENTITY, CONSTRAINT named CHECK (note IS NOT NULL))",
    "ALTER TABLE users ADD CONSTRAINT late CHECK (born > '1900-01-01') NOT VALID",
    "CREATE TABLE app.\"Order Lines\" (id int, user_id int REFERENCES users(id), c1 text, c2 text)",
    "CREATE INDEX lower_note ON users (lower(note)) WHERE born IS NOT NULL",
    "CREATE INDEX patterns ON users (name text_pattern_ops)",
    "CREATE INDEX backwards ON users (name DESC, score)",
    "CREATE UNIQUE INDEX plain ON users (name) INCLUDE (score)",
    "COMMENT ON INDEX plain IS 'what it is for'",
    "CREATE VIEW grown AS SELECT id, born FROM users WHERE born < now()",
    "CREATE POLICY mine ON users USING (name = current_user)",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER noted AFTER UPDATE OF note ON users FOR EACH ROW EXECUTE FUNCTION nothing()",
    "INSERT INTO users (name, note) SELECT 'n' || i, 'y' FROM generate_series(1, 500) AS i",
    "ANALYZE users",
    "CREATE TABLE parts (k int NOT NULL, v text) PARTITION BY RANGE (k)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE parts_rest PARTITION OF parts DEFAULT",
    "CREATE TABLE owners (id int PRIMARY KEY)",
    "CREATE TABLE held (k int, owner int CONSTRAINT held_by REFERENCES owners) PARTITION BY LIST (k)",
    "CREATE TABLE held_1 PARTITION OF held FOR VALUES IN (1)",
    "COMMENT ON CONSTRAINT \"Order Lines_user_id_fkey\" ON app.\"Order Lines\" IS 'whose'",
    "INSERT INTO parts SELECT i % 20, repeat('x', 100) FROM generate_series(1, 400) AS i",
    "CREATE FUNCTION seven() RETURNS int LANGUAGE sql AS ' SELECT 7; '",
    "CREATE FUNCTION dice() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 4; END'",
    "CREATE FUNCTION either(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a'",
    "CREATE FUNCTION either(a text, b int DEFAULT 1) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    "CREATE FUNCTION many(VARIADIC a int[]) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
};

class catalog_facts : public testing::Test {
 protected:
  static void SetUpTestSuite() { test_server::instance().create_database("facts", schema); }
  static void TearDownTestSuite() {
    test_session(test_server::instance().writer()).execute("DROP DATABASE facts");
  }

  policies::catalog_snapshot read(const policies::fact_request& request) {
    const policies::catalog_snapshot snapshot = reader.read(request);
    EXPECT_EQ(reader.last_problem(), "");
    return snapshot;
  }
  policies::relation_facts relation(const sql::qualified_name& written) {
    const auto snapshot = read({.relations = {written}, .types = {}, .functions = {}});
    const auto found = snapshot.relation(written);
    if (!found) throw std::runtime_error("no facts of " + written.name);
    return *found.facts;
  }
  // What a client session sees, and the facts a control connection of another session reads then.
  facts read_beside(test_session& client, const policies::fact_request& request) {
    const resolution_query query = make_resolution_query(request);
    const text_rows rows = client.execute(query.sql, {query.parameters.begin(), query.parameters.end()});
    const auto names = decode_resolution(request, rows);
    if (!names) throw std::runtime_error("not decoded");
    test_session control(test_server::instance().target("facts"));
    return wait_for(control.context(), read_facts(control.connection(), request, *names));
  }

  standalone_reader reader{test_server::instance().conninfo("facts")};
};

TEST_F(catalog_facts, session_and_server_are_described) {
  const auto snapshot = read({});
  EXPECT_TRUE(snapshot.available);
  EXPECT_EQ(snapshot.server_version, reader.server_version());
  EXPECT_EQ(reader.database(), "facts");
  EXPECT_THAT(snapshot.search_path, ElementsAre("pg_catalog", "public"));
}

TEST_F(catalog_facts, a_missing_name_is_missing_however_it_is_spelled) {
  const policies::fact_request request{
      .relations = {name("no"), name("no", "no"), name("public", "a.b\"c'd\\"), name(std::string(70, 'x')),
                    name("pg_temp", "x")},
      .types = {type("nothing")},
      .functions = {function("nobody", 3)}};
  const auto snapshot = read(request);
  for (const auto& each : request.relations) EXPECT_EQ(snapshot.relation(each).state, presence::missing);
  EXPECT_EQ(snapshot.type(type("nothing")).state, presence::missing);
  EXPECT_EQ(snapshot.function(function("nobody", 3)).state, presence::missing);
}

TEST_F(catalog_facts, columns_are_those_of_the_catalog) {
  const auto users = relation(name("users"));
  EXPECT_EQ(users.full_name(), "public.users");
  EXPECT_EQ(users.owner, "postgres");
  EXPECT_EQ(users.access_method, "heap");
  EXPECT_TRUE(users.row_security);
  EXPECT_EQ(users.policies, 1);
  ASSERT_EQ(users.columns.size(), 8U);
  const auto* id = users.column("id");
  EXPECT_EQ(id->type, "int4");
  EXPECT_TRUE(id->not_null);
  EXPECT_TRUE(id->has_default);
  EXPECT_EQ(id->owned_sequence, "public.users_id_seq");
  EXPECT_EQ(id->owned_sequence_type, "int4");
  EXPECT_EQ(users.column("name")->type_modifier, 24);
  EXPECT_EQ(users.column("name")->collation, "default");
  EXPECT_EQ(users.column("mail")->type, "email");
  EXPECT_EQ(users.column("mail")->type_schema, "public");
  EXPECT_EQ(users.column("shout")->generated, 's');
  EXPECT_FALSE(users.column("shout")->has_default);
  EXPECT_EQ(users.column("big")->identity, 'a');
  EXPECT_EQ(users.column("big")->owned_sequence_type, "int8");
}

TEST_F(catalog_facts, dependents_name_what_forbids_a_type_change) {
  const auto users = relation(name("users"));
  EXPECT_THAT(users.column("born")->dependents, ElementsAre("view public.grown"));
  EXPECT_THAT(users.column("name")->dependents, ElementsAre("policy mine on public.users"));
  EXPECT_THAT(users.column("note")->dependents,
              UnorderedElementsAre("generated column shout", "trigger noted on public.users"));
  EXPECT_THAT(users.column("mail")->dependents, IsEmpty());
  EXPECT_THAT(users.column("shout")->dependents, IsEmpty());
  EXPECT_THAT(users.dependent_views, ElementsAre("public.grown"));
  EXPECT_THAT(relation(name("parts")).column("k")->dependents, ElementsAre("partition key"));
}

TEST_F(catalog_facts, constraints_carry_their_proof) {
  const auto users = relation(name("users"));
  const auto* named = users.constraint("named");
  ASSERT_NE(named, nullptr);
  EXPECT_EQ(named->expression, "(note IS NOT NULL)");
  EXPECT_THAT(named->columns, ElementsAre("note"));
  EXPECT_TRUE(named->validated);
  EXPECT_TRUE(named->enforced);
  EXPECT_FALSE(users.constraint("late")->validated);
  EXPECT_TRUE(users.constraint("users_score_check")->no_inherit);
  EXPECT_EQ(users.constraint("users_score_check")->expression, "(score > 0)");
  EXPECT_EQ(users.constraint("users_pkey")->index, "users_pkey");
  ASSERT_EQ(users.referenced_by.size(), 1U);
  EXPECT_EQ(users.referenced_by[0].relation, "app.\"Order Lines\"");
  const auto lines = relation(name("app", "Order Lines"));
  const auto* key = lines.constraint("Order Lines_user_id_fkey");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->referenced, "public.users");
  EXPECT_EQ(key->referenced_oid, users.oid);
  EXPECT_EQ(key->definition, "FOREIGN KEY (user_id) REFERENCES users(id)");
  EXPECT_EQ(key->index, "users_pkey");
  EXPECT_EQ(key->comment, "whose");
  EXPECT_FALSE(key->inherited);
  const auto held = relation(name("held_1"));
  const auto* of_partition = held.constraint("held_by");
  ASSERT_NE(of_partition, nullptr);
  EXPECT_TRUE(of_partition->inherited);
}

TEST_F(catalog_facts, indexes_say_what_they_hang_on) {
  const auto users = relation(name("users"));
  ASSERT_EQ(users.indexes.size(), 5U);
  const auto* lower = users.index("lower_note");
  EXPECT_TRUE(lower->has_expressions);
  EXPECT_TRUE(lower->has_predicate);
  EXPECT_THAT(lower->columns, ElementsAre(""));
  EXPECT_THAT(lower->mentions, UnorderedElementsAre("note", "born"));
  EXPECT_FALSE(users.index("patterns")->default_opclass);
  EXPECT_FALSE(users.index("backwards")->plain_order);
  EXPECT_TRUE(users.index("backwards")->default_opclass);
  EXPECT_THAT(users.index("backwards")->columns, ElementsAre("name", "score"));
  const auto* plain = users.index("plain");
  EXPECT_TRUE(plain->plain_order);
  EXPECT_TRUE(plain->unique);
  EXPECT_THAT(plain->columns, ElementsAre("name"));
  EXPECT_THAT(plain->mentions, UnorderedElementsAre("name", "score"));
  EXPECT_EQ(plain->definition,
            "CREATE UNIQUE INDEX plain ON public.users USING btree (name) INCLUDE (score)");
  EXPECT_EQ(plain->comment, "what it is for");
  EXPECT_EQ(lower->definition, "");
  EXPECT_GT(plain->bytes, 0);
  EXPECT_EQ(users.index("users_pkey")->constraint, "users_pkey");
  EXPECT_THAT(users.index("users_pkey")->mentions, ElementsAre("id"));
}

TEST_F(catalog_facts, sizes_are_fresh_and_rows_follow_them) {
  EXPECT_NEAR(relation(name("users")).rows.value(), 500, 1);
  const auto before = relation(name("users")).bytes.value();
  test_session writer(test_server::instance().writer("facts"));
  writer.execute("INSERT INTO users (name, note) SELECT 'm' || i, 'y' FROM generate_series(1, 5000) AS i");
  const auto after = relation(name("users"));
  EXPECT_GT(after.bytes.value(), 5 * before);
  EXPECT_GT(after.rows.value(), 2500);
  writer.execute("DELETE FROM users WHERE name LIKE 'm%'");
  writer.execute("VACUUM FULL ANALYZE users");

  writer.execute("CREATE TABLE untouched (a int)");
  EXPECT_EQ(relation(name("untouched")).rows, 0);
  writer.execute("INSERT INTO untouched VALUES (1)");
  EXPECT_EQ(relation(name("untouched")).rows, std::nullopt);
  EXPECT_EQ(relation(name("untouched")).bytes, 8192);
  writer.execute("DROP TABLE untouched");
}

TEST_F(catalog_facts, a_partitioned_table_has_the_size_of_its_partitions) {
  const auto snapshot = read({.relations = {name("parts")}, .types = {}, .functions = {}});
  const auto parts = snapshot.relation(name("parts"));
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->kind, 'p');
  EXPECT_THAT(parts->partitions, ElementsAre("public.parts_1", "public.parts_rest"));
  EXPECT_EQ(parts->default_partition, "public.parts_rest");
  EXPECT_THAT(parts->partition_columns, ElementsAre("k"));
  EXPECT_EQ(parts->partition_strategy, 'r');
  EXPECT_THAT(parts->partition_key, ElementsAre("k"));
  EXPECT_EQ(parts->tablespace, "pg_default");
  const auto one = snapshot.relation_by_full_name("public.parts_1");
  const auto rest = snapshot.relation_by_full_name("public.parts_rest");
  ASSERT_TRUE(one);
  ASSERT_TRUE(rest);
  EXPECT_EQ(one->parent, "public.parts");
  EXPECT_TRUE(one->partition_bound.starts_with("FOR VALUES FROM ("));
  EXPECT_EQ(rest->partition_bound, "DEFAULT");
  EXPECT_GT(one->bytes.value(), 0);
  EXPECT_EQ(parts->bytes.value(), one->bytes.value() + rest->bytes.value());
}

TEST_F(catalog_facts, partners_of_a_named_relation_come_with_it) {
  const auto by_child = read({.relations = {name("app", "Order Lines")}, .types = {}, .functions = {}});
  EXPECT_TRUE(by_child.relation_by_full_name("public.users"));
  const auto by_index = read({.relations = {name("lower_note")}, .types = {}, .functions = {}});
  ASSERT_TRUE(by_index.relation(name("lower_note")));
  EXPECT_EQ(by_index.relation(name("lower_note"))->kind, 'i');
  EXPECT_EQ(by_index.relation(name("lower_note"))->index_table, "public.users");
  const auto table = by_index.relation_by_full_name("public.users");
  ASSERT_TRUE(table);
  EXPECT_NE(table->index("lower_note"), nullptr);
}

TEST_F(catalog_facts, domains_are_followed_to_their_base) {
  const policies::fact_request request{
      .relations = {},
      .types = {type("work_email"), type("plain_text"), type("token"), type("mood"), type("int4")},
      .functions = {}};
  const auto snapshot = read(request);
  const auto work = snapshot.type(type("work_email"));
  ASSERT_TRUE(work);
  EXPECT_EQ(work->kind, 'd');
  EXPECT_EQ(work->base, "varchar");
  EXPECT_EQ(work->base_modifier, 84);
  EXPECT_TRUE(work->domain_constrained);
  EXPECT_THAT(work->used_by, IsEmpty());
  EXPECT_FALSE(snapshot.type(type("plain_text"))->domain_constrained);
  EXPECT_FALSE(snapshot.type(type("plain_text"))->volatile_default);
  EXPECT_TRUE(snapshot.type(type("token"))->volatile_default);
  EXPECT_EQ(snapshot.type(type("mood"))->kind, 'e');
  EXPECT_EQ(snapshot.type(type("int4"))->schema, "pg_catalog");
  const auto mail = read({.relations = {}, .types = {type("email")}, .functions = {}});
  EXPECT_THAT(mail.type(type("email"))->used_by, ElementsAre("public.users"));
  EXPECT_FALSE(mail.relation(name("public", "users")));
  const auto altered =
      read({.relations = {}, .types = {type("email")}, .functions = {}, .users_of_domains = true});
  ASSERT_TRUE(altered.relation(name("public", "users")));
  EXPECT_TRUE(altered.relation(name("public", "users"))->bytes);
}

TEST_F(catalog_facts, functions_are_judged_by_the_worst_candidate) {
  const policies::fact_request request{
      .relations = {},
      .types = {},
      .functions = {function("now", 0), function("random", 0), function("seven", 0), function("dice", 0),
                    function("either", 1), function("either", 2), function("many", 4),
                    function("either", 3)}};
  const auto snapshot = read(request);
  EXPECT_EQ(snapshot.function(function("now", 0))->volatility, 's');
  EXPECT_EQ(snapshot.function(function("random", 0))->volatility, 'v');
  EXPECT_FALSE(snapshot.function(function("random", 0))->inlines_to_constant);
  EXPECT_EQ(snapshot.function(function("seven", 0))->volatility, 'v');
  EXPECT_TRUE(snapshot.function(function("seven", 0))->inlines_to_constant);
  EXPECT_FALSE(snapshot.function(function("dice", 0))->inlines_to_constant);
  EXPECT_EQ(snapshot.function(function("either", 1))->volatility, 'v');
  EXPECT_FALSE(snapshot.function(function("either", 1))->inlines_to_constant);
  EXPECT_EQ(snapshot.function(function("many", 4))->volatility, 's');
  EXPECT_EQ(snapshot.function(function("either", 3)).state, presence::missing);
}

TEST_F(catalog_facts, a_standard_sql_body_is_read_as_well) {
  if (reader.server_version() < 140000) GTEST_SKIP() << "standard bodies came with 14";
  test_session writer(test_server::instance().writer("facts"));
  writer.execute("CREATE FUNCTION eight() RETURNS int RETURN 8");
  EXPECT_TRUE(read({.relations = {}, .types = {}, .functions = {function("eight", 0)}})
                  .function(function("eight", 0))
                  ->inlines_to_constant);
}

TEST_F(catalog_facts, publications_are_seen_on_tables_and_columns) {
  test_session writer(test_server::instance().writer("facts"));
  EXPECT_FALSE(relation(name("parts")).published);
  writer.execute("CREATE PUBLICATION part_of FOR TABLE parts_1");
  EXPECT_TRUE(relation(name("parts_1")).published);
  EXPECT_FALSE(relation(name("parts")).published);
  writer.execute("DROP PUBLICATION part_of");
  writer.execute("CREATE PUBLICATION every FOR ALL TABLES");
  EXPECT_TRUE(relation(name("parts")).column("v")->published);
  writer.execute("DROP PUBLICATION every");
  if (reader.server_version() >= 150000) {
    writer.execute("CREATE PUBLICATION listed FOR TABLE users (id, name)");
    const auto users = relation(name("users"));
    EXPECT_TRUE(users.column("name")->published);
    EXPECT_FALSE(users.column("note")->published);
    EXPECT_THAT(users.column("name")->dependents, testing::Contains("publication listed"));
    writer.execute("DROP PUBLICATION listed");
  }
}

TEST_F(catalog_facts, what_a_transaction_made_is_new_and_what_it_renamed_keeps_its_facts) {
  test_session client(test_server::instance().writer("facts"));
  client.execute("BEGIN");
  client.execute("CREATE TABLE fresh (a int)");
  client.execute("CREATE TEMP TABLE users (a int)");
  client.execute("ALTER TABLE parts RENAME TO pieces");
  const policies::fact_request request{
      .relations = {name("fresh"), name("users"), name("public", "users"), name("pieces"), name("parts")},
      .types = {},
      .functions = {}};
  const auto read = read_beside(client, request);
  EXPECT_EQ(read.lacked, "");
  ASSERT_TRUE(read.snapshot.relation(name("fresh")));
  EXPECT_TRUE(read.snapshot.relation(name("fresh"))->new_in_transaction);
  EXPECT_EQ(read.snapshot.relation(name("users"))->persistence, 't');
  EXPECT_TRUE(read.snapshot.relation(name("users"))->new_in_transaction);
  EXPECT_FALSE(read.snapshot.relation(name("public", "users"))->new_in_transaction);
  EXPECT_EQ(read.snapshot.relation(name("public", "users"))->columns.size(), 8U);
  EXPECT_EQ(read.snapshot.relation(name("pieces"))->full_name(), "public.pieces");
  EXPECT_EQ(read.snapshot.relation(name("pieces"))->partitions.size(), 2U);
  EXPECT_EQ(read.snapshot.relation(name("parts")).state, presence::missing);
}

TEST_F(catalog_facts, a_table_locked_by_its_own_transaction_has_the_size_and_checks_it_sees) {
  test_session client(test_server::instance().writer("facts"));
  client.execute("BEGIN");
  client.execute("ALTER TABLE users ADD COLUMN extra int");
  client.execute("ALTER TABLE users DROP CONSTRAINT named");
  client.execute("ALTER TABLE users ADD CONSTRAINT younger CHECK (born IS NOT NULL) NOT VALID");
  const auto read = read_beside(client, {.relations = {name("users")}, .types = {}, .functions = {}});
  EXPECT_EQ(read.lacked, "");
  const auto users = read.snapshot.relation(name("users"));
  ASSERT_TRUE(users);
  EXPECT_EQ(users->constraint("named"), nullptr);
  ASSERT_NE(users->constraint("younger"), nullptr);
  EXPECT_FALSE(users->constraint("younger")->validated);
  EXPECT_EQ(users->constraint("younger")->expression, "(born IS NOT NULL)");
  EXPECT_THAT(users->constraint("younger")->columns, ElementsAre("born"));
  EXPECT_NE(users->constraint("users_pkey"), nullptr);
  EXPECT_GT(read.snapshot.relation(name("users"))->bytes.value(), 0);
  EXPECT_NEAR(read.snapshot.relation(name("users"))->rows.value(), 500, 1);
}

TEST_F(catalog_facts, a_table_locked_by_others_is_big_and_nobody_waits) {
  test_session holder(test_server::instance().writer("facts"));
  holder.execute("BEGIN");
  holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
  test_session client(test_server::instance().writer("facts"));
  const auto began = std::chrono::steady_clock::now();
  const auto read = read_beside(client, {.relations = {name("users")}, .types = {}, .functions = {}});
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
  EXPECT_EQ(read.snapshot.relation(name("users"))->bytes, std::nullopt);
  EXPECT_EQ(read.snapshot.relation(name("users"))->columns.size(), 8U);
  EXPECT_THAT(read.lacked, testing::HasSubstr("public.users"));
}

TEST_F(catalog_facts, a_table_newer_than_the_snapshot_of_the_transaction_is_found) {
  test_session client(test_server::instance().writer("facts"));
  client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
  client.execute("SELECT 1 FROM users LIMIT 1");
  test_session writer(test_server::instance().writer("facts"));
  writer.execute("CREATE TABLE later (a int)");
  const auto read = read_beside(client, {.relations = {name("later")}, .types = {}, .functions = {}});
  ASSERT_TRUE(read.snapshot.relation(name("later")));
  EXPECT_EQ(read.snapshot.relation(name("later"))->full_name(), "public.later");
  EXPECT_FALSE(read.snapshot.relation(name("later"))->new_in_transaction);
  client.execute("ROLLBACK");
  writer.execute("DROP TABLE later");
}

TEST_F(catalog_facts, resolution_takes_no_lock_and_ignores_operators_of_the_path) {
  test_session client(test_server::instance().writer("facts"));
  client.execute("BEGIN");
  client.execute("CREATE SCHEMA evil");
  client.execute("CREATE FUNCTION evil.never(name, name) RETURNS bool LANGUAGE sql AS 'SELECT false'");
  client.execute("CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.never)");
  client.execute("SET LOCAL search_path = evil, public, pg_catalog");
  const policies::fact_request request{.relations = {name("users"), name("facts_none")},
                                       .types = {type("email")},
                                       .functions = {function("now", 0)}};
  const auto query = make_resolution_query(request);
  const auto rows = client.execute(query.sql, {query.parameters.begin(), query.parameters.end()});
  const auto names = decode_resolution(request, rows);
  ASSERT_TRUE(names);
  EXPECT_TRUE(names->relations[0]);
  EXPECT_TRUE(names->relations[0]->visible);
  EXPECT_FALSE(names->relations[1]);
  EXPECT_TRUE(names->types[0]);
  EXPECT_EQ(names->functions[0]->volatility, 's');
  EXPECT_THAT(names->session.search_path, ElementsAre("evil", "public", "pg_catalog"));
  EXPECT_NE(names->session.transaction_id, "");
  const auto locks = client.execute(
      "SELECT c.relname FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation "
      "WHERE l.pid = pg_catalog.pg_backend_pid() AND c.oid OPERATOR(pg_catalog.>=) 16384");
  EXPECT_THAT(locks, IsEmpty());
}

TEST_F(catalog_facts, settings_of_the_session_are_in_milliseconds) {
  test_session client(test_server::instance().writer("facts"));
  for (const char* each :
       {"SET lock_timeout = '1500ms'", "SET statement_timeout = '2min'", "SET TimeZone = 'Europe/London'",
        "SET idle_in_transaction_session_timeout = '1d'", "SET ROLE pg_monitor"})
    client.execute(each);
  const auto query = make_resolution_query({});
  const auto names = decode_resolution({}, client.execute(query.sql));
  ASSERT_TRUE(names);
  EXPECT_EQ(names->session.lock_timeout_ms, 1500);
  EXPECT_EQ(names->session.statement_timeout_ms, 120'000);
  EXPECT_EQ(names->session.idle_in_transaction_timeout_ms, 86'400'000);
  EXPECT_EQ(names->session.deadlock_timeout_ms, 1000);
  EXPECT_EQ(names->session.time_zone, "Europe/London");
  EXPECT_EQ(names->session.current_user, "pg_monitor");
  EXPECT_EQ(names->session.session_user, "postgres");
  EXPECT_EQ(names->session.isolation, "read committed");
  EXPECT_EQ(names->session.transaction_id, "");
  EXPECT_EQ(names->session.backend_pid, client.pid());
}

TEST_F(catalog_facts, a_role_without_rights_on_a_schema_gets_an_answer) {
  test_session writer(test_server::instance().writer("facts"));
  writer.execute("DROP ROLE IF EXISTS outsider");
  writer.execute("CREATE ROLE outsider");
  test_session client(test_server::instance().writer("facts"));
  client.execute("SET ROLE outsider");
  const policies::fact_request request{
      .relations = {name("app", "Order Lines"), name("users")}, .types = {}, .functions = {}};
  const auto query = make_resolution_query(request);
  const auto names = decode_resolution(
      request, client.execute(query.sql, {query.parameters.begin(), query.parameters.end()}));
  ASSERT_TRUE(names);
  EXPECT_FALSE(names->relations[0]);
  EXPECT_TRUE(names->relations[1]);
  client.execute("RESET ROLE");
  writer.execute("DROP ROLE outsider");
}

TEST(name_resolution, rows_of_something_else_are_refused) {
  EXPECT_FALSE(decode_resolution({}, {}));
  EXPECT_FALSE(decode_resolution({}, {{"session", "0"}}));
  text_row relation(15, "1");
  relation[0] = "relation";
  EXPECT_FALSE(decode_resolution({}, {relation}));
}

class unreachable final : public querier {
 public:
  boost::asio::awaitable<std::vector<outcome<query_result>>> run(std::vector<command> commands) override {
    co_return std::vector<outcome<query_result>>(commands.size(), sql_error{"08006", "server gone"});
  }
};

TEST(read_facts, without_a_control_connection_relations_are_unknown_and_the_reason_is_given) {
  boost::asio::io_context context;
  unreachable source;
  const policies::fact_request request{.relations = {name("users"), name("gone")},
                                       .types = {type("email")},
                                       .functions = {function("now", 0)}};
  resolved_names names;
  names.session.server_version = 160000;
  names.relations = {resolved_relation{}, std::nullopt};
  names.types = {resolved_type{
      .oid = 1, .schema = "public", .name = "email", .kind = 'd', .base_schema = {}, .base = {}}};
  names.functions = {resolved_function{"pg_catalog", "now", 's', false}};
  const facts read = wait_for(context, read_facts(source, request, names));
  EXPECT_TRUE(read.snapshot.available);
  EXPECT_EQ(read.snapshot.server_version, 160000);
  EXPECT_EQ(read.snapshot.relation(name("users")).state, presence::unknown);
  EXPECT_EQ(read.snapshot.relation(name("gone")).state, presence::missing);
  EXPECT_EQ(read.snapshot.type(type("email")).state, presence::unknown);
  EXPECT_EQ(read.snapshot.function(function("now", 0)).state, presence::known);
  EXPECT_EQ(read.lacked, "the users of a domain could not be read: server gone");
}

TEST(standalone_reader, an_unreachable_database_is_said_at_once) {
  EXPECT_THROW(standalone_reader("host=127.0.0.1 port=1 connect_timeout=1"), std::runtime_error);
  EXPECT_THROW(standalone_reader("nonsense=1"), std::invalid_argument);
}

}  // namespace
}  // namespace tidegate::control
