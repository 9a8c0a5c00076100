#include "proxy/net/message_stream.hpp"

#include <array>

namespace tidegate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t chunk = 4096;

message_stream::message with_header(const protocol::frame_view& frame) {
  const std::size_t header = frame.type == '\0' ? 4 : protocol::frame_header_size;
  return {frame.type, frame.body, {frame.body.data() - header, frame.body.size() + header}};
}

}  // namespace

asio::awaitable<error_code> message_stream::fill(deadline& until) {
  std::array<std::byte, chunk> received;
  const auto count = co_await stream_.read_some(received, until);
  if (!count) co_return count.error();
  assembler_.append(std::span(received).first(*count));
  co_return error_code();
}

error_code message_stream::read_what_is_there() {
  std::array<std::byte, chunk> received;
  const auto count = stream_.read_now(received);
  if (!count) return count.error();
  assembler_.append(std::span(received).first(*count));
  return {};
}

boost::system::result<std::optional<message_stream::message>> message_stream::startup_at_hand() {
  const auto frame = assembler_.next_startup_packet();
  if (!frame) return frame.error();
  if (!*frame) return std::optional<message>();
  return std::optional<message>(with_header(**frame));
}

asio::awaitable<boost::system::result<message_stream::message>> message_stream::read_startup(
    deadline& until) {
  for (;;) {
    const auto there = startup_at_hand();
    if (!there) co_return there.error();
    if (*there) co_return **there;
    if (const error_code ec = co_await fill(until)) co_return ec;
  }
}

asio::awaitable<boost::system::result<message_stream::message>> message_stream::read(std::uint32_t bound,
                                                                                     deadline& until) {
  for (;;) {
    const auto frame = assembler_.next_message(bound);
    if (!frame) co_return frame.error();
    if (*frame) co_return with_header(**frame);
    if (const error_code ec = co_await fill(until)) co_return ec;
  }
}

asio::awaitable<boost::system::result<char>> message_stream::read_byte(deadline& until) {
  std::array<std::byte, 1> byte;
  const auto count = co_await stream_.read_some(byte, until);
  if (!count) co_return count.error();
  co_return static_cast<char>(byte[0]);
}

asio::awaitable<error_code> message_stream::write(protocol::bytes bytes, deadline& until) {
  co_return co_await stream_.write_all(bytes, until);
}

}  // namespace tidegate::net
