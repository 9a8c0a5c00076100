#include "proxy/core/pipeline.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

// A conversation by message types: ">PBES" was sent, "<12C" arrived; Z is followed by its transaction status.
void play(pipeline& p, std::string_view script) {
  bool sending = true;
  for (std::size_t i = 0; i < script.size(); ++i) {
    const char c = script[i];
    if (c == ' ') continue;
    if (c == '>' || c == '<')
      sending = c == '>';
    else if (sending)
      p.sent(c);
    else if (c == 'Z')
      p.ready(static_cast<transaction_status>(script[++i]));
    else
      p.received(c);
  }
}

pipeline after(std::string_view script) {
  pipeline p;
  play(p, script);
  return p;
}

TEST(pipeline, is_at_rest_before_and_after_each_kind_of_request) {
  for (const char* script : {"",
                             ">Q <TDDCZI",
                             ">Q <IZI",
                             ">Q <EZI",
                             ">Q <CCEZI",
                             ">F <VZI",
                             ">F <EZI",
                             ">S <ZI",
                             ">PBDES <12TDCZI",
                             ">PBES <12IZI",
                             ">PDS <1tTZI",
                             ">PDS <1tnZI",
                             ">CS <3ZI",
                             ">PBES <EZI",
                             ">PBES <1EZI",
                             ">PBES <12EZI",
                             ">PBES <12DDEZI",
                             ">PBES <12sZI",
                             ">SSS <ZIZIZI",
                             ">PBES PBES <12CZI12CZI",
                             ">PBES PBES <EZI12CZI",
                             ">Q dc <GCZI",
                             ">Q <HddcCZI",
                             ">X"}) {
    const pipeline p = after(script);
    EXPECT_TRUE(p.at_rest()) << script;
    EXPECT_TRUE(p.answered()) << script;
    EXPECT_FALSE(p.desynchronised()) << script;
    EXPECT_FALSE(p.skipping()) << script;
  }
}

TEST(pipeline, counts_what_the_server_still_owes) {
  EXPECT_EQ(after(">PBES").depth(), 4U);
  EXPECT_EQ(after(">PBES <12").depth(), 2U);
  EXPECT_EQ(after(">QQQ <CZI").depth(), 2U);
  EXPECT_EQ(after(">PBES <12").answered_before(), 2U);
  EXPECT_EQ(after(">PBES <12").next_number(), 4U);
  EXPECT_EQ(after(">H").depth(), 0U);
  EXPECT_EQ(after(">d").depth(), 0U);
}

TEST(pipeline, numbers_go_on_beyond_the_places_kept_inline) {
  pipeline p;
  for (int i = 0; i < 1000; ++i) play(p, ">PBES");
  EXPECT_EQ(p.depth(), 4000U);
  for (int i = 0; i < 1000; ++i) play(p, "<12CZI");
  EXPECT_TRUE(p.at_rest());
  EXPECT_EQ(p.next_number(), 4000U);
  for (int i = 0; i < 100; ++i) play(p, ">PBES PBES <12CZI12CZI");
  EXPECT_TRUE(p.at_rest());
  EXPECT_FALSE(p.desynchronised());
}

TEST(pipeline, follows_the_transaction_by_ready_for_query_only) {
  EXPECT_EQ(after(">Q <CZT").status(), transaction_status::open);
  EXPECT_FALSE(after(">Q <CZT").at_rest());
  EXPECT_TRUE(after(">Q <CZT").answered());
  EXPECT_EQ(after(">Q <CZT >Q <EZE").status(), transaction_status::failed);
  EXPECT_EQ(after(">Q <CZT >Q <C").status(), transaction_status::open);
}

TEST(pipeline, an_open_batch_is_not_at_rest_although_it_is_answered) {
  const pipeline p = after(">PBEH <12C");
  EXPECT_TRUE(p.answered());
  EXPECT_TRUE(p.unsynced());
  EXPECT_TRUE(p.executed_unsynced());
  EXPECT_FALSE(p.at_rest());
  EXPECT_FALSE(after(">PBH <12").executed_unsynced());
  EXPECT_FALSE(after(">PBES <12C").unsynced());
}

TEST(pipeline, an_error_in_a_batch_whose_sync_was_sent_answers_up_to_it) {
  const pipeline p = after(">PBE PBE S PBES <12CE");
  EXPECT_EQ(p.depth(), 5U);  // the Sync and the batch behind it
  EXPECT_FALSE(p.skipping());
}

TEST(pipeline, an_error_before_sync_skips_what_is_sent_until_sync) {
  pipeline p = after(">PBE <E");
  EXPECT_TRUE(p.skipping());
  EXPECT_TRUE(p.answered());
  play(p, ">PBEQFCD");
  EXPECT_TRUE(p.answered());
  EXPECT_TRUE(p.skipping());
  play(p, ">S");
  EXPECT_FALSE(p.skipping());
  EXPECT_EQ(p.depth(), 1U);
  play(p, "<ZI");
  EXPECT_TRUE(p.at_rest());
}

TEST(pipeline, a_query_behind_a_failed_batch_is_ignored_with_it) {
  pipeline p = after(">PQS <E");
  EXPECT_EQ(p.depth(), 1U);
  play(p, "<ZI");
  EXPECT_TRUE(p.at_rest());
}

