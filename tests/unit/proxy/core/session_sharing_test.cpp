#include "proxy/core/session.hpp"
#include "tests/unit/proxy/core/messages.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

// A client of a transaction pool and the server it is lent, without sockets.
struct shared_relay {
  core::session session;
  std::vector<std::byte> batch;
  server_statements* on;
  std::string to_server, to_client, pending;
  client_step last = client_step::done;
  refusal_reason why = refusal_reason::name_taken;

  shared_relay(statement_registry& registry, server_statements& server, std::size_t most = 500)
      : on(&server) {
    session.share(registry, std::make_shared<const std::vector<std::string>>(), most, batch);
    lend(server);
  }

  void lend(server_statements& server) {
    on = &server;
    session.sharing()->on_server = on;
    session.sharing()->unnamed_is_ours = false;
  }

  std::string client(std::string_view bytes) {
    to_server.clear();
    pending.append(bytes);
    std::size_t at = 0;
    for (;;) {
      const client_scan scan = session.scan_client(view(pending).subspan(at), true, false);
      to_server.append(protocol::as_text(batch));
      batch.clear();
      to_server.append(pending, at + scan.written, scan.forward - scan.written);
      at += scan.forward;
      last = scan.step;
      why = scan.why;
      if (scan.step != client_step::flush) break;
    }
    pending.erase(0, at);
    return to_server;
  }

  std::string server(std::string_view bytes) {
    to_client.clear();
    for (std::size_t at = 0;;) {
      const server_scan scan = session.scan_server(view(bytes).subspan(at), false);
      to_client.append(bytes, at, scan.forward);
      at += scan.forward;
      if (scan.step != server_step::swallow) return to_client;
      at += 5;
    }
  }
};

class sharing_test : public testing::Test {
 protected:
  statement_registry registry;
  server_statements server;
  shared_relay one{registry, server};
  shared_relay other{registry, server};

  // The name that the text has on servers.
  std::string name_of(std::string_view text) {
    for (const auto& row : registry.rows()) {
      if (row.text == text) return row.name;
    }
    return {};
  }
  // A Close goes ahead of every Parse: the server may have the name.
  static std::string prepare(std::string_view text, std::string_view name) {
    return close('S', name) + parse(text, name);
  }
  static std::string close_of(std::string_view name) { return close('S', name); }
};

const std::string parsed = message('1');
const std::string bound = message('2');
const std::string closed = message('3');

TEST_F(sharing_test, a_statement_gets_the_servers_name_and_its_bind_too) {
  const std::string sent = one.client(parse("SELECT 1", "mine") + sync());
  const std::string name = name_of("SELECT 1");
  EXPECT_EQ(sent, prepare("SELECT 1", name) + sync());
  EXPECT_EQ(one.server(closed + parsed + ready()), parsed + ready());
  EXPECT_EQ(one.client(core::bind("mine") + execute() + sync()), core::bind(name) + execute() + sync());
}

TEST_F(sharing_test, another_client_with_the_same_text_uses_the_same_statement) {
  one.client(parse("SELECT 1", "mine") + sync());
  one.server(closed + parsed + ready());
  const std::string name = name_of("SELECT 1");
  // The server says again whether the text holds.
  EXPECT_EQ(other.client(parse("SELECT 1", "theirs") + sync()), prepare("SELECT 1", name) + sync());
  EXPECT_EQ(other.server(closed + parsed + ready()), parsed + ready());
  EXPECT_EQ(other.client(core::bind("theirs") + sync()), core::bind(name) + sync());
  EXPECT_EQ(registry.rows().size(), 1u);
}

TEST_F(sharing_test, what_the_server_lacks_is_prepared_before_the_bind) {
  one.client(parse("SELECT 1", "mine") + sync());
  one.server(closed + parsed + ready());
  server_statements second;
  one.lend(second);
  const std::string name = name_of("SELECT 1");
  EXPECT_EQ(one.client(core::bind("mine") + execute() + sync()),
            prepare("SELECT 1", name) + core::bind(name) + execute() + sync());
  EXPECT_EQ(one.server(closed + parsed + bound + complete("SELECT 1") + ready()),
            bound + complete("SELECT 1") + ready());
  EXPECT_EQ(one.client(core::bind("mine") + sync()), core::bind(name) + sync());
}

