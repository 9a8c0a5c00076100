#include "policies/sql/encoding.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>

#include <iconv.h>

namespace tidegate::sql {
namespace {

struct encoding_facts {
  std::string_view name;   // PostgreSQL's, without separators, in lower case
  const char* iconv_name;  // nullptr: bytes of no known character set
  bool ascii_safe = true;
};

// https://www.postgresql.org/docs/current/multibyte.html; the client-only ones are those that are not safe.
constexpr encoding_facts encodings[] = {
    {"utf8", "UTF-8"},
    {"unicode", "UTF-8"},
    {"sqlascii", nullptr},
    {"big5", "BIG5", false},
    {"euccn", "EUC-CN"},
    {"eucjp", "EUC-JP"},
    {"eucjis2004", "EUC-JISX0213"},
    {"euckr", "EUC-KR"},
    {"euctw", "EUC-TW"},
    {"gb18030", "GB18030", false},
    {"gbk", "GBK", false},
    {"iso88595", "ISO-8859-5"},
    {"iso88596", "ISO-8859-6"},
    {"iso88597", "ISO-8859-7"},
    {"iso88598", "ISO-8859-8"},
    {"johab", "JOHAB", false},
    {"koi8", "KOI8-R"},
    {"koi8r", "KOI8-R"},
    {"koi8u", "KOI8-U"},
    {"latin1", "ISO-8859-1"},
    {"iso88591", "ISO-8859-1"},
    {"latin2", "ISO-8859-2"},
    {"iso88592", "ISO-8859-2"},
    {"latin3", "ISO-8859-3"},
    {"latin4", "ISO-8859-4"},
    {"latin5", "ISO-8859-9"},
    {"latin6", "ISO-8859-10"},
    {"latin7", "ISO-8859-13"},
    {"latin8", "ISO-8859-14"},
    {"latin9", "ISO-8859-15"},
    {"latin10", "ISO-8859-16"},
    {"muleinternal", nullptr},
    // PostgreSQL's Shift JIS is Microsoft's.
    {"sjis", "CP932", false},
    {"shiftjis", "CP932", false},
    {"mskanji", "CP932", false},
    {"win932", "CP932", false},
    {"windows932", "CP932", false},
    {"shiftjis2004", "SHIFT_JISX0213", false},
    {"uhc", "UHC", false},
    {"win949", "UHC", false},
    {"windows949", "UHC", false},
    {"win936", "GBK", false},
    {"windows936", "GBK", false},
    {"win950", "BIG5", false},
    {"windows950", "BIG5", false},
    {"win866", "CP866"},
    {"alt", "CP866"},
    {"win874", "CP874"},
    {"win1250", "CP1250"},
    {"win1251", "CP1251"},
    {"win", "CP1251"},
    {"win1252", "CP1252"},
    {"win1253", "CP1253"},
    {"win1254", "CP1254"},
    {"win1255", "CP1255"},
    {"win1256", "CP1256"},
    {"win1257", "CP1257"},
    {"win1258", "CP1258"},
    {"abc", "CP1258"},
    {"tcvn", "CP1258"},
    {"tcvn5712", "CP1258"},
    {"vscii", "CP1258"},
};

const encoding_facts* find(std::string_view encoding) {
  std::string plain;  // as PostgreSQL compares names
  for (const char c : encoding) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) plain += static_cast<char>(std::tolower(byte));
  }
  for (const encoding_facts& known : encodings) {
    if (known.name == plain) return &known;
  }
  return nullptr;
}

class converter {
 public:
  converter(const char* to, const char* from) : handle_(iconv_open(to, from)) {}
  ~converter() {
    if (usable()) iconv_close(handle_);
  }
  converter(const converter&) = delete;
  converter& operator=(const converter&) = delete;

  bool usable() const { return handle_ != reinterpret_cast<iconv_t>(-1); }

  // Appends the converted text; false when it is not valid.
  bool append(std::string_view text, std::string& out) {
    std::string input(text);  // iconv takes what it does not change as not const
    std::string output(text.size() * 4 + 16, '\0');
    char* from = input.data();
    char* to = output.data();
    std::size_t left = input.size();
    std::size_t room = output.size();
    if (iconv(handle_, &from, &left, &to, &room) == static_cast<std::size_t>(-1)) {
      iconv(handle_, nullptr, nullptr, nullptr, nullptr);
      return false;
    }
    out.append(output, 0, output.size() - room);
    return true;
  }

 private:
  iconv_t handle_;
};

bool is_high(char c) {
  return (static_cast<unsigned char>(c) & 0x80) != 0;
}

// Bytes of the character that begins with a byte behind 0x7f, as PostgreSQL counts them (pg_encoding_mblen).
std::size_t character_size(std::string_view text, const encoding_facts& encoding) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::string_view name = encoding.iconv_name;
  if (name == "CP932" || name == "SHIFT_JISX0213") return first >= 0xa1 && first <= 0xdf ? 1 : 2;
  if (name == "JOHAB") return first == 0x8f ? 3 : 2;
  return name == "GB18030" && text.size() > 1 && text[1] >= '0' && text[1] <= '9' ? 4 : 2;
}

// Of a text in UTF-8, from its first byte.
std::size_t character_size(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
}

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// A character of an encoding that is not safe. One that is not known here still is one character: read byte
// by byte its second half would be ASCII.
void append_character(converter& conversion, std::string_view character, std::string& out) {
  std::string converted;
  const bool known = conversion.append(character, converted) && !converted.empty() &&
                     std::all_of(converted.begin(), converted.end(), is_high);
  out += known ? std::string_view(converted) : replacement;
}

}  // namespace

bool is_ascii_safe(std::string_view encoding) {
  const encoding_facts* facts = find(encoding);
  return facts != nullptr && facts->ascii_safe;
}

std::optional<std::string> to_utf8(std::string_view text, std::string_view encoding) {
  const encoding_facts* facts = find(encoding);
  if (facts == nullptr || facts->iconv_name == nullptr) return std::nullopt;
  converter conversion("UTF-8", facts->iconv_name);
  if (!conversion.usable()) return std::nullopt;
  std::string utf8;
  if (facts->ascii_safe) {
    if (!conversion.append(text, utf8)) return std::nullopt;
    return utf8;
  }
  // Single ASCII bytes are ASCII to PostgreSQL, where iconv makes a yen or a won of the backslash.
  while (!text.empty()) {
    std::size_t size = 1;
    if (is_high(text[0])) {
      size = std::min(character_size(text, *facts), text.size());
      append_character(conversion, text.substr(0, size), utf8);
    } else {
      utf8 += text[0];
    }
    text.remove_prefix(size);
  }
  return utf8;
}

std::optional<std::string> from_utf8(std::string_view text, std::string_view encoding) {
  if (std::none_of(text.begin(), text.end(), is_high)) return std::string(text);
  const encoding_facts* facts = find(encoding);
  if (facts == nullptr || facts->iconv_name == nullptr) return std::nullopt;
  converter conversion(facts->iconv_name, "UTF-8");
  if (!conversion.usable()) return std::nullopt;
  std::string converted;
  while (!text.empty()) {
    const std::size_t size = std::min(character_size(text[0]), text.size());
    if (!is_high(text[0]))
      converted += text[0];
    else if (!conversion.append(text.substr(0, size), converted))
      return std::nullopt;
    text.remove_prefix(size);
  }
  return converted;
}

}  // namespace tidegate::sql
