#include "proxy/core/session.hpp"

#include "tests/unit/proxy/core/messages.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

// What a driver does with a session, without sockets: forwards what may be forwarded, keeps what is
// incomplete, and sends on what it was asked about.
struct relay {
  core::session session;
  std::string to_server;
  std::string to_client;
  std::vector<std::string> intercepted;
  std::size_t dropped = 0;
  client_step last = client_step::done;
  bool examine = true;
  bool gate_closed = false;

  explicit relay(const session_limits& limits = {}) : session(limits) {}

  void client(std::string_view bytes) {
    client_pending_.append(bytes);
    for (;;) {
      const client_scan scan = session.scan_client(view(client_pending_), examine, gate_closed);
      to_server.append(client_pending_, 0, scan.forward);
      client_pending_.erase(0, scan.forward);
      last = scan.step;
      if (scan.step == client_step::discard) {
        dropped += scan.length;
        client_pending_.erase(0, scan.length);
      } else if (scan.step == client_step::intercept) {
        const std::string message = client_pending_.substr(0, scan.length);
        client_pending_.erase(0, scan.length);
        intercepted.push_back(message);
        session.forwarded(view(message));
        to_server += message;
      } else {
        return;
      }
    }
  }

  server_scan server(std::string_view bytes, bool stop = false) {
    server_pending_.append(bytes);
    const server_scan scan = session.scan_server(view(server_pending_), stop);
    to_client.append(server_pending_, 0, scan.forward);
    server_pending_.erase(0, scan.forward);
    return scan;
  }

  const std::string& client_pending() const { return client_pending_; }
  const std::string& server_pending() const { return server_pending_; }

 private:
  std::string client_pending_, server_pending_;
};

const std::string ddl = "ALTER TABLE t ADD COLUMN c int";

// ---- client -> server ----

TEST(session, forwards_ordinary_traffic_whole) {
  relay r;
  const std::string all = query("SELECT 1") + parse("SELECT $1", "s") + bind("s") + execute() + sync() +
                          message('d', "data") + message('X');
  r.client(all);
  EXPECT_EQ(r.to_server, all);
  EXPECT_TRUE(r.intercepted.empty());
  EXPECT_EQ(r.last, client_step::done);
}

TEST(session, asks_about_each_statement_that_may_be_ddl) {
  relay r;
  r.client(query("SELECT 1") + query(ddl) + query("SELECT 2"));
  ASSERT_EQ(r.intercepted.size(), 1U);
  EXPECT_EQ(r.intercepted[0], query(ddl));
  EXPECT_EQ(r.to_server, query("SELECT 1") + query(ddl) + query("SELECT 2"));
}

TEST(session, asks_about_nothing_when_it_is_not_to_examine) {
  relay r;
  r.examine = false;
  r.client(query(ddl) + parse(ddl) + bind() + execute() + sync());
  EXPECT_TRUE(r.intercepted.empty());
}

TEST(session, a_prepared_statement_is_asked_about_at_each_execute) {
  relay r;
  r.client(parse(ddl, "s") + bind("s") + execute() + sync());
  EXPECT_EQ(r.intercepted, std::vector{execute()});
  r.server(message('1') + message('2') + complete("ALTER TABLE") + ready());
  r.client(bind("s", "p") + execute("p") + sync());
  EXPECT_EQ(r.intercepted.size(), 2U);
  r.server(message('2') + complete("ALTER TABLE") + ready());
  r.client(parse("SELECT 1") + bind() + execute() + sync());
  EXPECT_EQ(r.intercepted.size(), 2U);
}

TEST(session, a_failed_batch_makes_it_forget_nothing) {
  relay r;
  r.client(parse(ddl, "s") + sync());
  r.server(message('1') + ready());
  r.client(parse("SELECT nothing_there") + close('S', "s") + sync());  // the Close is skipped
  r.server(failure("42703") + ready());
  r.client(bind("s") + execute() + sync());
  EXPECT_EQ(r.intercepted, std::vector{execute()});
}

TEST(session, a_batch_that_may_still_fail_makes_it_forget_nothing) {
  relay r;
  r.client(parse(ddl) + sync());
  r.server(message('1') + ready());
  r.client(parse("SELECT 1") + sync() + bind() + execute() + sync());  // all of it before the first answer
  EXPECT_EQ(r.intercepted, std::vector{execute()});
}