TEST_F(sharing_test, a_parse_of_our_own_that_fails_is_told_and_tried_again) {
  one.client(parse("SELECT 1", "mine") + sync());
  one.server(closed + parsed + ready());
  server_statements second;
  one.lend(second);
  const std::string name = name_of("SELECT 1");
  one.client(core::bind("mine") + sync());
  EXPECT_EQ(one.server(failure("42P01") + ready()), failure("42P01") + ready());
  EXPECT_EQ(one.client(core::bind("mine") + sync()), prepare("SELECT 1", name) + core::bind(name) + sync());
}

TEST_F(sharing_test, a_statement_behind_an_error_was_never_prepared) {
  one.client(core::bind("nothing") + parse("SELECT 1", "mine") + sync());
  one.server(failure("26000") + ready());
  EXPECT_EQ(one.session.sharing()->statements.find("mine").is, client_statements::answer::none);
  EXPECT_EQ(server.size(), 0u);
  EXPECT_EQ(one.client(core::bind("mine") + sync()), core::bind("mine") + sync());
}

TEST_F(sharing_test, a_name_that_an_unanswered_batch_decides_about_is_waited_for) {
  one.client(parse("SELECT 1", "mine") + sync());
  EXPECT_EQ(one.client(core::bind("mine") + sync()), "");
  EXPECT_EQ(one.last, client_step::wait);
  one.server(closed + parsed + ready());
  EXPECT_EQ(one.client(""), core::bind(name_of("SELECT 1")) + sync());
}

TEST_F(sharing_test, within_a_batch_nothing_is_waited_for) {
  const std::string sent =
      one.client(parse("SELECT 1", "mine") + core::bind("mine") + execute() + close('S', "mine") + sync());
  const std::string name = name_of("SELECT 1");
  EXPECT_EQ(sent, prepare("SELECT 1", name) + core::bind(name) + execute() + close('S', "mine") + sync());
  one.server(closed + parsed + bound + complete("SELECT 1") + closed + ready());
  EXPECT_EQ(one.session.sharing()->statements.find("mine").is, client_statements::answer::none);
}

TEST_F(sharing_test, a_name_that_is_taken_is_refused) {
  one.client(parse("SELECT 1", "mine") + sync());
  one.server(closed + parsed + ready());
  one.client(parse("SELECT 2", "mine") + sync());
  EXPECT_EQ(one.last, client_step::refuse);
  EXPECT_EQ(one.why, refusal_reason::name_taken);
}

TEST_F(sharing_test, the_unnamed_statement_is_parsed_again_on_another_server) {
  EXPECT_EQ(one.client(parse("SELECT 1") + sync()), parse("SELECT 1") + sync());
  one.server(parsed + ready());
  EXPECT_EQ(one.client(core::bind() + sync()), core::bind() + sync());
  one.server(bound + ready());
  server_statements second;
  one.lend(second);
  EXPECT_EQ(one.client(core::bind() + sync()), parse("SELECT 1") + core::bind() + sync());
  EXPECT_EQ(one.server(parsed + bound + ready()), bound + ready());
}

TEST_F(sharing_test, somebody_elses_unnamed_statement_is_not_found) {
  EXPECT_EQ(one.client(core::bind() + sync()), close_of("") + core::bind() + sync());
  EXPECT_EQ(one.server(closed + failure("26000") + ready()), failure("26000") + ready());
}

TEST_F(sharing_test, an_unnamed_parse_that_fails_has_dropped_the_one_before) {
  one.client(parse("SELECT 1") + sync());
  one.server(parsed + ready());
  one.client(parse("SELECT x") + sync());
  one.server(failure("42703") + ready());
  EXPECT_EQ(one.session.sharing()->statements.find_unnamed().is, client_statements::answer::none);
}

TEST_F(sharing_test, a_skipped_unnamed_parse_has_not) {
  one.client(parse("SELECT 1") + sync());
  one.server(parsed + ready());
  one.client(core::bind("nothing") + parse("SELECT 2") + sync());
  one.server(failure("26000") + ready());
  EXPECT_EQ(one.session.sharing()->statements.find_unnamed().is, client_statements::answer::found);
  EXPECT_EQ(one.client(core::bind() + sync()), core::bind() + sync());
}

TEST_F(sharing_test, a_simple_query_drops_the_unnamed_statement) {
  one.client(parse("SELECT 1") + sync() + query("SELECT 2"));
  one.server(parsed + ready() + complete("SELECT 1") + ready());
  EXPECT_EQ(one.session.sharing()->statements.find_unnamed().is, client_statements::answer::none);
}

