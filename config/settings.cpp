#include "config/settings.hpp"

#include <algorithm>

namespace tidegate::config {

const database_settings* find_database(const settings& all, std::string_view name) {
  const database_settings* any = nullptr;
  for (const database_settings& database : all.databases) {
    if (database.name == name) return &database;
    if (database.name == "*") any = &database;
  }
  return any;
}

bool is_console(const settings& all, std::string_view name) {
  return name == console_database || std::ranges::find(all.admin.aliases, name) != all.admin.aliases.end();
}

}  // namespace tidegate::config
