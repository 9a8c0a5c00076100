#include "proxy/control/blockers.hpp"

#include "proxy/control/index_build.hpp"
#include "tests/unit/proxy/control/test_server.hpp"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::control {
namespace {

using policies::lock_level;
using test::test_server;
using test::test_session;
using test::wait_for;
using testing::HasSubstr;
using namespace std::chrono_literals;

class locks : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    test_server::instance().create_database(
        "locks", {"CREATE TABLE a (x int)", "CREATE TABLE b (x int)", "INSERT INTO a VALUES (1)",
                  "CREATE INDEX a_x ON a (x)"});
  }
  static void TearDownTestSuite() {
    test_session(test_server::instance().writer()).execute("DROP DATABASE locks");
  }

  std::uint32_t oid(const std::string& relation) {
    return number<std::uint32_t>(control.execute("SELECT '" + relation + "'::regclass::oid").front(), 0)
        .value();
  }
  blockers of(const std::string& relation, lock_level level, std::vector<std::int32_t> own = {}) {
    std::vector<wanted_lock> wanted{{oid("public." + relation), level}};
    const auto found =
        wait_for(control.context(), find_blockers(control.connection(), std::move(wanted), std::move(own)));
    if (!found) throw std::runtime_error(found.error().message);
    return *found;
  }

  test_session control{test_server::instance().target("locks")};
};

TEST_F(locks, nobody_is_in_the_way_of_a_free_table) {
  const blockers found = of("a", lock_level::access_exclusive);
  EXPECT_TRUE(found.empty());
  EXPECT_EQ(found.deadlock_timeout, 1000ms);
}

TEST_F(locks, a_holder_is_named_only_for_modes_that_conflict) {
  test_session reader(test_server::instance().writer("locks"));
  reader.execute("SET application_name = 'report'");
  reader.execute("BEGIN");
  reader.execute("SELECT x, 'secret' FROM a WHERE x = 42");
  const blockers found = of("a", lock_level::access_exclusive);
  ASSERT_EQ(found.holders.size(), 1U);
  const blocker& who = found.holders.front();
  EXPECT_EQ(who.kind, blocker_kind::session);
  EXPECT_EQ(who.pid, reader.pid());
  EXPECT_EQ(who.application, "report");
  EXPECT_EQ(who.user, "postgres");
  EXPECT_EQ(who.state, "idle in transaction");
  EXPECT_EQ(who.query, "SELECT x, ? FROM a WHERE x = ?");
  EXPECT_EQ(who.relation, "public.a");
  EXPECT_EQ(who.mode, "AccessShareLock");
  EXPECT_TRUE(who.granted);
  EXPECT_TRUE(who.visible);
  EXPECT_THAT(describe(who), HasSubstr("pid " + std::to_string(reader.pid()) +
                                       " app=report user=postgres state=\"idle in transaction\""));
  EXPECT_TRUE(of("a", lock_level::share).empty());
  EXPECT_TRUE(of("b", lock_level::access_exclusive).empty());
  EXPECT_TRUE(of("a", lock_level::access_exclusive, {reader.pid()}).empty());
}

TEST_F(locks, the_oldest_transaction_comes_first_and_each_session_once) {
  test_session first(test_server::instance().writer("locks")),
      second(test_server::instance().writer("locks"));
  first.execute("BEGIN");
  first.execute("SELECT 1");
  second.execute("BEGIN");
  second.execute("INSERT INTO a VALUES (2)");
  second.execute("SELECT * FROM a");
  first.execute("SELECT * FROM a");
  const blockers found = of("a", lock_level::access_exclusive);
  ASSERT_EQ(found.holders.size(), 2U);
  EXPECT_EQ(found.holders[0].pid, first.pid());
  EXPECT_EQ(found.holders[1].pid, second.pid());
}

