#pragma once
// Messages over a stream while a handshake or a login runs. The buffer grows with the bytes that arrive,
// never with a length that a peer claims, and every read names its bound. Bytes behind the last message are
// kept for the relay.

#include "protocol/bytes.hpp"
#include "protocol/frame_assembler.hpp"
#include "proxy/net/stream.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>

namespace tidegate::net {

class message_stream {
 public:
  explicit message_stream(stream transport) : stream_(std::move(transport)) {}

  // Valid until the next read.
  struct message {
    char type;             // '\0' for the startup family
    protocol::bytes body;  // behind the length field
    protocol::bytes whole;
  };

  // Takes over what has arrived already, so that the read that follows may find its message without waiting.
  // Nothing, with TLS.
  boost::system::error_code read_what_is_there();
  // The packet of read_startup() when it is there; none: it has to be waited for.
  boost::system::result<std::optional<message>> startup_at_hand();

  // A packet of the startup family: the length (8 to 10000) and that many bytes.
  boost::asio::awaitable<boost::system::result<message>> read_startup(deadline& until);
  // A message whose length field is at most `bound`.
  boost::asio::awaitable<boost::system::result<message>> read(std::uint32_t bound, deadline& until);
  // The single byte that answers an SSLRequest: before any message, and taking nothing behind it, so that
  // bytes slipped in front of the TLS handshake break it.
  boost::asio::awaitable<boost::system::result<char>> read_byte(deadline& until);
  boost::asio::awaitable<boost::system::error_code> write(protocol::bytes bytes, deadline& until);

  // Whether bytes arrived that no read has returned. Before TLS begins this must be false.
  bool has_unread() const { return !assembler_.rest().empty(); }
  protocol::byte_buffer take_unread() { return assembler_.take(); }

  stream& transport() { return stream_; }
  const stream& transport() const { return stream_; }
  // Ends the dialogue; take_unread() first.
  stream take_transport() { return std::move(stream_); }

 private:
  boost::asio::awaitable<boost::system::error_code> fill(deadline& until);

  stream stream_;
  protocol::frame_assembler assembler_;
};

}  // namespace tidegate::net
