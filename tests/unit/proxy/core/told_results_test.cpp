#include "proxy/core/told_results.hpp"

#include "proxy/core/schema_epochs.hpp"
#include "proxy/core/session.hpp"
#include "tests/unit/proxy/core/messages.hpp"

#include <chrono>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

std::string big_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int shift = bytes * 8 - 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

struct column {
  std::string_view name;
  std::uint32_t type = 23, modifier = 0xffffffff, table = 0;
};

std::string row_description(std::initializer_list<column> columns) {
  std::string body = big_endian(static_cast<std::uint32_t>(columns.size()), 2);
  for (const column& c : columns) {
    body += strings({c.name}) + big_endian(c.table, 4) + big_endian(1, 2) + big_endian(c.type, 4) +
            big_endian(4, 2) + big_endian(c.modifier, 4) + big_endian(0, 2);
  }
  return message('T', body);
}

result_shape shape(std::initializer_list<column> columns) {
  return shape_of(view(row_description(columns)));
}

TEST(result_shape, is_names_types_and_modifiers) {
  const result_shape one = shape({{"a"}, {"b", 25}});
  EXPECT_TRUE(same_shape(one, shape({{"a"}, {"b", 25}})));
  EXPECT_TRUE(same_shape(one, shape({{"a", 23, 0xffffffff, 77}, {"b", 25}})));
  EXPECT_FALSE(same_shape(one, shape({{"a"}, {"c", 25}})));
  EXPECT_FALSE(same_shape(one, shape({{"a"}, {"b", 23}})));
  EXPECT_FALSE(same_shape(one, shape({{"a"}, {"b", 25, 36}})));
  EXPECT_FALSE(same_shape(one, shape({{"a"}})));
  EXPECT_FALSE(same_shape(one, shape({{"a"}, {"b", 25}, {"c"}})));
  EXPECT_FALSE(same_shape(one, shape({{"b", 25}, {"a"}})));
  EXPECT_FALSE(same_shape(one, result_shape::no_rows));
}

TEST(result_shape, is_equal_to_nothing_when_it_is_unknown) {
  EXPECT_FALSE(same_shape(result_shape::unknown, result_shape::unknown));
  const std::string whole = row_description({{"a"}, {"b"}});
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_EQ(shape_of(view(whole).first(cut)), result_shape::unknown) << cut;
  EXPECT_NE(shape_of(view(whole)), result_shape::unknown);
}

TEST(told_results, remember_what_was_answered) {
  told_results all;
  EXPECT_TRUE(all.empty());
  all.asked(3, "s");
  EXPECT_FALSE(all.find("s"));
  EXPECT_TRUE(all.waits_for(3));
  all.answered(3, result_shape::no_rows);
  ASSERT_TRUE(all.find("s"));
  EXPECT_EQ(*all.find("s"), result_shape::no_rows);
  EXPECT_FALSE(all.find("t"));
}

TEST(told_results, forget_what_was_closed_once_the_server_says_so) {
  told_results all;
  all.asked(0, "s");
  all.answered(0, result_shape::no_rows);
  all.close_sent(1, "s");
  all.abandoned_before(2);  // an error made the server skip it
  EXPECT_TRUE(all.find("s"));
  all.close_sent(2, "s");
  all.answered(2, result_shape::unknown);
  EXPECT_FALSE(all.find("s"));
}

TEST(told_results, names_are_as_long_as_the_server_takes_them) {
  told_results all;
  const std::string same(63, 'n');
  all.asked(0, same + "x");
  all.answered(0, result_shape::no_rows);
  EXPECT_TRUE(all.find(same + "y"));
}

TEST(schema_epoch, notices_of_one_change_count_once) {
  schema_epochs all;
  const auto one = all.of("a");
  EXPECT_EQ(one, all.of("a"));
  EXPECT_NE(one, all.of("b"));
  const std::uint64_t before = one->now();
  const auto now = std::chrono::steady_clock::now();
  one->noticed(now);
  one->noticed(now + std::chrono::milliseconds(900));
  EXPECT_EQ(one->now(), before + 1);
  one->noticed(now + std::chrono::milliseconds(1100));
  EXPECT_EQ(one->now(), before + 2);
  one->changed();
  EXPECT_EQ(one->now(), before + 3);
}