TEST(session, what_the_server_skips_is_not_asked_about) {
  relay r;
  r.client(parse("SELECT nothing_there") + message('H'));
  r.server(failure("42703"));
  const std::string rest = query(ddl) + parse(ddl, "s") + bind("s") + execute();
  r.client(rest);
  EXPECT_TRUE(r.intercepted.empty());
  EXPECT_TRUE(r.session.pipeline().skipping());
  r.client(sync() + query(ddl));
  EXPECT_EQ(r.intercepted, std::vector{query(ddl)});
}

TEST(session, execute_in_sql_is_asked_about_while_something_is_prepared) {
  relay r;
  r.client(query("EXECUTE q"));
  const std::size_t before = r.intercepted.size();
  r.server(complete("SELECT 1") + ready());
  r.client(parse(ddl, "q") + sync());
  r.server(message('1') + ready());
  r.client(query("EXECUTE q"));
  EXPECT_EQ(r.intercepted.size(), before + 1);
}

TEST(session, strings_are_read_as_the_server_reads_them) {
  const std::string trick =
      R"(SELECT 'a\'; DROP TABLE t; --')";  // with escapes in plain strings, all of it is one string
  relay on;
  on.client(query(trick));
  relay off;
  off.session.server_parameter("standard_conforming_strings", "off");
  off.client(query(R"(SELECT 'a\\'; DROP TABLE t; --')"));
  EXPECT_EQ(on.intercepted.size(), 1U);
  EXPECT_EQ(off.intercepted.size(), 1U);
}

TEST(session, settings_that_may_be_changing_make_it_doubt) {
  relay r;
  const std::string sql = R"(SELECT 'a\b')";
  r.client(query(sql));
  EXPECT_TRUE(r.intercepted.empty());
  r.client(query(sql));  // the first one's answer may bring standard_conforming_strings = off
  EXPECT_EQ(r.intercepted.size(), 1U);
}

TEST(session, statements_of_any_size_beyond_the_bound_are_refused_at_their_head) {
  relay r({.query_buffer = 100});
  r.client(query("SELECT 1"));
  const std::string big = query("SELECT '" + std::string(200, 'x') + "'");
  r.client(big.substr(0, 5));
  EXPECT_EQ(r.last, client_step::too_long);
  EXPECT_EQ(r.client_pending(), big.substr(0, 5));
  r.session.discard_message(big.size());
  r.client(big.substr(5) + query("SELECT 2"));
  EXPECT_EQ(r.dropped, big.size());
  EXPECT_EQ(r.to_server, query("SELECT 1") + query("SELECT 2"));
}

TEST(session, big_messages_that_say_nothing_stream_through) {
  relay r({.query_buffer = 100});
  const std::string big = message('d', std::string(1000, 'x'));
  r.client(big.substr(0, 5));
  EXPECT_EQ(r.to_server, big.substr(0, 5));
  EXPECT_TRUE(r.session.inside_client_message());
  r.client(big.substr(5));
  EXPECT_FALSE(r.session.inside_client_message());
  EXPECT_EQ(r.to_server, big);
}

TEST(session, a_bind_beyond_the_bound_is_followed_without_being_held) {
  relay r({.query_buffer = 100});
  r.client(parse("DROP TABLE t", "s") + sync());
  r.server(message('1') + ready());
  const std::string big = message('B', strings({"p", "s"}) + std::string(1000, 'x'));
  r.client(big.substr(0, 50));
  r.client(big.substr(50));
  r.client(execute("p") + sync());
  EXPECT_EQ(r.intercepted, std::vector{execute("p")});
}

TEST(session, a_batch_is_discarded_up_to_its_sync) {
  relay r;
  r.client(parse(ddl) + bind());
  r.session.discard_until_sync();
  const std::string skipped = execute() + query(ddl) + parse(ddl, "never");
  for (const char c : skipped) r.client({&c, 1});
  r.client(sync() + query("SELECT 1"));
  EXPECT_EQ(r.dropped, skipped.size());
  EXPECT_EQ(r.to_server, parse(ddl) + bind() + sync() + query("SELECT 1"));
  EXPECT_TRUE(r.intercepted.empty());
}

TEST(session, a_client_may_leave_in_a_discarded_batch) {
  relay r;
  r.session.discard_until_sync();
  r.client(execute() + message('X'));
  EXPECT_EQ(r.to_server, message('X'));
  EXPECT_TRUE(r.session.pipeline().terminated());
}

