#pragma once
// What saslprep.cpp needs of Unicode. The lists are generated (saslprep_tables.py); all are sorted by code
// point.

#include <cstdint>
#include <span>

namespace tidegate::protocol::saslprep_tables {

struct code_range {
  char32_t first, last;
};

struct combining_range {
  char32_t first, last;
  std::uint8_t combining_class;
};

// Full compatibility decomposition: `size` code points of `decomposed` from `offset`.
struct decomposition {
  char32_t code;
  std::uint16_t offset;
  std::uint8_t size;
};

struct composition {
  char32_t first, second, composed;
};

// Tables of RFC 3454.
extern const std::span<const code_range> mapped_to_nothing;  // B.1
extern const std::span<const code_range> other_spaces;       // C.1.2
extern const std::span<const code_range> prohibited;         // A.1 and C.1.2, C.2 … C.9
extern const std::span<const code_range> right_to_left;      // D.1
extern const std::span<const code_range> left_to_right;      // D.2

// Normalisation; Hangul syllables are computed.
extern const std::span<const combining_range> combining_classes;
extern const std::span<const decomposition> decompositions;
extern const std::span<const char32_t> decomposed;
extern const std::span<const composition> compositions;

}  // namespace tidegate::protocol::saslprep_tables