TEST(pipeline, a_query_in_an_open_batch_ends_it) {
  pipeline p = after(">PBEQ");
  EXPECT_FALSE(p.unsynced());
  play(p, "<12CTDCZI");
  EXPECT_TRUE(p.at_rest());
  play(p, ">S");
  EXPECT_EQ(p.depth(), 1U);  // a Sync behind it has an answer of its own
}

TEST(pipeline, an_error_of_a_simple_query_skips_nothing) {
  EXPECT_FALSE(after(">QQ <E").skipping());
  EXPECT_EQ(after(">QQ <EZI").depth(), 1U);
  EXPECT_EQ(after(">PBS Q <12E").depth(), 2U);  // an error at Sync, of a deferred constraint
}

TEST(pipeline, what_comes_unasked_changes_nothing) {
  EXPECT_TRUE(after("<NASE").at_rest());
  EXPECT_FALSE(after("<NASE").desynchronised());
  EXPECT_EQ(after(">PBES <N1A2SC").depth(), 1U);
}

TEST(pipeline, what_no_request_explains_is_noticed) {
  for (const char* script :
       {"<C", "<ZI", "<D", "<T", ">Q <CZIZI", ">PS <2", ">BS <1", ">PS <3", ">PBES <12ZI", ">Q <1"}) {
    EXPECT_TRUE(after(script).desynchronised()) << script;
  }
}

// ---- COPY ----

TEST(pipeline, copies_in_from_the_servers_go_to_the_clients_end) {
  EXPECT_FALSE(after(">Q").copying_in());
  EXPECT_TRUE(after(">Q <G").copying_in());
  EXPECT_TRUE(after(">Q <G >dd").copying_in());
  EXPECT_FALSE(after(">Q <G >dc").copying_in());
  EXPECT_FALSE(after(">Q <G >df").copying_in());
  EXPECT_FALSE(after(">Q <G >d <E").copying_in());
  EXPECT_FALSE(after(">Qdc <G").copying_in());  // the end was sent ahead
}

TEST(pipeline, sync_in_copy_data_is_not_answered) {
  EXPECT_TRUE(after(">Q <G >dSHdc <CZI").at_rest());
  EXPECT_TRUE(after(">PBE <12G >dSSc <C").answered());
}

TEST(pipeline, sync_sent_ahead_of_copy_data_is_not_answered) {
  pipeline p = after(">PBES dc <12G");
  EXPECT_FALSE(p.copying_in());
  EXPECT_TRUE(p.unsynced());  // the server read the Sync as part of the COPY
  play(p, "<C");
  EXPECT_TRUE(p.answered());
  EXPECT_FALSE(p.at_rest());
  play(p, ">S <ZI");
  EXPECT_TRUE(p.at_rest());
  EXPECT_FALSE(p.desynchronised());
}

TEST(pipeline, sync_sent_behind_copy_data_is_answered) {
  const pipeline p = after(">PBE dc S <12GCZI");
  EXPECT_TRUE(p.at_rest());
  EXPECT_FALSE(p.desynchronised());
  EXPECT_TRUE(after(">PBES dc S <12GCZI").at_rest());
}

TEST(pipeline, each_copy_of_a_query_takes_its_own_end) {
  EXPECT_TRUE(after(">Q <G >dc <CG").copying_in());
  EXPECT_TRUE(after(">Qdc <GCG").copying_in());
  EXPECT_FALSE(after(">Qdcdc <GCG").copying_in());
  EXPECT_TRUE(after(">Qdcdc <GCGCZI").at_rest());
  EXPECT_TRUE(after(">Q <G >dc <CG >Sdc <CZI").at_rest());
}

TEST(pipeline, copy_messages_out_of_place_are_not_answered) {
  EXPECT_TRUE(after(">dcf").at_rest());
  EXPECT_TRUE(after(">Qdcf <CZI").at_rest());
  EXPECT_TRUE(after(">PcBdES <12CZI").at_rest());
}

TEST(pipeline, a_copy_that_fails_in_a_batch_skips_to_sync) {
  pipeline p = after(">PBE <12G >d <E");
  EXPECT_TRUE(p.skipping());
  play(p, ">dcPS <ZI");
  EXPECT_TRUE(p.at_rest());
  EXPECT_FALSE(p.desynchronised());
}

TEST(pipeline, knows_that_the_client_said_goodbye) {
  EXPECT_FALSE(after(">Q").terminated());
  EXPECT_TRUE(after(">QX").terminated());
}

// The server reads that Sync as COPY data, or behind its error: whatever comes next must not pass for
// skipped.
TEST(pipeline, sync_within_copy_data_leaves_nothing_to_be_taken_for_skipped) {
  pipeline p = after(">PBE <12G >dS <E");
  EXPECT_FALSE(p.skipping());
  EXPECT_TRUE(p.desynchronised());
  play(p, "<ZI >Q");
  EXPECT_FALSE(p.skipping());
  EXPECT_FALSE(p.answered());
  EXPECT_FALSE(after(">PBES <12G >dcS <EZI").desynchronised()) << "as drivers do it";
  EXPECT_FALSE(after(">PBE <12G >dSdcS <CZI >PBE <E").desynchronised()) << "a COPY that did not fail";
}

}  // namespace
}  // namespace tidegate::core
