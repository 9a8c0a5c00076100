#include "proxy/cli/migrations/file_names.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <utility>

namespace tidegate::cli::migrations {

namespace {

constexpr auto npos = std::string_view::npos;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

bool is_upper(char c) {
  return std::isupper(static_cast<unsigned char>(c)) != 0;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::string_view leading_digits(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
}

std::string_view without_zeros(std::string_view digits) {
  return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

// -1, 0, 1 as numbers of any length.
int compare_numbers(std::string_view a, std::string_view b) {
  a = without_zeros(a);
  b = without_zeros(b);
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  const int order = a.compare(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

// V1.2__name.sql, R__name.sql, U1.2__name.sql, beforeMigrate__name.sql
struct flyway_name {
  enum class kind { callback_before, versioned, repeatable, callback_after } what = kind::versioned;
  bool undoes = false;
  std::string_view version, description;
};

bool is_version(std::string_view text) {
  return !text.empty() && is_digit(text.front()) && is_digit(text.back()) &&
         text.find_first_not_of("0123456789._") == npos;
}

std::optional<flyway_name> read_flyway_name(std::string_view path) {
  auto rest = base_name(path);
  if (!rest.ends_with(".sql")) return std::nullopt;
  rest.remove_suffix(4);
  const auto separator = rest.find("__");
  flyway_name made;
  made.description = separator == npos ? std::string_view() : rest.substr(separator + 2);
  const auto front = rest.substr(0, separator);
  using enum flyway_name::kind;
  using callback = std::pair<std::string_view, flyway_name::kind>;
  for (const auto& [word, what] : {callback{"before", callback_before}, callback{"after", callback_after}})
    if (front.starts_with(word) && front.size() > word.size() && is_upper(front[word.size()])) {
      made.what = what;
      made.undoes = front.find("Undo") != npos;
      return made;
    }
  if (separator == npos || front.empty()) return std::nullopt;
  made.version = front.substr(1);
  made.undoes = front.front() == 'U';
  if (front == "R") {
    made.what = repeatable;
    return made;
  }
  const bool has_version = front.front() == 'V' || made.undoes;
  return has_version && is_version(made.version) ? std::optional(made) : std::nullopt;
}

// 1.2 is 1_2 and 1.2.0.
int compare_versions(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const auto part_a = leading_digits(a);
    const auto part_b = leading_digits(b);
    if (const int order = compare_numbers(part_a, part_b)) return order;
    a.remove_prefix(std::min(part_a.size() + 1, a.size()));
    b.remove_prefix(std::min(part_b.size() + 1, b.size()));
  }
  return 0;
}

bool is_before_in_flyway(const std::string& a, const std::string& b) {
  const auto name_a = read_flyway_name(a).value_or(flyway_name{});
  const auto name_b = read_flyway_name(b).value_or(flyway_name{});
  if (name_a.what != name_b.what) return name_a.what < name_b.what;
  if (const int order = compare_versions(name_a.version, name_b.version)) return order < 0;
  return name_a.description != name_b.description ? name_a.description < name_b.description : a < b;
}

bool is_before(layout tool, const std::string& a, const std::string& b) {
  switch (tool) {
    case layout::flyway:
      return is_before_in_flyway(a, b);
    case layout::dbmate:
    case layout::prisma:
      return a < b;
    default:
      return is_naturally_before(a, b);
  }
}

// The tags of the entries, in their order.
std::vector<std::string> read_journal(std::string_view json) {
  std::vector<std::string> tags;
  static constexpr std::string_view key = "\"tag\"";
  for (auto at = json.find(key); at != npos; at = json.find(key, at)) {
    at = json.find_first_not_of(" \t\r\n:", at + key.size());
    if (at == npos || json[at] != '"') continue;
    const auto end = json.find('"', at + 1);
    if (end == npos) break;
    tags.emplace_back(json.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return tags;
}

struct planned_change {
  std::string name;
  std::vector<std::string> rework_tags;  // between it and the line that reworks it; none does: empty
};

std::vector<planned_change> read_plan(std::string_view plan) {
  std::vector<planned_change> changes;
  struct position {
    std::size_t change = 0, tag = 0;
  };
  std::map<std::string, position> last;  // by name
  std::vector<std::string> tags;
  for (std::size_t begin = 0; begin < plan.size();) {
    const auto newline = std::min(plan.find('\n', begin), plan.size());
    auto line = plan.substr(begin, newline - begin);
    begin = newline + 1;
    line = line.substr(0, line.find('#'));
    line = line.substr(std::min(line.find_first_not_of(" \t\r+-"), line.size()));
    const std::string word(line.substr(0, line.find_first_of(" \t\r")));
    if (word.empty() || word.front() == '%') continue;
    if (word.front() == '@') {
      tags.push_back(word);
      continue;
    }
    if (const auto older = last.find(word); older != last.end())
      changes[older->second.change].rework_tags.assign(
          tags.begin() + static_cast<std::ptrdiff_t>(older->second.tag), tags.end());
    last[word] = {changes.size(), tags.size()};
    changes.push_back({word, {}});
  }
  return changes;
}

// The older script of a reworked change carries one of the tags that were set before it was reworked.
std::string script_of(const planned_change& change, const std::string& folder,
                      const std::vector<std::string>& paths) {
  const auto file = [&](const std::string& tag) { return folder + change.name + tag + ".sql"; };
  for (const auto& tag : change.rework_tags)
    if (std::find(paths.begin(), paths.end(), file(tag)) != paths.end()) return file(tag);
  return file(change.rework_tags.empty() ? "" : change.rework_tags.back());
}

std::vector<std::string> listed(layout tool, const std::vector<std::string>& paths, direction runs,
                                std::string_view list) {
  std::vector<std::string> files;
  if (tool == layout::drizzle)
    for (const auto& tag : read_journal(list)) files.push_back(tag + ".sql");
  if (tool == layout::sqitch)
    for (const auto& change : read_plan(list))
      files.push_back(script_of(change, runs == direction::up ? "deploy/" : "revert/", paths));
  return files;
}

}  // namespace

std::optional<file_role> role_of(layout tool, std::string_view path) {
  if (!path.ends_with(".sql")) return std::nullopt;
  const auto base = base_name(path);
  const auto digits = leading_digits(base);
  const auto behind = base.substr(digits.size());
  const bool in_folder_itself = base.size() == path.size();
  const auto suffix_role = [&]() -> std::optional<file_role> {
    if (base.ends_with(".up.sql")) return file_role::up;
    if (base.ends_with(".down.sql")) return file_role::down;
    return std::nullopt;
  };
  switch (tool) {
    case layout::sql:
      return file_role::up;
    case layout::flyway: {
      const auto read = read_flyway_name(path);
      if (!read) return std::nullopt;
      return read->undoes ? file_role::down : file_role::up;
    }
    case layout::golang_migrate:
      if (!in_folder_itself || digits.empty() || !behind.starts_with('_')) return std::nullopt;
      return suffix_role();
    case layout::dbmate:
      return in_folder_itself && !digits.empty() ? std::optional(file_role::by_sections) : std::nullopt;
    case layout::goose:
      return in_folder_itself && !without_zeros(digits).empty() && behind.starts_with('_')
                 ? std::optional(file_role::by_sections)
                 : std::nullopt;
    case layout::node_pg_migrate:
      if (!in_folder_itself || digits.empty()) return std::nullopt;
      return suffix_role().value_or(file_role::by_sections);
    case layout::prisma:
      return base == "migration.sql" && !in_folder_itself ? std::optional(file_role::up) : std::nullopt;
    case layout::drizzle:
      return in_folder_itself || base == "migration.sql" ? std::optional(file_role::up) : std::nullopt;
    case layout::sqitch:
      if (path.starts_with("revert/")) return file_role::down;
      return path.starts_with("deploy/") ? std::optional(file_role::up) : std::nullopt;
  }
  return std::nullopt;
}

choice choose(layout tool, std::vector<std::string> paths, direction runs, std::string_view list) {
  const auto unwanted = runs == direction::up ? file_role::down : file_role::up;
  choice made;
  std::sort(paths.begin(), paths.end(),
            [&](const std::string& a, const std::string& b) { return is_before(tool, a, b); });
  const auto in_order = listed(tool, paths, runs, list);
  const bool is_listed = !list.empty();
  for (const auto& path : paths) {
    const auto role = role_of(tool, path);
    const bool named = std::find(in_order.begin(), in_order.end(), path) != in_order.end();
    if (!role || (is_listed && *role != unwanted && !named)) {
      // sqitch's verify/ is its own, and harmless
      if (path.ends_with(".sql") && !(tool == layout::sqitch && path.starts_with("verify/")))
        made.strays.push_back(path);
    } else if (!is_listed && *role != unwanted) {
      made.files.push_back({path, *role});
    }
  }
  for (const auto& path : in_order) {
    const auto role = role_of(tool, path).value_or(file_role::up);
    if (role != unwanted) made.files.push_back({path, role});
  }
  if (runs == direction::down) std::reverse(made.files.begin(), made.files.end());
  return made;
}

bool is_naturally_before(std::string_view a, std::string_view b) {
  const auto whole_a = a;
  const auto whole_b = b;
  while (!a.empty() && !b.empty()) {
    const auto digits_a = leading_digits(a);
    const auto digits_b = leading_digits(b);
    if (digits_a.empty() || digits_b.empty()) {
      if (a.front() != b.front()) return a.front() < b.front();
      a.remove_prefix(1);
      b.remove_prefix(1);
      continue;
    }
    if (const int order = compare_numbers(digits_a, digits_b)) return order < 0;
    a.remove_prefix(digits_a.size());
    b.remove_prefix(digits_b.size());
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;
}

}  // namespace tidegate::cli::migrations
