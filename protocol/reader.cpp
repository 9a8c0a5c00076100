#include "protocol/reader.hpp"

namespace tidegate::protocol {

void reader::fail(protocol_errc why) noexcept {
  if (failed_) return;
  failed_ = true;
  why_ = why;
  rest_ = {};
}

boost::system::error_code reader::error() const noexcept {
  if (failed_) return why_;
  if (!rest_.empty()) return protocol_errc::trailing_bytes;
  return {};
}

bytes reader::raw(std::size_t size) noexcept {
  if (size > rest_.size()) {
    fail(protocol_errc::truncated);
    return {};
  }
  const bytes taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

bytes reader::rest() noexcept {
  return raw(rest_.size());
}

std::uint8_t reader::uint8() noexcept {
  const bytes at = raw(1);
  return at.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(at[0]);
}

std::uint16_t reader::uint16() noexcept {
  const bytes at = raw(2);
  return at.empty() ? std::uint16_t{0} : load_uint16(at.data());
}

std::uint32_t reader::uint32() noexcept {
  const bytes at = raw(4);
  return at.empty() ? 0 : load_uint32(at.data());
}

std::int64_t reader::int64() noexcept {
  const bytes at = raw(8);
  return at.empty() ? 0 : static_cast<std::int64_t>(load_uint64(at.data()));
}

std::string_view reader::cstring() noexcept {
  const std::string_view text = as_text(rest_);
  const std::size_t end = text.find('\0');
  if (end == std::string_view::npos) {
    fail(protocol_errc::missing_terminator);
    return {};
  }
  rest_ = rest_.subspan(end + 1);
  return text.substr(0, end);
}

std::optional<bytes> reader::value() noexcept {
  const std::int32_t length = int32();
  if (failed_ || length == -1) return std::nullopt;
  if (length < 0 || static_cast<std::uint32_t>(length) > rest_.size()) {
    fail(protocol_errc::bad_length);
    return std::nullopt;
  }
  return raw(static_cast<std::size_t>(length));
}

std::uint16_t reader::count(std::size_t item_size) noexcept {
  const std::uint16_t items = uint16();
  if (items * item_size > rest_.size()) {
    fail(protocol_errc::bad_count);
    return 0;
  }
  return items;
}

std::uint32_t reader::count32(std::size_t item_size) noexcept {
  const std::int32_t items = int32();
  if (items < 0 || static_cast<std::size_t>(items) * item_size > rest_.size()) {
    fail(protocol_errc::bad_count);
    return 0;
  }
  return static_cast<std::uint32_t>(items);
}

}  // namespace tidegate::protocol
