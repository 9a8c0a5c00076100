#include "protocol/reader.hpp"
#include "tests/unit/protocol/message_testing.hpp"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace tidegate::protocol {
namespace {

TEST(writer, writes_integers_big_endian) {
  byte_buffer out;
  writer to(out);
  to.uint8(0x01);
  to.int16(-2);
  to.uint32(0x01020304);
  to.int64(-3);
  EXPECT_EQ(out, literal("\x01\xff\xfe\x01\x02\x03\x04\xff\xff\xff\xff\xff\xff\xff\xfd"));
}

TEST(writer, keeps_what_the_buffer_holds_and_patches_each_length) {
  byte_buffer out = literal("kept");
  writer to(out);
  to.begin_message('Q');
  to.cstring("ab");
  to.end_message();
  to.begin_startup_packet();
  to.end_message();
  EXPECT_EQ(out, literal("keptQ\0\0\0\7ab\0\0\0\0\4"));
}

TEST(writer, cuts_a_string_at_an_embedded_nul) {
  byte_buffer out;
  writer(out).cstring(std::string_view("user\0database\0other", 19));
  EXPECT_EQ(out, literal("user\0"));
}

TEST(writer, refuses_more_items_than_a_count_can_say) {
  byte_buffer out;
  writer to(out);
  to.count(65535);
  EXPECT_EQ(out, literal("\xff\xff"));
  EXPECT_THROW(to.count(65536), std::length_error);
}

TEST(reader, reads_what_the_writer_wrote) {
  byte_buffer out;
  writer to(out);
  to.uint8(200);
  to.uint16(60000);
  to.int16(-7);
  to.uint32(4000000000U);
  to.int32(-9);
  to.int64(-10'000'000'000);
  to.cstring("text");
  to.value(as_bytes("v"));
  to.value(bytes{});
  to.value(std::nullopt);
  reader in(out);
  EXPECT_EQ(in.uint8(), 200);
  EXPECT_EQ(in.uint16(), 60000);
  EXPECT_EQ(in.int16(), -7);
  EXPECT_EQ(in.uint32(), 4000000000U);
  EXPECT_EQ(in.int32(), -9);
  EXPECT_EQ(in.int64(), -10'000'000'000);
  EXPECT_EQ(in.cstring(), "text");
  EXPECT_EQ(as_text(in.value().value()), "v");
  EXPECT_EQ(in.value().value().size(), 0u);
  EXPECT_FALSE(in.value().has_value());
  EXPECT_FALSE(in.error());
}

TEST(reader, first_failure_sticks_and_later_reads_are_empty) {
  const byte_buffer body = literal("\0\0\1no terminator");
  reader in(body);
  EXPECT_EQ(in.uint16(), 0);
  EXPECT_EQ(in.uint8(), 1);
  EXPECT_EQ(in.cstring(), "");
  EXPECT_TRUE(in.failed());
  EXPECT_EQ(in.uint32(), 0u);
  EXPECT_EQ(in.cstring(), "");
  EXPECT_TRUE(in.rest().empty());
  EXPECT_EQ(in.error(), protocol_errc::missing_terminator);
  EXPECT_EQ(in.finish(1).error(), protocol_errc::missing_terminator);
}

TEST(reader, every_integer_is_refused_when_a_byte_is_missing) {
  const byte_buffer seven(7);
  const auto fails = [&](std::size_t size, auto read) {
    reader in(bytes(seven).first(size));
    read(in);
    return in.error() == protocol_errc::truncated;
  };
  EXPECT_TRUE(fails(0, [](reader& in) { in.uint8(); }));
  EXPECT_TRUE(fails(1, [](reader& in) { in.uint16(); }));
  EXPECT_TRUE(fails(3, [](reader& in) { in.uint32(); }));
  EXPECT_TRUE(fails(7, [](reader& in) { in.int64(); }));
  EXPECT_TRUE(fails(3, [](reader& in) { in.raw(4); }));
  EXPECT_TRUE(fails(3, [](reader& in) { in.raw(static_cast<std::size_t>(-1)); }));
}

TEST(reader, refuses_lengths_below_minus_one_and_beyond_the_body) {
  for (const std::int32_t length : {-2, -2147483647 - 1, 2, 2147483647}) {
    byte_buffer body;
    writer to(body);
    to.int32(length);
    to.uint8(0);
    reader in(body);
    EXPECT_FALSE(in.value().has_value());
    EXPECT_EQ(in.error(), protocol_errc::bad_length) << length;
  }
}

TEST(reader, refuses_counts_that_the_body_can_not_hold) {
  const auto counted = [](std::uint16_t items, std::size_t behind) {
    byte_buffer body;
    writer(body).uint16(items);
    body.resize(body.size() + behind);
    reader in(body);
    const std::uint16_t count = in.count(4);
    return std::pair(count, in.failed());
  };
  EXPECT_EQ(counted(2, 8), std::pair(std::uint16_t{2}, false));
  EXPECT_EQ(counted(2, 7), std::pair(std::uint16_t{0}, true));
  EXPECT_EQ(counted(0xffff, 1000), std::pair(std::uint16_t{0}, true));
  EXPECT_EQ(counted(0xffff, 4 * 0xffff), std::pair(std::uint16_t{0xffff}, false));
}

TEST(reader, refuses_a_negative_wide_count) {
  for (const std::int32_t items : {-1, -2147483647 - 1, 2147483647, 5}) {
    byte_buffer body;
    writer to(body);
    to.int32(items);
    to.uint32(0);
    reader in(body);
    EXPECT_EQ(in.count32(1), 0u);
    EXPECT_EQ(in.error(), protocol_errc::bad_count) << items;
  }
}

TEST(check_empty, takes_only_nothing) {
  EXPECT_FALSE(check_empty({}));
  EXPECT_EQ(check_empty(literal("x")), protocol_errc::trailing_bytes);
}

TEST(protocol_errc, every_value_has_a_text_of_its_own) {
  for (int value = 1; value <= static_cast<int>(protocol_errc::unsupported_protocol); ++value) {
    EXPECT_NE(protocol_category().message(value), protocol_category().message(0)) << value;
  }
}

}  // namespace
}  // namespace tidegate::protocol
