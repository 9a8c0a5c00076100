#include "protocol/frame_reader.hpp"

#include "protocol/frame_assembler.hpp"
#include "tests/unit/protocol/message_testing.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::protocol {
namespace {

struct seen {
  char type;
  std::string body;
  bool operator==(const seen&) const = default;
};

void write_message(byte_buffer& out, char type, std::string_view body) {
  writer to(out);
  to.begin_message(type);
  to.raw(as_bytes(body));
  to.end_message();
}

const std::vector<seen>& the_messages() {
  static const std::vector<seen> all = {
      {'Q', std::string("select 1\0", 9)}, {'S', ""}, {'d', "x"}, {'D', std::string(40, 'y')}, {'H', ""}};
  return all;
}

byte_buffer the_stream() {
  byte_buffer stream;
  for (const auto& message : the_messages()) write_message(stream, message.type, message.body);
  return stream;
}

// Relays the stream in the given pieces as a session does: slices forwarded, the start of a header kept.
struct relayed {
  byte_buffer forwarded;
  std::vector<seen> ended;
};

relayed relay(const byte_buffer& stream, const std::vector<std::size_t>& ends) {
  relayed out;
  frame_reader frames(max_frontend_length);
  byte_buffer kept;
  std::string collected;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    byte_buffer input = kept;
    input.insert(input.end(), stream.begin() + static_cast<std::ptrdiff_t>(begin),
                 stream.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
    std::size_t position = 0;
    for (;;) {
      const frame_slice slice = frames.next(input, position);
      if (slice.kind == slice_kind::need_more) break;
      EXPECT_NE(slice.kind, slice_kind::too_short);
      EXPECT_NE(slice.kind, slice_kind::too_long);
      out.forwarded.insert(out.forwarded.end(), slice.data.begin(), slice.data.end());
      if (slice.kind == slice_kind::whole || slice.kind == slice_kind::first) {
        collected = as_text(slice.body());
      } else {
        collected += as_text(slice.data);
      }
      if (slice.ends_frame()) out.ended.push_back({slice.header.type, collected});
    }
    EXPECT_LT(input.size() - position, frame_header_size);
    kept.assign(input.begin() + static_cast<std::ptrdiff_t>(position), input.end());
  }
  EXPECT_TRUE(frames.between_frames());
  EXPECT_TRUE(kept.empty());
  return out;
}

TEST(peek_frame, needs_five_bytes) {
  const byte_buffer stream = the_stream();
  for (std::size_t size = 0; size < frame_header_size; ++size) {
    EXPECT_EQ(peek_frame(bytes(stream).first(size), 0, max_frontend_length).status, frame_status::need_more);
  }
  const auto peek = peek_frame(bytes(stream).first(5), 0, max_frontend_length);
  ASSERT_EQ(peek.status, frame_status::ready);
  EXPECT_EQ(peek.header.type, 'Q');
  EXPECT_EQ(peek.header.length, 13u);
  EXPECT_EQ(peek.header.body_size(), 9u);
  EXPECT_EQ(peek.header.total_size(), 14u);
}

TEST(peek_frame, refuses_lengths_outside_its_bounds) {
  const auto status = [](std::uint32_t length, std::uint32_t bound) {
    byte_buffer header(5);
    header[0] = std::byte{'Q'};
    store_uint32(header.data() + 1, length);
    return peek_frame(header, 0, bound).status;
  };
  for (std::uint32_t length = 0; length < 4; ++length) {
    EXPECT_EQ(status(length, max_frontend_length), frame_status::too_short);
  }
  EXPECT_EQ(status(4, max_frontend_length), frame_status::ready);
  EXPECT_EQ(status(max_frontend_length, max_frontend_length), frame_status::ready);
  for (const std::uint32_t length : {max_frontend_length + 1, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(status(length, max_frontend_length), frame_status::too_long);
  }
  EXPECT_EQ(status(101, 100), frame_status::too_long);
  EXPECT_EQ(status(0xffffffffU, 0xffffffffU), frame_status::ready);
}

TEST(peek_frame, total_of_the_longest_length_does_not_overflow) {
  const frame_header header{'d', 0xffffffffU};
  EXPECT_EQ(header.total_size(), std::size_t{0xffffffffU} + 1);
}

TEST(peek_frame, gives_a_nul_type_the_size_of_any_other) {
  const byte_buffer stream = literal("\0\0\0\0\5x");
  const auto peek = peek_frame(stream, 0, max_frontend_length);
  ASSERT_EQ(peek.status, frame_status::ready);
  EXPECT_EQ(peek.header.type, '\0');
  EXPECT_EQ(peek.header.total_size(), stream.size());
}

TEST(frame_reader, gives_every_byte_and_message_at_every_split_in_two) {
  const byte_buffer stream = the_stream();
  for (std::size_t split = 0; split <= stream.size(); ++split) {
    const relayed out = relay(stream, {split, stream.size()});
    EXPECT_EQ(out.forwarded, stream) << "split at " << split;
    EXPECT_EQ(out.ended, the_messages()) << "split at " << split;
  }
}

TEST(frame_reader, gives_every_byte_and_message_at_every_split_in_three) {
  const byte_buffer stream = the_stream();
  for (std::size_t first = 0; first <= stream.size(); ++first) {
    for (std::size_t second = first; second <= stream.size(); ++second) {
      const relayed out = relay(stream, {first, second, stream.size()});
      ASSERT_EQ(out.forwarded, stream) << first << ", " << second;
      ASSERT_EQ(out.ended, the_messages()) << first << ", " << second;
    }
  }
}

TEST(frame_reader, gives_every_byte_and_message_one_byte_at_a_time) {
  const byte_buffer stream = the_stream();
  std::vector<std::size_t> ends;
  for (std::size_t end = 1; end <= stream.size(); ++end) ends.push_back(end);
  const relayed out = relay(stream, ends);
  EXPECT_EQ(out.forwarded, stream);
  EXPECT_EQ(out.ended, the_messages());
}

TEST(frame_reader, follows_a_gigabyte_without_holding_it) {
  byte_buffer header(5);
  header[0] = std::byte{'D'};
  store_uint32(header.data() + 1, max_backend_length);
  const byte_buffer chunk(64 * 1024);
  frame_reader frames(max_backend_length);
  std::size_t position = 0;
  EXPECT_EQ(frames.next(header, position).kind, slice_kind::first);
  std::size_t body = 0;
  for (bool more = true; more;) {
    position = 0;
    const frame_slice slice = frames.next(chunk, position);
    body += slice.data.size();
    more = slice.kind == slice_kind::middle;
  }
  EXPECT_EQ(body, max_backend_length - 4);
  EXPECT_TRUE(frames.between_frames());
}

TEST(frame_reader, stops_at_a_bad_length_and_stays_there) {
  byte_buffer stream = the_stream();
  const std::size_t bad_at = stream.size();
  for (const char value : {'Q', '\0', '\0', '\0', '\3', 'x'}) stream.push_back(static_cast<std::byte>(value));
  frame_reader frames(max_frontend_length);
  std::size_t position = 0;
  for (std::size_t i = 0; i < the_messages().size(); ++i) {
    EXPECT_EQ(frames.next(stream, position).kind, slice_kind::whole);
  }
  EXPECT_EQ(frames.next(stream, position).kind, slice_kind::too_short);
  EXPECT_EQ(frames.next(stream, position).kind, slice_kind::too_short);
  EXPECT_EQ(position, bad_at);
}

TEST(frame_reader, refuses_a_frame_beyond_its_bound) {
  byte_buffer stream;
  write_message(stream, 'Q', std::string(100, 'x'));
  frame_reader frames(50);
  std::size_t position = 0;
  EXPECT_EQ(frames.next(stream, position).kind, slice_kind::too_long);
}

std::vector<seen> assemble(const byte_buffer& stream, const std::vector<std::size_t>& ends) {
  frame_assembler assembler;
  std::vector<seen> all;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    assembler.append(bytes(stream).subspan(begin, end - begin));
    begin = end;
    for (;;) {
      const auto next = assembler.next_message(1000);
      EXPECT_TRUE(next.has_value());
      if (!*next) break;
      all.push_back({(*next)->type, std::string(as_text((*next)->body))});
    }
  }
  EXPECT_TRUE(assembler.rest().empty());
  return all;
}

TEST(frame_assembler, collects_messages_at_every_split) {
  const byte_buffer stream = the_stream();
  for (std::size_t first = 0; first <= stream.size(); ++first) {
    for (std::size_t second = first; second <= stream.size(); ++second) {
      ASSERT_EQ(assemble(stream, {first, second, stream.size()}), the_messages()) << first << ", " << second;
    }
  }
}

TEST(frame_assembler, refuses_a_length_as_soon_as_the_header_is_there) {
  for (const auto& [length, why] :
       {std::pair{3U, protocol_errc::frame_too_short}, std::pair{1001U, protocol_errc::frame_too_long},
        std::pair{0x7fffffffU, protocol_errc::frame_too_long},
        std::pair{0xffffffffU, protocol_errc::frame_too_long}}) {
    byte_buffer header(5);
    header[0] = std::byte{'p'};
    store_uint32(header.data() + 1, length);
    frame_assembler assembler;
    assembler.append(bytes(header).first(4));
    EXPECT_TRUE(assembler.next_message(1000).has_value());
    assembler.append(bytes(header).subspan(4));
    EXPECT_EQ(assembler.next_message(1000).error(), why);
    EXPECT_EQ(assembler.next_message(1000).error(), why);
  }
}

TEST(frame_assembler, takes_startup_packets_between_8_and_10000_bytes) {
  const auto outcome = [](std::uint32_t length) {
    byte_buffer packet(4);
    store_uint32(packet.data(), length);
    packet.resize(std::min<std::size_t>(length, 20000));
    packet.resize(std::max<std::size_t>(packet.size(), 4));
    frame_assembler assembler;
    assembler.append(packet);
    return assembler.next_startup_packet();
  };
  for (const std::uint32_t length : {0U, 3U, 4U, 7U, 10001U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(outcome(length).error(), protocol_errc::startup_length) << length;
  }
  for (const std::uint32_t length : {8U, 9U, 10000U}) {
    const auto packet = outcome(length);
    ASSERT_TRUE(packet.has_value() && packet->has_value()) << length;
    EXPECT_EQ((*packet)->type, '\0');
    EXPECT_EQ((*packet)->body.size(), length - 4);
  }
}

TEST(frame_assembler, hands_over_what_came_behind_the_last_message) {
  byte_buffer stream;
  write_message(stream, 'p', "secret");
  const std::size_t first = stream.size();
  write_message(stream, 'Q', "select");
  frame_assembler assembler;
  assembler.append(stream);
  ASSERT_TRUE(assembler.next_message(1000).value().has_value());
  EXPECT_EQ(assembler.rest().size(), stream.size() - first);
  EXPECT_EQ(assembler.take(), byte_buffer(stream.begin() + static_cast<std::ptrdiff_t>(first), stream.end()));
  EXPECT_TRUE(assembler.rest().empty());
}

}  // namespace
}  // namespace tidegate::protocol
