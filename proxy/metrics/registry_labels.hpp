#pragma once
// The registry's inside: names that became labels, and the threads' structures by name. Shared by what
// interns (registry.cpp) and what renders (render.cpp); nobody else includes it.

#include "proxy/metrics/registry.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace tidegate::metrics {

inline constexpr std::string_view other_label = "other";
inline constexpr std::size_t other_index = 0;  // of databases and of users

struct registry::labels {
  struct thread_entry {
    std::unique_ptr<thread_metrics> metrics;
    // Null where this thread has had no session of that name.
    std::vector<std::unique_ptr<database_metrics>> databases;
    std::vector<std::unique_ptr<user_metrics>> users;
  };
  using user_label = std::pair<std::string, std::string>;  // database, user
  struct ddl_key {
    std::size_t database;
    std::string rule;
    ddl_action action;
    auto operator<=>(const ddl_key&) const = default;
  };

  explicit labels(std::string version_) : version(std::move(version_)) {}

  const std::string version;
  const std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
  mutable std::mutex mutex;  // over everything below
  std::vector<thread_entry> threads;
  std::vector<std::string> databases{std::string(other_label)};
  std::map<std::string, std::size_t, std::less<>> database_indices{{databases.front(), other_index}};
  std::vector<user_label> users{{std::string(other_label), std::string(other_label)}};
  std::map<user_label, std::size_t> user_indices{{users.front(), other_index}};
  std::map<ddl_key, std::uint64_t> ddl_statements;
  std::map<metric, std::function<double()>> sources;
  std::uint64_t folded = 0;  // times that a name got no label of its own
};

}  // namespace tidegate::metrics