TEST(session, new_work_is_held_at_a_closed_gate) {
  relay r;
  r.gate_closed = true;
  r.client(query("SELECT 1"));
  EXPECT_EQ(r.last, client_step::hold);
  EXPECT_EQ(r.to_server, "");
  r.session.pass_gate_once();
  r.client({});
  EXPECT_EQ(r.to_server, query("SELECT 1"));
  r.server(complete("SELECT 1") + ready('I'));
  r.client(query("SELECT 2"));
  EXPECT_EQ(r.last, client_step::hold) << "once";
  r.gate_closed = false;
  r.client({});
  EXPECT_EQ(r.to_server, query("SELECT 1") + query("SELECT 2"));
}

TEST(session, a_batch_passes_the_gate_as_one) {
  relay r;
  r.gate_closed = true;
  const std::string batch = parse("SELECT 1") + bind() + execute() + sync();
  r.client(batch);
  EXPECT_EQ(r.last, client_step::hold);
  r.session.pass_gate_once();
  r.client({});
  EXPECT_EQ(r.to_server, batch);
}

TEST(session, transactions_pass_the_gate) {
  relay r;
  r.client(query("BEGIN"));
  r.server(complete("BEGIN") + ready('T'));
  r.gate_closed = true;
  r.client(query("SELECT 1") + sync() + message('H'));
  EXPECT_EQ(r.to_server, query("BEGIN") + query("SELECT 1") + sync() + message('H'));
}

TEST(session, what_is_pipelined_behind_an_unanswered_begin_passes_the_gate) {
  relay r;
  r.client(query("BEGIN"));
  r.gate_closed = true;
  r.client(query("SELECT 1"));
  EXPECT_EQ(r.to_server, query("BEGIN") + query("SELECT 1"));
}

TEST(session, an_incomplete_statement_is_not_held_before_its_text_is_there) {
  relay r;
  r.gate_closed = true;
  r.examine = false;
  r.client(query("SELECT 1").substr(0, 8));
  EXPECT_EQ(r.last, client_step::need_more);
}

TEST(session, what_can_be_no_message_is_malformed) {
  using namespace std::string_literals;
  for (const std::string& bytes : {"Q\0\0\0\0"s, "Q\0\0\0\3"s, "Q\xff\xff\xff\xff"s}) {
    relay r;
    r.client(query("SELECT 1") + bytes);
    EXPECT_EQ(r.last, client_step::malformed);
    EXPECT_EQ(r.to_server, query("SELECT 1"));
  }
}

TEST(session, copy_data_of_an_intercepted_statement_flows_while_the_server_takes_it) {
  relay r;
  const std::string data = message('d', "1\n") + message('c');
  session& s = r.session;
  s.forwarded(view(query(ddl)));
  EXPECT_EQ(s.scan_copy(view(data)).forward, 0U) << "the server has not asked for it";
  r.server(message('G', std::string(3, '\0')));
  const std::string all = message('d', "1\n") + message('S') + message('c') + query("SELECT 1");
  const auto scan = s.scan_copy(view(all));
  EXPECT_EQ(scan.forward, all.size() - query("SELECT 1").size());
  EXPECT_EQ(scan.step, client_step::need_more);
  r.server(complete("COPY 1") + ready());
  EXPECT_TRUE(s.pipeline().at_rest());
}

TEST(session, nothing_but_copy_data_passes_while_a_copy_may_have_failed_already) {
  relay r;
  session& s = r.session;
  s.forwarded(view(query(ddl)));
  r.server(message('G', std::string(3, '\0')));
  const std::string data = message('d', "1\n");
  const auto scan = s.scan_copy(view(data + query(ddl)));
  EXPECT_EQ(scan.forward, data.size());
  EXPECT_EQ(scan.step, client_step::hold);
}

TEST(session, too_many_requests_pause_reading) {
  relay r({.pipeline_depth = 3});
  r.client(sync() + sync());
  EXPECT_FALSE(r.session.pipeline_full());
  r.client(sync());
  EXPECT_TRUE(r.session.pipeline_full());
  r.server(ready());
  EXPECT_FALSE(r.session.pipeline_full());
}

TEST(session, commands_of_a_walsender_are_none_of_ours) {
  relay r({.replication = true});
  r.client(query("IDENTIFY_SYSTEM") + query("START_REPLICATION SLOT s LOGICAL 0/0"));
  EXPECT_TRUE(r.intercepted.empty());
}

// ---- server -> client ----

TEST(session, answers_are_forwarded_whole_and_counted) {
  relay r;
  r.client(query("SELECT 1") + query("SELECT 1/0"));
  const std::string answers = message('T', "\0\0") + message('D', std::string(100, 'x')) +
                              complete("SELECT 1") + ready() + failure("22012") + ready('E');
  const server_scan scan = r.server(answers);
  EXPECT_EQ(r.to_client, answers);
  EXPECT_TRUE(scan.ready);
  EXPECT_EQ(scan.queries_ready, 2U);
  EXPECT_EQ(scan.errors, 1U);
  EXPECT_EQ(std::string_view(scan.sqlstates[0].data(), 5), "22012");
  EXPECT_EQ(r.session.pipeline().status(), transaction_status::failed);
}

