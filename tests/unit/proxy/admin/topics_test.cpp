// What the console's tables are made of.

#include "proxy/admin/topics.hpp"

#include "config/load.hpp"
#include "policies/registry.hpp"
#include "policies/rule.hpp"
#include "proxy/admin/database_switches.hpp"
#include "proxy/admin/runtime_keys.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::admin {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;
using clock = std::chrono::steady_clock;

overview example() {
  overview all;
  config::settings settings;
  config::database_settings shop;
  shop.name = "shop";
  shop.host = "db1";
  shop.pool.size = 20;
  shop.server_auth = config::server_auth_settings{"app", "secret-of-the-server"};
  settings.databases = {shop};
  settings.auth.users = {{"ann", "secret-of-ann"}};
  settings.admin.users = {"root"};
  all.settings = std::make_shared<const config::settings>(settings);
  all.is_paused = [](std::string_view name) { return name == "shop"; };
  all.is_disabled = [](std::string_view) { return false; };
  client_row busy;
  busy.id = 7;
  busy.user = "ann";
  busy.database = "shop";
  busy.state = client_state::active;
  busy.server = 8;
  client_row waiting = busy;
  waiting.id = 9;
  waiting.state = client_state::waiting;
  waiting.waits = std::chrono::microseconds(2'500'000);
  server_row linked;
  linked.id = 8;
  linked.user = "ann";
  linked.database = "shop";
  linked.client = 7;
  server_row idle = linked;
  idle.state = server_state::idle;
  all.sessions.clients = {busy, waiting};
  all.sessions.servers = {linked, idle};
  all.sessions.logins = {{"bob", "shop", true, std::chrono::microseconds(1'000)}};
  return all;
}

// The cell of a column in the row whose first columns have these values.
std::string cell(const char* topic_name, const overview& all, std::string_view column_name,
                 std::size_t row_index = 0) {
  const topic* shown = find_topic(topic_name);
  const rows made = shown->make(all);
  const auto at = std::ranges::find(shown->shape, column_name, &column::name);
  EXPECT_NE(at, shown->shape.end()) << topic_name << "." << column_name;
  return made.at(row_index).at(static_cast<std::size_t>(at - shown->shape.begin())).value_or("NULL");
}

TEST(console_topic, every_row_has_as_many_cells_as_there_are_columns) {
  const overview all = example();
  for (const topic& each : topics()) {
    for (const row& made : each.make(all)) EXPECT_THAT(made, SizeIs(each.shape.size())) << each.name;
  }
}

TEST(console_topic, none_shows_a_secret) {
  const overview all = example();
  for (const topic& each : topics()) {
    for (const row& made : each.make(all)) {
      for (const auto& text : made)
        EXPECT_THAT(text.value_or(""), testing::Not(HasSubstr("secret"))) << each.name;
    }
  }
}

TEST(console_topic, pools_add_up_clients_servers_and_logins) {
  const overview all = example();
  EXPECT_THAT(find_topic("pools")->make(all), SizeIs(2));
  EXPECT_EQ(cell("pools", all, "user"), "ann");
  EXPECT_EQ(cell("pools", all, "cl_active"), "1");
  EXPECT_EQ(cell("pools", all, "cl_waiting"), "1");
  EXPECT_EQ(cell("pools", all, "sv_active"), "1");
  EXPECT_EQ(cell("pools", all, "sv_idle"), "1");
  EXPECT_EQ(cell("pools", all, "maxwait"), "2");
  EXPECT_EQ(cell("pools", all, "maxwait_us"), "500000");
  EXPECT_EQ(cell("pools", all, "user", 1), "bob");
  EXPECT_EQ(cell("pools", all, "sv_login", 1), "1");
}

TEST(console_topic, databases_tell_limits_and_switches) {
  const overview all = example();
  EXPECT_EQ(cell("databases", all, "name"), "shop");
  EXPECT_EQ(cell("databases", all, "force_user"), "app");
  EXPECT_EQ(cell("databases", all, "pool_size"), "20");
  EXPECT_EQ(cell("databases", all, "current_connections"), "3");
  EXPECT_EQ(cell("databases", all, "paused"), "1");
  EXPECT_EQ(cell("databases", all, "disabled"), "0");
}

TEST(console_topic, clients_and_servers_point_at_each_other) {
  const overview all = example();
  EXPECT_EQ(cell("clients", all, "id"), "7");
  EXPECT_EQ(cell("clients", all, "ptr"), cell("servers", all, "link"));
  EXPECT_EQ(cell("clients", all, "link"), cell("servers", all, "ptr"));
  EXPECT_EQ(cell("clients", all, "wait", 1), "2");
}

TEST(console_topic, rules_follow_the_policy_for_everybody_and_count_the_rest) {
  overview all = example();
  config::settings settings = *all.settings;
  const std::string id(policies::all_rules().front()->id);
  policies::policy_scope everybody, one;
  everybody.rules = {{id, policies::verdict::warn}};
  one.databases = {"shop"};
  one.rules = {{id, policies::verdict::allow}};
  settings.policies.policy.scopes = {everybody, one};
  all.settings = std::make_shared<const config::settings>(settings);
  EXPECT_THAT(find_topic("rules")->make(all), SizeIs(policies::all_rules().size()));
  EXPECT_EQ(cell("rules", all, "rule"), id);
  EXPECT_EQ(cell("rules", all, "verdict"), "warn");
  EXPECT_EQ(cell("rules", all, "exceptions"), "1");
}

TEST(console_stats, are_totals_and_averages_of_the_last_full_period) {
  const clock::time_point start{};
  stats_history history(start);
  const auto totals = [](std::uint64_t queries) {
    metrics::database_totals one;
    one.database = "shop";
    one.queries = queries;
    one.query_seconds = static_cast<double>(queries) / 1000;
    return std::vector{one};
  };
  const auto stats = [&](std::uint64_t queries, int second) {
    return history.stats(totals(queries), start + std::chrono::seconds(second)).at(0);
  };
  EXPECT_EQ(stats(50, 10).period.queries, 50u);
  EXPECT_EQ(stats(50, 10).period_seconds, 10);
  history.tick(start + std::chrono::seconds(60), [&] { return totals(600); });
  EXPECT_EQ(stats(700, 70).period.queries, 600u);
  history.tick(start + std::chrono::seconds(90), [&] { return totals(10'000); });
  history.tick(start + std::chrono::seconds(120), [&] { return totals(1'800); });
  EXPECT_EQ(stats(2'000, 130).period.queries, 1'200u);
  EXPECT_EQ(stats(2'000, 130).total.queries, 2'000u);
  overview all;
  all.stats = {stats(2'000, 130)};
  EXPECT_EQ(cell("stats", all, "avg_query_count"), "20");
  EXPECT_EQ(cell("stats", all, "avg_query_time"), "1000");
  EXPECT_EQ(cell("stats_averages", all, "query_count"), "20");
  EXPECT_EQ(cell("stats_totals", all, "query_count"), "2000");
}

TEST(recent_finding_ring, is_bounded_newest_first_and_cuts_texts) {
  recent_findings ring;
  audit::audit_record record;
  ring.add(record);
  EXPECT_THAT(ring.list(), SizeIs(0));
  policies::finding finding;
  finding.message = std::string(5'000, 'x');
  for (std::size_t i = 0; i < recent_findings::capacity + 10; ++i) {
    record.user = std::to_string(i);
    record.findings = {finding};
    ring.add(record);
  }
  const auto list = ring.list();
  ASSERT_THAT(list, SizeIs(recent_findings::capacity));
  EXPECT_EQ(list.front().user, std::to_string(recent_findings::capacity + 9));
  EXPECT_THAT(list.front().message, SizeIs(recent_findings::longest_text));
}

TEST(ddl_board_place, is_shown_while_it_lives) {
  ddl_board board;
  {
    ddl_row row;
    row.database = "shop";
    ddl_board::place place(board, row);
    place.step("waits", 3);
    place.blockers("pid 1");
    ASSERT_THAT(board.list(), SizeIs(1));
    EXPECT_EQ(board.list()[0].attempts, 3u);
    EXPECT_EQ(board.list()[0].blockers, "pid 1");
  }
  EXPECT_THAT(board.list(), SizeIs(0));
}

class switched : public testing::Test {
 protected:
  bool holds(std::string_view database) {
    return gate_.must_hold(database, "SELECT 1", {}, clock::now()).has_value();
  }
  core::gate gate_;
  database_switches switches_{gate_};
};

TEST_F(switched, pause_closes_the_gate_of_one_database_until_resume) {
  EXPECT_FALSE(switches_.any());
  EXPECT_TRUE(switches_.pause("shop"));
  EXPECT_FALSE(switches_.pause("shop"));
  EXPECT_TRUE(switches_.any());
  EXPECT_TRUE(switches_.is_paused("shop"));
  EXPECT_FALSE(switches_.is_paused("other"));
  EXPECT_TRUE(holds("shop"));
  EXPECT_FALSE(holds("other"));
  EXPECT_TRUE(switches_.resume("shop"));
  EXPECT_FALSE(switches_.resume("shop"));
  EXPECT_FALSE(holds("shop"));
  EXPECT_FALSE(gate_.closed());
}

TEST_F(switched, pause_of_all_is_every_database_and_resume_of_all_lifts_everything) {
  switches_.pause("shop");
  switches_.pause("");
  EXPECT_TRUE(holds("other"));
  EXPECT_TRUE(switches_.is_all_paused());
  EXPECT_FALSE(switches_.resume("other"));
  EXPECT_TRUE(switches_.resume(""));
  EXPECT_FALSE(holds("shop"));
  EXPECT_FALSE(switches_.any());
}

TEST_F(switched, disable_holds_nobody) {
  EXPECT_TRUE(switches_.disable("shop"));
  EXPECT_TRUE(switches_.is_disabled("shop"));
  EXPECT_FALSE(holds("shop"));
  EXPECT_TRUE(switches_.enable("shop"));
  EXPECT_FALSE(switches_.any());
}

TEST(runtime_key_table, every_key_of_the_file_is_one_the_loader_knows) {
  const auto known = config::known_keys();
  for (const runtime_key& key : runtime_keys()) {
    if (key.name.find('.') == std::string_view::npos) continue;
    EXPECT_THAT(known, Contains(std::string(key.name)));
  }
}

TEST(runtime_key_table, what_a_key_shows_can_be_set_again) {
  config::settings settings;
  for (const runtime_key& key : runtime_keys()) {
    if (key.set == nullptr) continue;
    if (key.name == "timeouts.query") {
      EXPECT_EQ(key.set(settings, "90s"), "");
    }
    const std::string shown = key.get(settings);
    EXPECT_EQ(key.set(settings, shown), "") << key.name;
    EXPECT_EQ(key.get(settings), shown) << key.name;
    EXPECT_NE(key.set(settings, "nonsense"), "") << key.name;
    EXPECT_EQ(key.get(settings), shown) << key.name;
  }
  EXPECT_EQ(settings.timeouts.query, std::chrono::seconds(90));
}

TEST(runtime_key_table, zero_is_refused_where_there_has_to_be_a_limit) {
  config::settings settings;
  EXPECT_NE(find_runtime_key("timeouts.login")->set(settings, "0"), "");
  EXPECT_NE(find_runtime_key("limits.max_clients")->set(settings, "0"), "");
  EXPECT_EQ(find_runtime_key("timeouts.client_idle")->set(settings, "0"), "");
  EXPECT_EQ(find_runtime_key("threads")->set, nullptr);
  EXPECT_EQ(find_runtime_key("nothing"), nullptr);
}

}  // namespace
}  // namespace tidegate::admin
