#pragma once
// Collects whole messages for those who must see them complete: handshakes and the gateway's own dialogues
// with a server. Grows only as bytes arrive, never by the length that a peer claims. Not for relaying
// (frame_reader.hpp). One per connection; not thread-safe.

#include "protocol/bytes.hpp"
#include "protocol/frame.hpp"
#include "protocol/protocol_errc.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tidegate::protocol {

// A complete message inside the assembler, valid until its next append(), clear() or take().
struct frame_view {
  char type = '\0';  // '\0' for a packet of the startup family
  bytes body;        // behind the length field
};

class frame_assembler {
 public:
  // Adds what was received. The caller bounds it: it reads on only when a next_…() gave nothing.
  void append(bytes received);

  // The next complete message, which is consumed; nothing if its end has not come yet. `bound` is the
  // greatest length field taken: a longer one is frame_too_long as soon as the header is there. Errors
  // repeat.
  [[nodiscard]] result<std::optional<frame_view>> next_message(std::uint32_t bound);

  // The same for a packet of the startup family: no type byte, 8 to 10000 bytes.
  [[nodiscard]] result<std::optional<frame_view>> next_startup_packet();

  // What was received and not consumed. Must be empty before a TLS handshake begins: plain bytes behind an
  // SSLRequest are an attack (CVE-2021-23214).
  bytes rest() const noexcept;

  // Hands over the rest, for the relay that goes on with the connection; empty afterwards.
  [[nodiscard]] byte_buffer take();

  void clear() noexcept;

 private:
  [[nodiscard]] std::optional<frame_view> consume(char type, std::size_t header, std::size_t total);

  byte_buffer buffer_;
  std::size_t consumed_ = 0;
};

}  // namespace tidegate::protocol