TEST_F(locks, one_who_waits_ahead_is_told_from_those_who_hold) {
  test_session holder(test_server::instance().writer("locks"));
  holder.execute("BEGIN");
  holder.execute("SELECT * FROM b");
  test_session waiter(test_server::instance().writer("locks"));
  const std::int32_t waiting_pid = waiter.pid();
  std::thread waiting(
      [&] { waiter.try_execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE"); });  // outside BEGIN: fails
  waiting.join();
  std::thread locking([&] {
    waiter.execute("BEGIN");
    waiter.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE");
  });
  blockers found;
  while (found.holders.size() < 2) found = of("b", lock_level::access_exclusive);
  EXPECT_EQ(found.holders[0].pid, holder.pid());
  EXPECT_EQ(found.holders[1].pid, waiting_pid);
  EXPECT_FALSE(found.holders[1].granted);
  EXPECT_THAT(describe(found.holders[1]), HasSubstr("(waiting itself)"));
  holder.execute("COMMIT");
  locking.join();
}

TEST_F(locks, who_waits_for_us_is_not_in_our_way) {
  test_session changer(test_server::instance().writer("locks"));
  changer.execute("BEGIN");
  changer.execute("LOCK TABLE b IN SHARE ROW EXCLUSIVE MODE");
  test_session writer(test_server::instance().writer("locks"));
  std::thread writing([&] { writer.execute("INSERT INTO b VALUES (1)"); });
  while (of("b", lock_level::access_exclusive).holders.size() < 2) {
  }
  EXPECT_TRUE(of("b", lock_level::access_exclusive, {changer.pid()}).empty());
  // A lock that does not make it wait does not put us in front of it.
  EXPECT_FALSE(of("b", lock_level::access_exclusive, {control.connection().backend_pid()}).empty());
  changer.execute("COMMIT");
  writing.join();
}

TEST_F(locks, a_prepared_transaction_is_named_by_its_gid) {
  test_session session(test_server::instance().writer("locks"));
  session.execute("BEGIN");
  session.execute("INSERT INTO b VALUES (1)");
  session.execute("PREPARE TRANSACTION 'order-17'");
  const blockers found = of("b", lock_level::share);
  session.execute("ROLLBACK PREPARED 'order-17'");
  ASSERT_EQ(found.holders.size(), 1U);
  EXPECT_EQ(found.holders[0].kind, blocker_kind::prepared_transaction);
  EXPECT_EQ(found.holders[0].gid, "order-17");
  EXPECT_THAT(describe(found.holders[0]), HasSubstr("prepared transaction 'order-17' of postgres"));
}

TEST_F(locks, a_role_without_pg_monitor_is_told_what_it_cannot_see) {
  test_session admin(test_server::instance().writer("locks"));
  admin.execute("CREATE ROLE plain LOGIN");
  test_session reader(test_server::instance().writer("locks"));
  reader.execute("BEGIN");
  reader.execute("SELECT * FROM a");
  {
    control_target target = test_server::instance().target("locks");
    target.settings.user = "plain";
    test_session blind(target);
    std::vector<wanted_lock> wanted{{oid("public.a"), lock_level::access_exclusive}};
    const auto found = wait_for(blind.context(), find_blockers(blind.connection(), std::move(wanted), {}));
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->holders.size(), 1U);
    EXPECT_FALSE(found->holders[0].visible);
    EXPECT_EQ(found->holders[0].query, "");
    EXPECT_EQ(found->holders[0].user, "postgres");
    EXPECT_THAT(describe(found->holders[0]), HasSubstr("pg_monitor"));
  }
  admin.execute("GRANT pg_monitor TO plain");
  {
    control_target target = test_server::instance().target("locks");
    target.settings.user = "plain";
    test_session seeing(target);
    std::vector<wanted_lock> wanted{{oid("public.a"), lock_level::access_exclusive}};
    const auto found = wait_for(seeing.context(), find_blockers(seeing.connection(), std::move(wanted), {}));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->holders[0].visible);
    EXPECT_EQ(found->holders[0].query, "SELECT * FROM a");
  }
  reader.execute("COMMIT");
  admin.execute("DROP ROLE plain");
}

TEST_F(locks, a_concurrent_build_shows_whom_it_waits_for_and_what_it_leaves) {
  test_session reader(test_server::instance().writer("locks"));
  reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
  reader.execute("SELECT 1 FROM b");
  test_session builder(test_server::instance().writer("locks"));
  const std::int32_t pid = builder.pid();
  std::string failed;
  std::thread building([&] { failed = builder.try_execute("CREATE INDEX CONCURRENTLY a_late ON a (x)"); });
  std::optional<index_build_progress> progress;
  while (!progress || progress->waits_for_pid != reader.pid()) {  // others come and go
    const auto read = wait_for(control.context(), read_index_build_progress(control.connection(), pid));
    ASSERT_TRUE(read) << read.error().message;
    progress = *read;
  }
  EXPECT_EQ(progress->command, "CREATE INDEX CONCURRENTLY");
  EXPECT_EQ(progress->relation, "public.a");
  EXPECT_GE(progress->lockers_total, 1);
  const auto holders = wait_for(control.context(), find_snapshot_holders(control.connection(), pid));
  ASSERT_TRUE(holders) << holders.error().message;
  ASSERT_EQ(holders->holders.size(), 1U);
  EXPECT_EQ(holders->holders[0].pid, reader.pid());

  auto state = wait_for(control.context(), find_index(control.connection(), "public", "a_late"));
  ASSERT_TRUE(state && *state);
  EXPECT_TRUE((*state)->being_built);
  EXPECT_FALSE((*state)->valid);

  control.execute("SELECT pg_cancel_backend(" + std::to_string(pid) + ")");
  building.join();
  EXPECT_EQ(failed, "57014");
  state = wait_for(control.context(), find_index(control.connection(), "public", "a_late"));
  ASSERT_TRUE(state && *state);
  EXPECT_FALSE((*state)->valid);
  EXPECT_FALSE((*state)->being_built);
  EXPECT_FALSE((*state)->concurrent_leftover);
  EXPECT_EQ((*state)->table, "public.a");
  const auto invalid = wait_for(control.context(), invalid_indexes(control.connection(), oid("public.a")));
  ASSERT_TRUE(invalid);
  ASSERT_EQ(invalid->size(), 1U);
  EXPECT_EQ(invalid->front().name, "a_late");
  const auto idle = wait_for(control.context(), read_index_build_progress(control.connection(), pid));
  ASSERT_TRUE(idle);
  EXPECT_FALSE(*idle);
  const auto none = wait_for(control.context(), find_index(control.connection(), "public", "nothing"));
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  reader.execute("COMMIT");
  builder.execute("DROP INDEX a_late");
}

TEST(human_duration, uses_the_unit_a_person_would) {
  EXPECT_EQ(human_duration(30ms), "30ms");
  EXPECT_EQ(human_duration(3200ms), "3s");
  EXPECT_EQ(human_duration(12min), "12m");
  EXPECT_EQ(human_duration(125min), "2h05m");
  EXPECT_EQ(human_duration(100h), "4d");
}

}  // namespace
}  // namespace tidegate::control
