#include "config/settings.hpp"

namespace tidegate::config {

const database_settings* find_database(const settings& all, std::string_view name) {
  const database_settings* any = nullptr;
  for (const database_settings& database : all.databases) {
    if (database.name == name) return &database;
    if (database.name == "*") any = &database;
  }
  return any;
}

}  // namespace tidegate::config
