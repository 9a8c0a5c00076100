#include "proxy/session/ddl_trail.hpp"

#include <utility>

namespace tidegate::session {

bool ddl_trail::is_marked(std::string_view marks, std::uint64_t number) {
  return (" " + std::string(marks) + " ").find(" " + std::to_string(number) + " ") != std::string::npos;
}

std::string ddl_trail::mark(std::uint64_t number) {
  marked_ = true;
  return "SELECT pg_catalog.set_config('tidegate.ledger', "
         "pg_catalog.concat(pg_catalog.current_setting('tidegate.ledger', true), ' " +
         std::to_string(number) + "'), false)";
}

std::string_view ddl_trail::read_marks() {
  return "SELECT pg_catalog.current_setting('tidegate.ledger', true)";
}

std::string_view ddl_trail::clear_marks() {
  return "SELECT pg_catalog.set_config('tidegate.ledger', '', false)";
}

bool ddl_trail::keep(control::ddl_entry entry, witness by, std::uint64_t number, std::uint64_t errors) {
  const std::size_t bytes = control::memory_of(entry);
  if (kept_.size() >= most || kept_bytes_ + bytes > most_bytes) return false;
  kept_bytes_ += bytes;
  kept_.push_back({std::move(entry), by, number, errors});
  return true;
}

void ddl_trail::prepared() {
  for (change& each : kept_) each.entry.outcome = control::ddl_outcome::prepared;
}

std::vector<control::ddl_entry> ddl_trail::settle(const std::optional<std::string>& marks,
                                                  std::uint64_t errors) {
  marked_ = false;
  kept_bytes_ = 0;
  std::vector<control::ddl_entry> standing;
  for (change& each : std::exchange(kept_, {})) {
    const bool told = each.by == witness::no_errors || (each.by == witness::setting && marks);
    if (!told) {
      each.entry.outcome = control::ddl_outcome::unknown;
      each.entry.undo.sql.clear();
      each.entry.undo.lost.clear();
      each.entry.undo.why_not = "whether it was committed is not known";
    } else if (each.by == witness::setting ? !is_marked(*marks, each.number) : errors != each.errors) {
      continue;
    }
    standing.push_back(std::move(each.entry));
  }
  return standing;
}

std::vector<control::ddl_entry> ddl_trail::abandon() {
  for (change& each : kept_) each.by = witness::none;
  return settle(std::nullopt, 0);
}

}  // namespace tidegate::session