// ---- followed by a session ----

class following_test : public testing::Test {
 protected:
  schema_epochs epochs;
  schema_epoch_ptr schema = epochs.of("a");
  core::session session;
  std::string pending;

  following_test() { session.follow(schema); }

  client_scan client(std::string_view bytes) {
    pending.append(bytes);
    const client_scan scan = session.scan_client(view(pending), true, false);
    pending.erase(0, scan.forward);
    return scan;
  }
  void server(const std::string& bytes) {
    EXPECT_EQ(session.scan_server(view(bytes), false).forward, bytes.size());
  }
  static std::string describe(std::string_view name) { return message('D', "S" + strings({name})); }
  void prepare(std::string_view name) {
    client(parse("SELECT a", name) + describe(name) + sync());
    server(message('1') + message('t', std::string(2, '\0')) + row_description({{"a"}}) + ready());
  }
};

TEST_F(following_test, a_described_statement_is_known_by_its_shape) {
  prepare("s");
  ASSERT_TRUE(session.told().find("s"));
  EXPECT_TRUE(same_shape(*session.told().find("s"), shape({{"a"}})));
}

TEST_F(following_test, a_description_is_read_whole_however_it_comes) {
  client(parse("SELECT a", "s") + describe("s") + sync());
  const std::string answers =
      message('1') + message('t', std::string(2, '\0')) + row_description({{"a"}, {"b", 25}}) + ready();
  std::string left;
  for (const char c : answers) {
    left += c;
    left.erase(0, session.scan_server(view(left), false).forward);
  }
  EXPECT_EQ(left, "");
  EXPECT_TRUE(same_shape(*session.told().find("s"), shape({{"a"}, {"b", 25}})));
}

TEST_F(following_test, an_error_tells_nothing) {
  client(describe("s") + sync());
  server(failure("26000") + ready());
  EXPECT_FALSE(session.told().find("s"));
  EXPECT_TRUE(session.told().empty());
}

TEST_F(following_test, a_bind_waits_only_when_the_schema_has_changed) {
  prepare("s");
  EXPECT_EQ(client(core::bind("s") + execute() + sync()).step, client_step::done);
  server(message('2') + complete("SELECT 1") + ready());
  schema->changed();
  EXPECT_EQ(client(core::bind("s") + execute() + sync()).step, client_step::renew);
  EXPECT_EQ(session.renewal_name(), "s");
  session.stale_since(schema->now(), {"s", "t"});
  EXPECT_EQ(client({}).step, client_step::renew);
  session.renewed("s");
  EXPECT_EQ(client({}).step, client_step::done);
  EXPECT_TRUE(pending.empty());
}

TEST_F(following_test, a_bind_within_a_transaction_or_a_batch_goes_on) {
  prepare("s");
  schema->changed();
  EXPECT_EQ(client(parse("SELECT 1") + core::bind("s") + execute() + sync()).step, client_step::done);
  server(message('1') + message('2') + complete("SELECT 1") + ready('T'));
  EXPECT_EQ(client(core::bind("s") + execute() + sync()).step, client_step::done);
}

TEST_F(following_test, the_unnamed_statement_is_never_stale) {
  client(parse("SELECT 1") + sync());
  server(message('1') + ready());
  schema->changed();
  EXPECT_EQ(client(core::bind() + execute() + sync()).step, client_step::done);
}

TEST_F(following_test, a_server_that_says_so_is_heard) {
  const std::string error = message('E', std::string("SERROR") + '\0' + "VERROR" + '\0' + "C0A000" + '\0' +
                                             "Mx" + '\0' + "RRevalidateCachedQuery" + '\0' + '\0');
  client(core::bind("s") + sync());
  EXPECT_TRUE(session.scan_server(view(error + ready()), false).plan_stale);
  client(core::bind("s") + sync());
  EXPECT_FALSE(session.scan_server(view(failure("0A000") + ready()), false).plan_stale);
}

}  // namespace
}  // namespace tidegate::core
