#include "protocol/frame_assembler.hpp"

#include <utility>

namespace tidegate::protocol {

void frame_assembler::append(bytes received) {
  if (consumed_ != 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
    consumed_ = 0;
  }
  buffer_.insert(buffer_.end(), received.begin(), received.end());
}

result<std::optional<frame_view>> frame_assembler::next_message(std::uint32_t bound) {
  const frame_peek peek = peek_frame(buffer_, consumed_, bound);
  switch (peek.status) {
    case frame_status::need_more:
      return std::nullopt;
    case frame_status::too_short:
      return make_error_code(protocol_errc::frame_too_short);
    case frame_status::too_long:
      return make_error_code(protocol_errc::frame_too_long);
    case frame_status::ready:
      break;
  }
  return consume(peek.header.type, frame_header_size, peek.header.total_size());
}

result<std::optional<frame_view>> frame_assembler::next_startup_packet() {
  if (rest().size() < sizeof(std::uint32_t)) return std::nullopt;
  const std::uint32_t length = load_uint32(rest().data());
  if (length < min_startup_length || length > max_startup_length) {
    return make_error_code(protocol_errc::startup_length);
  }
  return consume('\0', sizeof(std::uint32_t), length);
}

std::optional<frame_view> frame_assembler::consume(char type, std::size_t header, std::size_t total) {
  const bytes here = rest();
  if (here.size() < total) return std::nullopt;
  consumed_ += total;
  return frame_view{type, here.subspan(header, total - header)};
}

bytes frame_assembler::rest() const noexcept {
  return bytes(buffer_).subspan(consumed_);
}

byte_buffer frame_assembler::take() {
  byte_buffer rest_of_it(rest().begin(), rest().end());
  clear();
  return rest_of_it;
}

void frame_assembler::clear() noexcept {
  buffer_.clear();
  buffer_.shrink_to_fit();
  consumed_ = 0;
}

}  // namespace tidegate::protocol
