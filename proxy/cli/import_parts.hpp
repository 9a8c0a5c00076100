#pragma once
// The parts of `tidegate import`, one per section of the result. Pure but for the file source.

#include "proxy/cli/import.hpp"
#include "proxy/cli/yaml_text.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli {

struct import_state {
  const import_options& options;
  const std::string& folder;
  const file_source& source;
  pgbouncer_ini ini;
  std::map<std::string, std::string> users;  // of auth_file
  bool asks_for_certificates = false;        // a listener has a ca
  yaml_text out;
  std::vector<std::string> remarks;
  std::set<std::string> read;  // keys of [pgbouncer] that were looked at

  // The value of a key of [pgbouncer], which is known from now on.
  std::optional<std::string> setting(std::string_view key);
  std::string setting(std::string_view key, std::string_view otherwise);
  void remark(const std::string& place, const std::string& what) { remarks.push_back(place + ": " + what); }
  // About a key of [pgbouncer].
  void remark_key(std::string_view key, const std::string& what);
  std::string absolute(const std::string& file) const;
};

void import_listeners(import_state& state);
void import_auth(import_state& state);
void import_databases(import_state& state);
void import_limits(import_state& state);
void import_rest(import_state& state);

// The pool of an entry. This is the one place that knows which modes the loader takes.
struct imported_pool {
  std::string mode;
  bool keeps_size = true;  // the size means the same in that mode
  std::string remark;      // empty: the same mode
};
imported_pool import_pool_mode(std::string_view mode);

std::vector<std::string> comma_list(std::string_view text);
// "1.5" seconds -> "1500ms"; none: not a number.
std::optional<std::string> duration_of_seconds(std::string_view text);
// A whole number without a sign.
bool is_count(std::string_view text);

}  // namespace tidegate::cli
