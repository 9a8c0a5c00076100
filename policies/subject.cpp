#include "policies/subject.hpp"

#include "policies/sql/quote.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace tidegate::policies {
namespace {

// Nothing but blanks, semicolons and comments.
bool says_nothing(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto two = text.substr(i, 2);
    if (two == "/*") {
      ++depth, ++i;
    } else if (depth > 0) {
      if (two == "*/") --depth, ++i;
    } else if (two == "--") {
      i = text.find('\n', i);
      if (i == std::string_view::npos) return true;
    } else if (std::string_view(" \t\r\n\f\v;").find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

// Facts are read before the first statement of a text runs. Where the statement stands alone, what was not
// found is not there; behind other statements it may be their work (RENAME, CREATE).
bool stands_alone(const rule_input& input) {
  const auto size = static_cast<sql::position>(input.text.size());
  const auto range = input.statement.range;
  if (range.begin < 0 || range.end < range.begin || range.end > size) return false;
  return says_nothing(input.text.substr(0, static_cast<std::size_t>(range.begin))) &&
         says_nothing(input.text.substr(static_cast<std::size_t>(range.end)));
}

std::string with_thousands(double value) {
  std::string digits = std::to_string(static_cast<long long>(std::llround(value)));
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

std::string bytes_in_words(std::int64_t bytes) {
  constexpr std::array<const char*, 5> units{"bytes", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) value /= 1024, ++unit;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 || value >= 10 ? "%.0f %s" : "%.1f %s", value,
                units[unit]);
  return text.data();
}

}  // namespace

subject subject_of(const rule_input& input, const sql::qualified_name& written) {
  subject s;
  s.written = &written;
  if (written.schema.empty() && input.history.created_temporary(written)) {
    // the catalog knows another one, which it hides
    s.sql = sql::quote_name(written);
    s.full_name = sql::quote_name({.database = {}, .schema = "pg_temp", .name = written.name});
    return s;
  }
  const auto found = input.catalog.relation(written);
  s.facts = found.facts;
  s.alone = stands_alone(input);
  s.certainly_missing = found.state == presence::missing && s.alone;
  s.sql = sql::quote_name(written);
  s.full_name = s.facts ? s.facts->full_name() : s.sql;
  return s;
}

bool is_its_own(const rule_input& input, const subject& subject) {
  if (input.history.created(*subject.written)) return true;
  const auto* facts = subject.facts;
  return facts && (facts->new_in_transaction || facts->fresh || facts->persistence == 't');
}

std::string altered::column_sql() const {
  return sql::quote_identifier(command->column && !command->column->name.empty() ? command->column->name
                                                                                 : command->name);
}

std::vector<altered> added_columns(const rule_input& input) {
  std::vector<altered> out;
  const auto* alter = input.statement.as<sql::alter_table>();
  if (!alter || alter->kind == sql::object_kind::foreign_table ||
      alter->kind == sql::object_kind::composite_type)
    return out;
  const subject table = subject_of(input, alter->relation);
  if (table.certainly_missing || table.is('f')) return out;
  for (const auto& command : alter->commands) {
    if (command.action != sql::alter_action::add_column || !command.column) continue;
    const bool exists = table.facts && table.facts->column(command.column->name);
    if (!exists || !(command.if_not_exists || table.alone)) out.push_back({table, alter, &command, nullptr});
  }
  return out;
}

std::vector<altered> altered_columns(const rule_input& input, sql::alter_action action) {
  std::vector<altered> out;
  const auto* alter = input.statement.as<sql::alter_table>();
  if (!alter || alter->kind == sql::object_kind::composite_type) return out;
  const subject table = subject_of(input, alter->relation);
  if (table.certainly_missing) return out;
  for (const auto& command : alter->commands) {
    if (command.action != action) continue;
    const auto* column = table.facts ? table.facts->column(command.name) : nullptr;
    bool added_here = false;
    for (const auto& other : alter->commands)
      added_here |=
          other.action == sql::alter_action::add_column && other.column && other.column->name == command.name;
    if (table.facts && !column && table.alone && !added_here) continue;
    out.push_back({table, alter, &command, column});
  }
  return out;
}

finding finding_on(const rule& rule, const subject& subject) {
  finding f;
  f.rule = rule.id;
  f.action = rule.default_action;
  f.lock = lock_level::access_exclusive;
  f.relations = {subject.full_name};
  f.at = subject.written->at;
  f.schema = subject.facts ? subject.facts->schema : subject.written->schema;
  f.table = subject.facts ? subject.facts->name : subject.written->name;
  return f;
}

finding finding_on(const rule& rule, const subject& subject, const sql::alter_command& command) {
  finding f = finding_on(rule, subject);
  if (command.range.end > command.range.begin) f.at = command.range.begin;
  return f;
}

finding finding_on(const rule& rule, const altered& command) {
  finding f = finding_on(rule, command.table, *command.command);
  f.column = command.command->column && !command.command->column->name.empty() ? command.command->column->name
                                                                               : command.command->name;
  return f;
}

std::string lock_in_words(lock_level lock, const subject& subject) {
  return std::string(name(lock)) + " on " + subject.sql + " blocks " + std::string(what_it_blocks(lock));
}

std::string size_in_words(const subject& subject) {
  const auto* facts = subject.facts;
  if (!facts || (!facts->rows && !facts->bytes)) return "the size of " + subject.sql + " is not known";
  if (!facts->rows || *facts->rows < 0)
    return subject.sql + (facts->bytes ? " has " + bytes_in_words(*facts->bytes) : " was never analysed");
  std::string text = subject.sql + " has about " + with_thousands(*facts->rows) + " rows";
  if (facts->bytes) text += " (" + bytes_in_words(*facts->bytes) + ")";
  return text;
}

std::string detail_of(lock_level lock, const subject& subject, std::string_view while_what) {
  return lock_in_words(lock, subject) + " while " + std::string(while_what) + "; " + size_in_words(subject) +
         ".";
}

void advise(finding& finding, std::vector<std::string> steps) {
  finding.hint = steps.size() == 1 ? "Instead: " : "Instead: each of these in its own transaction:";
  for (const auto& step : steps) finding.hint += steps.size() == 1 ? step : "\n" + step;
  finding.steps = std::move(steps);
}

}  // namespace tidegate::policies
