// Frames met at any split are the frames met in one piece. Input: bound, size of the pieces, stream.
#include "protocol/frame_assembler.hpp"
#include "protocol/frame_reader.hpp"
#include "tests/fuzz/fuzzing.hpp"

#include <algorithm>
#include <vector>

using namespace tidegate;
using namespace tidegate::protocol;

namespace {

struct walk {
  byte_buffer forwarded;
  std::vector<std::uint32_t> ended;  // lengths of the frames that came to their end
  slice_kind stopped = slice_kind::need_more;
};

walk relay(bytes stream, std::size_t piece, std::uint32_t bound) {
  walk out;
  frame_reader frames(bound);
  byte_buffer kept;
  while (!stream.empty() && out.stopped == slice_kind::need_more) {
    const bytes arrived = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(arrived.size());
    kept.insert(kept.end(), arrived.begin(), arrived.end());
    std::size_t position = 0;
    for (;;) {
      const frame_slice slice = frames.next(kept, position);
      if (slice.data.empty()) {
        out.stopped = slice.kind;
        break;
      }
      out.forwarded.insert(out.forwarded.end(), slice.data.begin(), slice.data.end());
      if (slice.ends_frame()) out.ended.push_back(slice.header.length);
    }
    kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(position));
    fuzzing::require(kept.size() < frame_header_size || out.stopped != slice_kind::need_more,
                     "no more than the start of a header is kept");
  }
  return out;
}

std::vector<std::uint32_t> assemble(bytes stream, std::size_t piece, std::uint32_t bound) {
  std::vector<std::uint32_t> ended;
  frame_assembler assembler;
  for (;;) {
    const auto next = assembler.next_message(bound);
    if (!next) break;
    if (*next) {
      ended.push_back(static_cast<std::uint32_t>((*next)->body.size() + 4));
      continue;
    }
    if (stream.empty()) break;
    const bytes arrived = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(arrived.size());
    assembler.append(arrived);
  }
  return ended;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint32_t bounds[] = {4,          64, max_startup_length, max_frontend_length, max_backend_length,
                                  0xffffffffU};
  const std::uint32_t bound = bounds[data[0] % std::size(bounds)];
  const std::size_t piece = std::size_t{data[1]} + 1;
  const bytes stream = fuzzing::input(data + 2, size - 2);

  const walk whole = relay(stream, std::max<std::size_t>(stream.size(), 1), bound);
  const walk split = relay(stream, piece, bound);
  fuzzing::require(whole.forwarded == split.forwarded, "the same bytes are forwarded");
  fuzzing::require(whole.ended == split.ended, "the same frames end");
  fuzzing::require(whole.stopped == split.stopped, "the same error is found");
  fuzzing::require(assemble(stream, piece, bound) == whole.ended, "the assembler sees the same frames");

  frame_assembler startup;
  startup.append(stream);
  (void)startup.next_startup_packet();
  return 0;
}
