#include "protocol/writer.hpp"

#include "protocol/frame.hpp"

#include <limits>
#include <stdexcept>

namespace tidegate::protocol {

void writer::uint16(std::uint16_t value) {
  uint8(static_cast<std::uint8_t>(value >> 8));
  uint8(static_cast<std::uint8_t>(value));
}

void writer::uint32(std::uint32_t value) {
  out_.resize(out_.size() + sizeof value);
  store_uint32(out_.data() + out_.size() - sizeof value, value);
}

void writer::int64(std::int64_t value) {
  uint32(static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) >> 32));
  uint32(static_cast<std::uint32_t>(value));
}

void writer::raw(bytes data) {
  out_.insert(out_.end(), data.begin(), data.end());
}

void writer::cstring(std::string_view text) {
  raw(as_bytes(text.substr(0, text.find('\0'))));
  character('\0');
}

void writer::value(const std::optional<bytes>& data) {
  if (!data) return int32(-1);
  uint32(static_cast<std::uint32_t>(data->size()));
  raw(*data);
}

void writer::count(std::size_t items) {
  if (items > std::numeric_limits<std::uint16_t>::max())
    throw std::length_error("more items than a message can count");
  uint16(static_cast<std::uint16_t>(items));
}

void writer::begin_message(char type) {
  character(type);
  begin_startup_packet();
}

void writer::begin_startup_packet() {
  length_at_ = out_.size();
  uint32(0);
}

void writer::end_message() {
  const std::size_t length = out_.size() - length_at_;
  if (length > max_backend_length) throw std::length_error("message longer than the protocol allows");
  store_uint32(out_.data() + length_at_, static_cast<std::uint32_t>(length));
}

}  // namespace tidegate::protocol
