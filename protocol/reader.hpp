#pragma once
// Reads the body of one message, field by field. Every read is checked against what is left; the first
// failure sticks, later reads give zeros and empty views, and finish() reports it. So a decoder is one line
// per field:
//
//   reader in(body);
//   const auto text = in.cstring();
//   return in.finish(query{text});
//
// Views point into the body. Pure; one thread at a time.

#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/system/error_code.hpp>

namespace tidegate::protocol {

class reader {
 public:
  explicit reader(bytes body) noexcept : rest_(body) {}

  std::uint8_t uint8() noexcept;
  char character() noexcept { return static_cast<char>(uint8()); }
  std::uint16_t uint16() noexcept;
  std::int16_t int16() noexcept { return static_cast<std::int16_t>(uint16()); }
  std::uint32_t uint32() noexcept;
  std::int32_t int32() noexcept { return static_cast<std::int32_t>(uint32()); }
  std::int64_t int64() noexcept;

  // Up to the next NUL, which is consumed and not part of the text.
  std::string_view cstring() noexcept;

  // Exactly `size` bytes.
  bytes raw(std::size_t size) noexcept;

  // Everything that is left.
  bytes rest() noexcept;

  // A value behind its Int32 length; nothing for NULL (-1).
  std::optional<bytes> value() noexcept;

  // An Int16 count of items of at least `item_size` bytes each, refused when the rest can't hold them, so
  // that nobody reserves by a peer's claim. PostgreSQL reads these counts without a sign: up to 65535.
  std::uint16_t count(std::size_t item_size) noexcept;

  // The same for the one Int32 count of the protocol (NegotiateProtocolVersion); a negative one is refused
  // too.
  std::uint32_t count32(std::size_t item_size) noexcept;

  std::size_t remaining() const noexcept { return rest_.size(); }
  bool failed() const noexcept { return failed_; }

  // Makes the whole decode fail with this reason, if nothing failed before.
  void fail(protocol_errc why) noexcept;

  // What went wrong first, or trailing_bytes when something is left, or no error.
  [[nodiscard]] boost::system::error_code error() const noexcept;

  // The message if everything was read and nothing is left.
  template <typename Message>
  [[nodiscard]] result<Message> finish(Message message) const {
    if (const auto ec = error()) return ec;
    return message;
  }

 private:
  bytes rest_;
  protocol_errc why_{};
  bool failed_ = false;
};

// For the messages without a body (Sync, Flush, Terminate, CopyDone, EmptyQueryResponse, ParseComplete,
// BindComplete, CloseComplete, NoData, PortalSuspended), which need no decoder: trailing_bytes when there is
// one.
[[nodiscard]] inline boost::system::error_code check_empty(bytes body) noexcept {
  return reader(body).error();
}

}  // namespace tidegate::protocol
