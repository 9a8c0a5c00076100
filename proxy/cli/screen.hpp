#pragma once
// How the demo looks: headings, paragraphs, statements and their answers as psql shows them, bars. At most 98
// columns; colours only when asked for. Each call is visible at once.

#include "proxy/cli/sql_client.hpp"

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

namespace tidegate::cli {

// The lines of `text`, broken between words so that none is longer than `width` characters where words allow,
// each behind `indent` spaces.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent);

// "2,712 ms".
std::string milliseconds(std::chrono::nanoseconds time);
// "500,000".
std::string grouped(std::uint64_t number);

class screen {
 public:
  enum class tone { plain, strong, faint, good, bad, note, name };

  screen(std::ostream& out, bool coloured) : out_(out), coloured_(coloured) {}

  void title(std::string_view text);
  void chapter(std::string_view text);
  void paragraph(std::string_view text);
  void line(std::string_view text, tone how = tone::plain);  // as it is
  void blank();

  // A statement as it is typed into psql, and what comes back.
  void statement(std::string_view sql);
  void message(const server_message& said, std::string_view sql);
  void command_tag(std::string_view tag);

  // One row of a chart: label, a bar of `share` (0 to 1) of the room, text behind it.
  void bar(std::string_view label, double share, std::string_view text, tone how);

 private:
  std::string toned(std::string_view text, tone how) const;

  std::ostream& out_;
  bool coloured_;
};

}  // namespace tidegate::cli
