#include "proxy/cli/screen.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>

namespace tidegate::cli {

namespace {

constexpr std::size_t columns = 98;
constexpr std::size_t margin = 3;
constexpr std::size_t bar_room = 40;
constexpr std::size_t label_room = 18;
constexpr std::string_view prompt = "shop=> ";

// Characters, of UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

void wrap_line(std::string_view line, std::size_t width, const std::string& indent, std::string& out) {
  out += indent;
  std::size_t used = 0;
  while (!line.empty()) {
    const std::size_t end = line.find(' ', line.find_first_not_of(' '));
    std::string_view word = line.substr(0, end);  // with the spaces in front of it
    line.remove_prefix(word.size());
    if (used != 0 && used + width_of(word) > width) {
      out += '\n' + indent;
      word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
      used = 0;
    }
    out += word;
    used += width_of(word);
  }
  out += '\n';
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.append(width - std::min(width, width_of(text)), ' ');
  return out;
}

}  // namespace

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
  const std::string spaces(indent, ' ');
  std::string out;
  for (;;) {
    const std::size_t end = text.find('\n');
    wrap_line(text.substr(0, end), width - std::min(width, indent), spaces, out);
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string milliseconds(std::chrono::nanoseconds time) {
  return grouped(static_cast<std::uint64_t>(std::ceil(static_cast<double>(time.count()) / 1e6))) + " ms";
}

std::string screen::toned(std::string_view text, tone how) const {
  if (!coloured_ || how == tone::plain) return std::string(text);
  // bold, faint, green, red, yellow, cyan; each bold where it has to stand out
  constexpr std::string_view codes[] = {"", "1", "2", "1;32", "1;31", "33", "36"};
  return "\x1b[" + std::string(codes[static_cast<std::size_t>(how)]) + "m" + std::string(text) + "\x1b[0m";
}

void screen::title(std::string_view text) {
  out_ << '\n' << toned(std::string(margin, ' ') + std::string(text), tone::strong) << '\n' << std::flush;
}

void screen::chapter(std::string_view text) {
  std::string rule;
  for (std::size_t i = width_of(text) + margin + 1; i < columns; ++i) rule += "─";
  out_ << "\n\n"
       << std::string(margin, ' ') << toned(text, tone::strong) << ' ' << toned(rule, tone::faint) << "\n\n"
       << std::flush;
}

void screen::paragraph(std::string_view text) {
  out_ << wrap(text, columns, margin) << std::flush;
}

void screen::line(std::string_view text, tone how) {
  out_ << std::string(margin, ' ') << toned(text, how) << '\n' << std::flush;
}

void screen::blank() {
  out_ << '\n' << std::flush;
}

void screen::statement(std::string_view sql) {
  out_ << std::string(margin, ' ') << toned(prompt, tone::faint) << toned(sql, tone::strong) << '\n'
       << std::flush;
}

void screen::message(const server_message& said, std::string_view sql) {
  const bool is_error = said.severity != "NOTICE" && said.severity != "WARNING" && said.severity != "INFO";
  const auto part = [&](std::string_view label, std::string_view text, tone how) {
    if (text.empty()) return;
    std::string lines = wrap(std::string(label) + ":  " + std::string(text), columns, margin);
    lines.replace(margin, label.size() + 1, toned(std::string(label) + ":", how));
    out_ << lines;
  };
  part(said.severity, said.message, is_error ? tone::bad : tone::note);
  if (said.position > 0) {
    constexpr std::string_view where = "LINE 1: ";
    out_ << std::string(margin, ' ') << where << sql << '\n'
         << std::string(margin + where.size() + said.position - 1, ' ') << toned("^", tone::bad) << '\n';
  }
  part("DETAIL", said.detail, tone::name);
  part("HINT", said.hint, tone::name);
  out_ << std::flush;
}

void screen::command_tag(std::string_view tag) {
  line(tag);
}

void screen::bar(std::string_view label, double share, std::string_view text, tone how) {
  constexpr std::string_view eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto parts = static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * bar_room * 8));
  std::string filled;
  for (std::size_t i = 0; i < parts / 8; ++i) filled += "█";
  filled += eighths[parts % 8];
  out_ << std::string(margin, ' ') << padded(label, label_room) << toned(filled, how)
       << std::string(bar_room + 2 - std::min(bar_room, width_of(filled)), ' ') << text << '\n'
       << std::flush;
}

}  // namespace tidegate::cli
