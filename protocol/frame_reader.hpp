#pragma once
// Walks the frames of a relayed stream in place, across any splits: the caller hands in what one receive
// brought and gets slices of it, each a frame or a part of one. Bodies are neither collected nor looked at,
// so a row of a gigabyte costs the same few bytes of state as an empty one. One reader per direction of a
// connection; data path.

#include "protocol/bytes.hpp"
#include "protocol/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tidegate::protocol {

enum class slice_kind : std::uint8_t {
  whole,      // a complete frame, header and body
  first,      // header and the part of the body that is there; more slices follow
  middle,     // a part of a body
  last,       // the end of a body that began in an earlier slice
  need_more,  // nothing, or up to four bytes of a header: keep them in front of what comes next
  too_short,  // a length below 4
  too_long,   // a length beyond the bound
};

struct frame_slice {
  slice_kind kind;
  frame_header header;  // of the frame that the slice belongs to; meaningful for whole, first, middle, last
  bytes data;           // part of the input: as relayed, so with the header in whole and first

  // The body of a whole frame.
  bytes body() const noexcept { return data.subspan(frame_header_size); }
  bool ends_frame() const noexcept { return kind == slice_kind::whole || kind == slice_kind::last; }
};

class frame_reader {
 public:
  explicit frame_reader(std::uint32_t bound) noexcept : bound_(bound) {}

  // The next slice of `input` from `position`, which moves behind it. On need_more, too_short and too_long
  // nothing moves. After an error the stream can't be followed any more.
  [[nodiscard]] frame_slice next(bytes input, std::size_t& position) noexcept {
    if (remaining_ != 0) return continue_body(input, position);
    const frame_peek peek = peek_frame(input, position, bound_);
    if (peek.status != frame_status::ready) return {stopped(peek.status), {}, {}};
    header_ = peek.header;
    const std::size_t total = header_.total_size();
    const std::size_t here = std::min(total, input.size() - position);
    const bytes data = input.subspan(position, here);
    position += here;
    remaining_ = static_cast<std::uint32_t>(total - here);
    return {remaining_ == 0 ? slice_kind::whole : slice_kind::first, header_, data};
  }

  // Bytes of the current frame that have not come yet; 0 between frames.
  std::uint32_t remaining() const noexcept { return remaining_; }
  bool between_frames() const noexcept { return remaining_ == 0; }

 private:
  frame_slice continue_body(bytes input, std::size_t& position) noexcept {
    const std::size_t here = std::min<std::size_t>(remaining_, input.size() - position);
    if (here == 0) return {slice_kind::need_more, header_, {}};
    const bytes data = input.subspan(position, here);
    position += here;
    remaining_ -= static_cast<std::uint32_t>(here);
    return {remaining_ == 0 ? slice_kind::last : slice_kind::middle, header_, data};
  }

  static slice_kind stopped(frame_status status) noexcept {
    switch (status) {
      case frame_status::too_short:
        return slice_kind::too_short;
      case frame_status::too_long:
        return slice_kind::too_long;
      default:
        return slice_kind::need_more;
    }
  }

  frame_header header_;
  std::uint32_t remaining_ = 0;
  std::uint32_t bound_;
};

}  // namespace tidegate::protocol
