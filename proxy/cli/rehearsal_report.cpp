#include "proxy/cli/rehearsal.hpp"
#include "proxy/log/json.hpp"

#include <algorithm>
#include <ostream>

namespace tidegate::cli {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t longest_line = 100;

// The beginning of a statement, on one line.
std::string shortened(const std::string& sql) {
  std::string line;
  for (const char c : sql) {
    const bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (blank && (line.empty() || line.back() == ' ')) continue;
    line += blank ? ' ' : c;
    if (line.size() > longest_line + 3) break;  // whole characters are cut off below
  }
  if (line.size() <= longest_line) return line;
  std::size_t end = longest_line;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;
  return line.substr(0, end) + "…";
}

std::string in_ms(milliseconds time) {
  return std::to_string(time.count()) + " ms";
}

std::string words(const held_lock& lock) {
  std::string text = lock.mode + " on " + lock.relation + ", held ";
  text += lock.held.count() == 0 ? "less than " + in_ms(lock_watch::period) : in_ms(lock.held);
  if (lock.waited.count() > 0) text += ", waited for " + in_ms(lock.waited);
  return text;
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += ",\"" + std::string(name) + "\":";
  log::append_json_string(out, value);
}

void append_number(std::string& out, std::string_view name, std::int64_t value) {
  out += ",\"" + std::string(name) + "\":" + std::to_string(value);
}

template <class Items, class Append>
void append_list(std::string& out, std::string_view name, const Items& items, const Append& append) {
  out += ",\"" + std::string(name) + "\":[";
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    append(items[i]);
  }
  out += ']';
}

void append_json(std::string& out, const rehearsed_message& each) {
  out += "{\"file\":";
  log::append_json_string(out, each.message.file);
  append_number(out, "line", each.message.line);
  append_member(out, "sql", each.message.sql);
  out += std::string(",\"from_tool\":") + (each.message.from_tool ? "true" : "false");
  append_number(out, "took_ms", each.took.count());
  append_number(out, "reader_stall_ms", each.reader_stall.count());
  append_number(out, "writer_stall_ms", each.writer_stall.count());
  const auto text = [&](const std::string& item) { log::append_json_string(out, item); };
  append_list(out, "locks", each.locks, [&](const held_lock& lock) {
    out += "{\"relation\":";
    log::append_json_string(out, lock.relation);
    append_member(out, "mode", lock.mode);
    append_number(out, "held_ms", lock.held.count());
    append_number(out, "waited_ms", lock.waited.count());
    out += '}';
  });
  append_list(out, "rewritten", each.rewritten, text);
  append_list(out, "scans", each.scans, [&](const table_scan& scan) {
    out += "{\"table\":";
    log::append_json_string(out, scan.table);
    append_number(out, "rows", scan.rows);
    out += '}';
  });
  append_list(out, "notices", each.notices, text);
  if (each.error) {
    out += ",\"error\":{\"sqlstate\":";
    log::append_json_string(out, each.error->sqlstate);
    append_member(out, "message", each.error->message);
    append_member(out, "detail", each.error->detail);
    append_member(out, "hint", each.error->hint);
    out += '}';
  }
  out += '}';
}

milliseconds worst_stall(const rehearsed_message& each) {
  return std::max(each.reader_stall, each.writer_stall);
}

}  // namespace

void print_rehearsal_text(std::ostream& out, const std::vector<rehearsed_message>& messages) {
  milliseconds total{0}, worst{0};
  for (const rehearsed_message& each : messages) {
    total += each.took;
    worst = std::max(worst, worst_stall(each));
    const bool says_something = each.error || !each.locks.empty() || !each.rewritten.empty() ||
                                !each.scans.empty() || !each.notices.empty();
    if (each.message.from_tool && !says_something) continue;
    out << each.message.file << ':' << each.message.line << ": " << shortened(each.message.sql) << '\n';
    out << "  took " << in_ms(each.took) << "; readers waited " << in_ms(each.reader_stall)
        << " at most, writers " << in_ms(each.writer_stall) << '\n';
    for (const held_lock& lock : each.locks) out << "  lock " << words(lock) << '\n';
    for (const std::string& what : each.rewritten) out << "  rewrote " << what << '\n';
    for (const table_scan& scan : each.scans)
      out << "  read " << scan.rows << " rows of " << scan.table << " one after the other\n";
    for (const std::string& notice : each.notices) out << "  NOTICE " << notice << '\n';
    if (each.error) {
      out << "  " << each.error->severity << ' ' << each.error->sqlstate << ": " << each.error->message
          << '\n';
      if (!each.error->detail.empty()) out << "  DETAIL " << each.error->detail << '\n';
      if (!each.error->hint.empty()) out << "  HINT " << each.error->hint << '\n';
    }
  }
  const bool failed = has_failed(messages);
  out << messages.size() << (messages.size() == 1 ? " message" : " messages") << " in " << in_ms(total)
      << ", worst stall " << in_ms(worst)
      << (failed ? "; the last one failed, and nothing behind it was run" : "") << '\n';
}

void print_rehearsal_json(std::ostream& out, const std::vector<rehearsed_message>& messages) {
  std::string text = "{\"messages\":[";
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) text += ',';
    append_json(text, messages[i]);
  }
  out << text << "]}\n";
}

}  // namespace tidegate::cli
