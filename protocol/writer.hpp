#pragma once
// Writes messages behind what a buffer already holds. One writer may write any number of messages; the buffer
// then goes to one send. Pure; one thread at a time.

#include "protocol/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate::protocol {

class writer {
 public:
  // `out` must outlive the writer; what it holds stays in front.
  explicit writer(byte_buffer& out) noexcept : out_(out) {}
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  void uint8(std::uint8_t value) { out_.push_back(static_cast<std::byte>(value)); }
  void character(char value) { out_.push_back(static_cast<std::byte>(value)); }
  void uint16(std::uint16_t value);
  void int16(std::int16_t value) { uint16(static_cast<std::uint16_t>(value)); }
  void uint32(std::uint32_t value);
  void int32(std::int32_t value) { uint32(static_cast<std::uint32_t>(value)); }
  void int64(std::int64_t value);
  void raw(bytes data);

  // The text and a NUL. Text that holds a NUL itself is cut there, so that it can't run into the next field.
  void cstring(std::string_view text);

  // A value with its length in front (Int32), as in DataRow and Bind; an absent one is NULL (-1).
  void value(const std::optional<bytes>& data);

  // An Int16 count. Throws std::length_error beyond 65535, the most that PostgreSQL can count.
  void count(std::size_t items);

  // Type byte and room for the length, which end_message() fills in. Messages don't nest.
  void begin_message(char type);
  // The same without a type byte, for the startup family.
  void begin_startup_packet();
  // Throws std::length_error when the message has become longer than any PostgreSQL would take: the caller
  // has to bound what it puts in.
  void end_message();

 private:
  byte_buffer& out_;
  std::size_t length_at_ = 0;
};

}  // namespace tidegate::protocol