TEST_F(sharing_test, names_of_the_gateway_belong_to_nobody) {
  one.client(parse("SELECT 1", "mine") + sync());
  one.server(closed + parsed + ready());
  other.client(core::bind(name_of("SELECT 1")) + sync());
  EXPECT_EQ(other.last, client_step::refuse);
  EXPECT_EQ(other.why, refusal_reason::name_unknown);
  shared_relay third(registry, server);
  EXPECT_EQ(third.client(close('S', name_of("SELECT 1")) + sync()), close('S', "tidegate") + sync());
}

TEST_F(sharing_test, the_least_used_statement_of_a_server_is_closed) {
  shared_relay few(registry, server, 2);
  for (const char* name : {"a", "b", "c"}) {
    few.client(parse(std::string("SELECT '") + name + "'", name) + sync());
    few.server((std::string(name) == "c" ? closed : "") + closed + parsed + ready());
  }
  EXPECT_EQ(server.size(), 2u);
  const std::string a = name_of("SELECT 'a'");
  const std::string b = name_of("SELECT 'b'");
  EXPECT_EQ(few.client(core::bind("a") + sync()),
            close_of(b) + prepare("SELECT 'a'", a) + core::bind(a) + sync());
}

TEST_F(sharing_test, texts_tell_what_they_may_leave_when_they_run) {
  one.client(parse("SET a = 1", "s") + sync());
  one.server(closed + parsed + ready());
  EXPECT_FALSE(one.session.sharing()->effects.lasting());
  one.client(core::bind("s") + sync());
  EXPECT_TRUE(one.session.sharing()->effects.has(sql::session_effect::settings));
}

TEST_F(sharing_test, texts_of_other_settings_are_other_statements) {
  one.client(parse("SELECT 1", "s") + sync());
  other.session.sharing()->meaning = "search_path";
  other.client(parse("SELECT 1", "s") + sync());
  EXPECT_EQ(registry.rows().size(), 2u);
}

TEST_F(sharing_test, a_message_met_at_every_split_is_renamed_the_same) {
  one.client(parse("SELECT 1", "mine") + sync());
  one.server(closed + parsed + ready());
  const std::string batch =
      core::bind("mine") + message('D', std::string("S") + strings({"mine"})) + execute() + sync();
  const std::string name = name_of("SELECT 1");
  const std::string expected =
      core::bind(name) + message('D', std::string("S") + strings({name})) + execute() + sync();
  for (std::size_t split = 0; split <= batch.size(); ++split) {
    std::string sent = one.client(std::string_view(batch).substr(0, split));
    sent += one.client(std::string_view(batch).substr(split));
    EXPECT_EQ(sent, expected) << split;
    one.server(bound + message('t') + message('n') + complete("SELECT 1") + ready());
  }
}

// Each message used to look at all that waited: minutes for one client's pipeline.
TEST_F(sharing_test, deep_pipelines_are_followed_message_by_message) {
  constexpr int depth = 60'000;
  std::string batch, answers;
  for (int i = 0; i < depth; ++i) {
    batch += parse("SELECT 1", "s" + std::to_string(i)) + core::bind("s0") + parse("SELECT 2");
    answers += closed + parsed + bound + parsed;
  }
  one.client(batch + sync());
  EXPECT_EQ(one.last, client_step::done);
  EXPECT_EQ(one.server(answers + ready()).size(), answers.size() - depth * closed.size() + ready().size());
  EXPECT_EQ(one.session.sharing()->statements.named().size(), static_cast<std::size_t>(depth));
}

TEST_F(sharing_test, texts_of_a_client_are_bounded_in_bytes) {
  const std::string text = "SELECT '" + std::string(1 << 20, 'x') + "'";
  for (int i = 0; one.last != client_step::refuse; ++i) {
    ASSERT_LT(i, 64);
    one.client(parse(text, "s" + std::to_string(i)) + sync());
    if (one.last != client_step::refuse) one.server(closed + parsed + ready());
  }
  EXPECT_EQ(one.why, refusal_reason::too_many_names);
  EXPECT_GT(one.session.sharing()->statements.bytes(), std::size_t{60} << 20);
}

