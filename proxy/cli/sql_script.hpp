#pragma once
// A file as psql reads it, cut into pieces at the semicolons: its \-commands and the data of COPY … FROM
// stdin are left out, positions stay those of the file. Pure; knows no parser.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli {

struct script_piece {
  std::size_t offset = 0;    // of `text` in the file
  std::string text;          // from behind the previous piece to its semicolon; \-commands are blanks in it
  bool shares_line = false;  // another statement stands on a line of it: they may be sent as one message
  bool follows_on_line = false;  // the other one stands before it
};

class sql_script {
 public:
  // From `begin` to the end of the text.
  explicit sql_script(std::string_view text, std::size_t begin = 0) : text_(text), at_(begin) {}

  // The next piece that holds more than blanks and comments. How strings end may change from piece to piece.
  std::optional<script_piece> next(bool standard_conforming_strings);

  // The piece just read was COPY … FROM stdin: what follows it, up to the line "\.", is data.
  void skip_copy_data();

 private:
  std::string_view text_;
  std::size_t at_;
  bool line_continues_ = false;  // a statement ended on this line already
};

struct line_column {
  int line = 1;    // from 1
  int column = 1;  // from 1, in characters (UTF-8)
};

// Where the lines of a text begin, so that a place is found without reading all before it. The text must live
// on.
class line_index {
 public:
  explicit line_index(std::string_view text);
  int line(std::size_t offset) const;
  line_column locate(std::size_t offset) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> begins_;
};

}  // namespace tidegate::cli
