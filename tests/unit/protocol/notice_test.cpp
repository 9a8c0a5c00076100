#include "protocol/notice.hpp"

#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

notice every_field() {
  notice all;
  all.severity = "FEHLER";
  all.severity_untranslated = "ERROR";
  all.sqlstate = "42P01";
  all.message = "message";
  all.detail = "detail";
  all.hint = "hint";
  all.position = "15";
  all.internal_position = "3";
  all.internal_query = "select";
  all.where = "where";
  all.schema = "schema";
  all.table = "table";
  all.column = "column";
  all.data_type = "type";
  all.constraint = "constraint";
  all.file = "file.c";
  all.line = "1";
  all.routine = "routine";
  all.others = {{'Y', "future"}, {'Z', ""}};
  return all;
}

byte_buffer error_body(const notice& message) {
  byte_buffer out;
  writer to(out);
  encode_error_response(to, message);
  return body_of(out, 'E');
}

TEST(notice, round_trips_with_every_field) {
  const byte_buffer body = error_body(every_field());
  EXPECT_EQ(as_text(body),
            std::string_view("SFEHLER\0VERROR\0C42P01\0Mmessage\0Ddetail\0Hhint\0Wwhere\0sschema\0"
                             "ttable\0ccolumn\0dtype\0nconstraint\0P15\0p3\0qselect\0Ffile.c\0L1\0"
                             "Rroutine\0Yfuture\0Z\0\0",
                             body.size()));
  const auto message = decode_notice(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(error_body(*message), body);
  EXPECT_EQ(message->sqlstate, "42P01");
  ASSERT_EQ(message->others.size(), 2u);
  EXPECT_EQ(message->others[0].letter, 'Y');
  EXPECT_EQ(message->others[0].text, "future");
  expect_exact_length(body, decode_notice);
}

TEST(notice, may_lack_every_field) {
  const auto message = decode_notice(literal("\0"));
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->severity || message->sqlstate || message->message);
  EXPECT_FALSE(message->ends_connection());
  EXPECT_EQ(error_body(*message), literal("\0"));
}

TEST(notice, tells_an_absent_field_from_an_empty_one) {
  const byte_buffer body = literal("M\0\0");
  const auto message = decode_notice(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->message, "");
  EXPECT_FALSE(message->detail.has_value());
}

TEST(notice, takes_the_last_of_a_repeated_field) {
  EXPECT_EQ(decode_notice(literal("Mone\0Mtwo\0\0"))->message, "two");
}

TEST(notice, is_refused_without_its_end) {
  EXPECT_EQ(decode_notice({}).error(), protocol_errc::truncated);
  EXPECT_EQ(decode_notice(literal("Mtext\0")).error(), protocol_errc::truncated);
  EXPECT_EQ(decode_notice(literal("Mtext")).error(), protocol_errc::missing_terminator);
  EXPECT_EQ(decode_notice(literal("Mtext\0\0x")).error(), protocol_errc::trailing_bytes);
}

TEST(notice, ends_the_connection_by_the_severity_that_is_never_translated) {
  EXPECT_TRUE(decode_notice(literal("SFATAL\0\0"))->ends_connection());
  EXPECT_TRUE(decode_notice(literal("SPANIK\0VPANIC\0\0"))->ends_connection());
  EXPECT_FALSE(decode_notice(literal("SFATAL\0VERROR\0\0"))->ends_connection());
}

TEST(notice, is_a_notice_response_too) {
  byte_buffer out;
  writer to(out);
  encode_notice_response(to, every_field());
  EXPECT_EQ(body_of(out, 'N'), error_body(every_field()));
}

TEST(notification_response, round_trips) {
  const byte_buffer body = encoded_body(notification_response{77, "channel", ""}, 'A');
  const auto message = decode_notification_response(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->process_id, 77);
  EXPECT_EQ(message->channel, "channel");
  EXPECT_EQ(message->payload, "");
  expect_exact_length(body, decode_notification_response);
}

}  // namespace
}  // namespace tidegate::protocol
