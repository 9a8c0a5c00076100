#include "protocol/saslprep.hpp"

#include "protocol/saslprep_tables.hpp"

#include <algorithm>
#include <optional>
#include <span>

namespace tidegate::protocol {
namespace {

using namespace saslprep_tables;

constexpr char32_t hangul_first = 0xac00, leading_first = 0x1100, vowel_first = 0x1161,
                   trailing_before = 0x11a7;
constexpr char32_t leading_count = 19, vowel_count = 21, trailing_count = 28;  // trailing: with "none"
constexpr char32_t hangul_count = leading_count * vowel_count * trailing_count;

template <typename Range>
const Range* find_range(std::span<const Range> table, char32_t code) {
  const auto at = std::lower_bound(table.begin(), table.end(), code,
                                   [](const Range& range, char32_t value) { return range.last < value; });
  return at != table.end() && at->first <= code ? &*at : nullptr;
}

bool is_in(std::span<const code_range> table, char32_t code) {
  return find_range(table, code) != nullptr;
}

std::uint8_t combining_class(char32_t code) {
  const auto* range = find_range(combining_classes, code);
  return range ? range->combining_class : 0;
}

// Well-formed UTF-8 only: no overlong forms, no surrogates, nothing beyond U+10FFFF.
std::optional<std::u32string> decode_utf8(std::string_view text) {
  std::u32string codes;
  codes.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
    if (size == 0 || size > text.size() - i) return std::nullopt;
    char32_t code = size == 1 ? lead : lead & (0xffU >> (size + 1));
    for (std::size_t k = 1; k < size; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xc0) != 0x80) return std::nullopt;
      code = code << 6 | (byte & 0x3f);
    }
    const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return std::nullopt;
    codes.push_back(code);
    i += size;
  }
  return codes;
}

std::string encode_utf8(std::u32string_view codes) {
  std::string text;
  const auto put = [&text](char32_t value) { text.push_back(static_cast<char>(value)); };
  for (const char32_t code : codes) {
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | code >> 6);
      put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      put(0xe0 | code >> 12);
      put(0x80 | (code >> 6 & 0x3f));
      put(0x80 | (code & 0x3f));
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
      put(0x80 | (code >> 6 & 0x3f));
      put(0x80 | (code & 0x3f));
    }
  }
  return text;
}

void decompose(char32_t code, std::u32string& out) {
  if (code >= hangul_first && code < hangul_first + hangul_count) {
    const char32_t index = code - hangul_first;
    out.push_back(leading_first + index / (vowel_count * trailing_count));
    out.push_back(vowel_first + index % (vowel_count * trailing_count) / trailing_count);
    if (index % trailing_count != 0) out.push_back(trailing_before + index % trailing_count);
    return;
  }
  const auto at =
      std::lower_bound(decompositions.begin(), decompositions.end(), code,
                       [](const decomposition& entry, char32_t value) { return entry.code < value; });
  if (at == decompositions.end() || at->code != code) {
    out.push_back(code);
    return;
  }
  const auto parts = decomposed.subspan(at->offset, at->size);
  out.append(parts.begin(), parts.end());
}

// The one character that the two make, or 0.
char32_t compose(char32_t first, char32_t second) {
  if (first >= leading_first && first < leading_first + leading_count && second >= vowel_first &&
      second < vowel_first + vowel_count) {
    return hangul_first + ((first - leading_first) * vowel_count + (second - vowel_first)) * trailing_count;
  }
  if (first >= hangul_first && first < hangul_first + hangul_count &&
      (first - hangul_first) % trailing_count == 0 && second > trailing_before &&
      second < trailing_before + trailing_count) {
    return first + (second - trailing_before);
  }
  const auto at = std::lower_bound(compositions.begin(), compositions.end(), std::pair(first, second),
                                   [](const composition& entry, const std::pair<char32_t, char32_t>& pair) {
                                     return std::pair(entry.first, entry.second) < pair;
                                   });
  return at != compositions.end() && at->first == first && at->second == second ? at->composed : 0;
}

// https://www.unicode.org/reports/tr15/: decompose, order the marks, compose.
std::u32string normalize_nfkc(std::u32string_view codes) {
  std::u32string all;
  for (const char32_t code : codes) decompose(code, all);

  for (auto begin = all.begin(); begin != all.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, all.end(), [](char32_t code) { return combining_class(code) == 0; });
    std::stable_sort(begin, end,
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }

  std::u32string out;
  std::optional<std::size_t> starter;  // where in `out`
  int last_class = -1;                 // of what stands between the starter and here; -1: nothing does
  for (const char32_t code : all) {
    const int here = combining_class(code);
    if (starter && last_class < here) {
      if (const char32_t composed = compose(out[*starter], code)) {
        out[*starter] = composed;
        continue;
      }
    }
    if (here == 0) {
      starter = out.size();
      last_class = -1;
    } else {
      last_class = here;
    }
    out.push_back(code);
  }
  return out;
}

// RFC 3454 section 6: with one right-to-left character, no left-to-right one, and both ends right-to-left.
bool mixes_directions(std::u32string_view codes) {
  const auto is_right_to_left = [](char32_t code) { return is_in(right_to_left, code); };
  if (std::none_of(codes.begin(), codes.end(), is_right_to_left)) return false;
  return !is_right_to_left(codes.front()) || !is_right_to_left(codes.back()) ||
         std::any_of(codes.begin(), codes.end(), [](char32_t code) { return is_in(left_to_right, code); });
}

}  // namespace

std::string saslprep(std::string_view password) {
  const bool ascii = std::all_of(password.begin(), password.end(),
                                 [](char letter) { return static_cast<signed char>(letter) >= 0; });
  if (ascii) return std::string(password);
  auto codes = decode_utf8(password);
  if (!codes) return std::string(password);

  for (char32_t& code : *codes) {
    if (is_in(other_spaces, code)) code = U' ';
  }
  std::erase_if(*codes, [](char32_t code) { return is_in(mapped_to_nothing, code); });

  // PostgreSQL looks at the characters as they are before NFKC, where the RFC means those after it.
  const bool refused =
      codes->empty() || mixes_directions(*codes) ||
      std::any_of(codes->begin(), codes->end(), [](char32_t code) { return is_in(prohibited, code); });
  return refused ? std::string(password) : encode_utf8(normalize_nfkc(*codes));
}

}  // namespace tidegate::protocol