TEST_F(sharing_test, a_text_that_would_be_read_otherwise_is_not_prepared_again) {
  const std::string text = "SELECT 'a\\'";
  one.client(parse(text, "s") + parse("SELECT 1", "t") + sync());
  one.server(closed + parsed + closed + parsed + ready());
  server_statements another;
  one.lend(another);
  one.session.server_parameter("standard_conforming_strings", "off");
  one.client(core::bind("t") + sync());
  EXPECT_EQ(one.last, client_step::done);
  one.server(closed + parsed + bound + ready());
  one.client(core::bind("s") + sync());
  EXPECT_EQ(one.last, client_step::refuse);
  EXPECT_EQ(one.why, refusal_reason::other_reading);
  one.pending.clear();
  one.session.server_parameter("standard_conforming_strings", "on");
  one.client(core::bind("s") + sync());
  EXPECT_EQ(one.last, client_step::done);
}

std::string row_description(std::string_view column) {
  return message('T', std::string("\0\1", 2) + strings({column}) + std::string(18, '\0'));
}

// Prepared and described, in one batch.
std::string described(std::string_view column) {
  return closed + parsed + message('t', std::string(2, '\0')) + row_description(column) + ready();
}

TEST_F(sharing_test, who_was_told_a_result_gets_no_other) {
  const std::string describe = message('D', std::string("S") + strings({"s"}));
  one.client(parse("SELECT a", "s") + describe + sync());
  one.server(described("a"));
  one.client(core::bind("s") + sync());
  EXPECT_EQ(one.last, client_step::done);
  one.server(bound + ready());
  // Another server may have prepared it under another schema: it is asked before the Bind.
  server_statements second;
  one.lend(second);
  one.client(core::bind("s") + sync());
  EXPECT_EQ(one.last, client_step::renew);
  EXPECT_EQ(one.session.renewal_name(), "s");
  const auto statement = one.session.statement_now("s");
  second.prepared(statement, shape_of(view(row_description("b"))));
  one.client({});
  EXPECT_EQ(one.last, client_step::refuse);
  EXPECT_EQ(one.why, refusal_reason::result_changed);
  second.prepared(statement, shape_of(view(row_description("a"))));
  one.client({});
  EXPECT_EQ(one.last, client_step::done);
  one.server(bound + ready());
  // Prepared again, it is another statement, of which the client was told nothing.
  server_statements third;
  one.lend(third);
  one.client(close('S', "s") + parse("SELECT a", "s") + core::bind("s") + sync());
  EXPECT_EQ(one.last, client_step::done);
}

TEST_F(sharing_test, under_other_settings_a_text_is_another_statement) {
  one.session.sharing()->meaning = "DateStyle=MDY";
  one.client(parse("SELECT date '01/02/2024'", "s") + sync());
  one.server(closed + parsed + ready());
  const std::string before = one.session.statement_now("s")->name;
  one.session.sharing()->meaning = "DateStyle=DMY";
  server_statements second;
  one.lend(second);
  const std::string sent = one.client(core::bind("s") + sync());
  EXPECT_EQ(sent.find(before), std::string::npos);
  one.server(closed + parsed + bound + ready());
  one.session.sharing()->meaning = "DateStyle=MDY";
  EXPECT_EQ(one.session.statement_now("s")->name, before);
}

TEST_F(sharing_test, a_batch_without_end_has_room_for_no_more_than_others) {
  shared_relay few(registry, server, 3);
  for (int i = 0; i < 50; ++i) {
    const std::string name = "s" + std::to_string(i);
    few.client(parse("SELECT " + std::to_string(i), name) + close('S', name) + message('H'));
    few.server(i < 3 ? closed + parsed + closed : closed + closed + parsed + closed);
    EXPECT_EQ(few.last, client_step::done);
    EXPECT_LE(server.size(), 3u);
  }
}

TEST_F(sharing_test, what_is_closed_or_fails_counts_no_more) {
  one.client(parse("SELECT 1", "a") + sync());
  one.server(closed + parsed + ready());
  one.client(core::bind("nothing") + parse("SELECT 1", "b") + sync());
  one.server(failure("26000") + ready());
  one.client(close('S', "a") + sync());
  one.server(closed + ready());
  EXPECT_EQ(one.session.sharing()->statements.bytes(), 0u);
}

TEST_F(sharing_test, types_that_no_client_sends_end_here) {
  one.client(message('Z', "I"));
  EXPECT_EQ(one.last, client_step::unknown_type);
}

}  // namespace
}  // namespace tidegate::core
