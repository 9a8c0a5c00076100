#pragma once
// Relations that were made through this gateway a short while ago, and by whom: as long as nobody else has
// named them, building indexes and constraints on them disturbs nobody. So a dump restores through an
// enforcing gateway, by several connections too.
//
// "Somebody else" is another user or another application_name: the connections of one pg_restore count as
// one. Shared by all workers; the data path asks any() only, one relaxed load, and looks at a statement's
// words only while that is true.

#include "policies/sql/prefilter.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tidegate::core {

struct relation_maker {
  std::string user;
  std::string application;

  friend bool operator==(const relation_maker&, const relation_maker&) = default;
};

class new_relations {
 public:
  using clock = std::chrono::steady_clock;

  bool any() const { return count_.load(std::memory_order_relaxed) != 0; }

  // Names are spelled as the catalog spells them, without quotes.
  void made(std::string_view database, std::string_view schema, std::string_view name,
            const relation_maker& by, clock::time_point until);
  // A statement of this client was sent; each new relation that it names and that is somebody else's is new
  // no more.
  void seen(std::string_view database, std::string_view text, const sql::lexical_settings& lexical,
            const relation_maker& by);
  // `full_name` is schema.name as SQL writes it: each part quoted where it needs to be
  // (policies::relation_facts::full_name).
  bool is_new(std::string_view database, std::string_view full_name, const relation_maker& by,
              clock::time_point now) const;
  // Drops what is too old; called now and then.
  void expire(clock::time_point now);

 private:
  struct entry {
    std::string name;
    relation_maker by;
    clock::time_point until;
  };
  // Beyond so many in one database, further relations count as any other.
  static constexpr std::size_t most = 10'000;

  void recount();

  std::atomic<std::size_t> count_{0};
  mutable std::mutex mutex_;
  std::map<std::string, std::unordered_map<std::string, entry>, std::less<>> databases_;
};

}  // namespace tidegate::core