TEST(session, settings_of_the_server_are_followed) {
  relay r;
  const server_scan scan =
      r.server(parameter("standard_conforming_strings", "off") + parameter("client_encoding", "SJIS") +
               parameter("application_name", "shop"));
  EXPECT_TRUE(scan.parameter_changed);
  EXPECT_FALSE(r.session.reading().lexical.standard_conforming_strings);
  EXPECT_FALSE(r.session.reading().lexical.ascii_safe_encoding);
  EXPECT_EQ(r.session.reading().client_encoding, "SJIS");
  EXPECT_EQ(r.session.application_name(), "shop");
}

TEST(session, stops_behind_the_answer_when_asked_to) {
  relay r;
  r.client(query("SELECT 1"));
  const std::string answer = complete("SELECT 1") + ready();
  const server_scan scan = r.server(answer + message('A', "later"), true);
  EXPECT_EQ(scan.step, server_step::answered);
  EXPECT_EQ(r.to_client, answer);
  EXPECT_EQ(r.server_pending(), message('A', "later"));
}

TEST(session, what_a_server_can_never_say_is_malformed) {
  using namespace std::string_literals;
  for (const std::string& bytes :
       {"D\0\0\0\0"s, "D\xff\xff\xff\xff"s, message('Z'), message('Z', "II"), message('Z', "?")}) {
    relay r;
    r.client(query("SELECT 1"));
    EXPECT_EQ(r.server(bytes).step, server_step::malformed) << bytes;
  }
}

TEST(session, errors_of_any_form_are_counted) {
  relay r;
  r.client(query("SELECT 1"));
  using namespace std::string_literals;
  const server_scan scan = r.server(message('E') + message('E', "\0"s) + message('E', "C123"s) +
                                    message('E', "CTOOLONG\0\0"s) + failure("22012") + ready());
  EXPECT_EQ(scan.errors, 5U);
  EXPECT_EQ(scan.sqlstates[0][0], '\0');
  EXPECT_EQ(scan.sqlstates[3][0], '\0');
}

// ---- frames met at every split ----

struct outcome {
  std::string to_server, to_client;
  std::vector<std::string> intercepted;
  std::size_t depth;
  transaction_status status;
  bool suspects;

  friend bool operator==(const outcome&, const outcome&) = default;
};

outcome judged(relay& r) {
  return {r.to_server,
          r.to_client,
          r.intercepted,
          r.session.pipeline().depth(),
          r.session.pipeline().status(),
          !r.session.prepared().empty()};
}

TEST(session, every_split_of_every_message_comes_to_the_same) {
  const std::string asked = query("SELECT 1") + parse(ddl, "s") + bind("s", "p") + execute("p") +
                            close('S', "s") + sync() + query(ddl) + message('d', "data") +
                            message('F', std::string(20, '\0')) + parse("SELECT 2") + bind() + execute() +
                            message('H');
  const std::string answered = parameter("client_encoding", "UTF8") + complete("SELECT 1") + ready() +
                               message('1') + message('2') + complete("ALTER TABLE") + message('3') +
                               ready('T') + message('N', "x") + failure("42P01") + ready('E') +
                               message('V', std::string(4, '\xff')) + ready('E') + message('1') +
                               message('2') + message('D', std::string(40, 'x'));
  relay whole;
  whole.client(asked);
  whole.server(answered);
  const outcome expected = judged(whole);
  ASSERT_EQ(expected.to_server, asked);
  ASSERT_EQ(expected.to_client, answered);
  ASSERT_EQ(expected.depth, 1U);
  for (std::size_t at = 0; at <= std::max(asked.size(), answered.size()); ++at) {
    relay r;
    r.client(std::string_view(asked).substr(0, at));
    if (at < asked.size()) r.client(std::string_view(asked).substr(at));
    r.server(std::string_view(answered).substr(0, at));
    if (at < answered.size()) r.server(std::string_view(answered).substr(at));
    ASSERT_EQ(judged(r), expected) << "split at " << at;
  }
  relay bytewise;
  for (const char& c : asked) bytewise.client({&c, 1});
  for (const char& c : answered) bytewise.server({&c, 1});
  EXPECT_EQ(judged(bytewise), expected);
}

}  // namespace
}  // namespace tidegate::core
