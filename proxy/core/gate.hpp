#pragma once
// The gate: while a guarded DDL takes its lock, new statements on its relations wait here, at the gateway,
// instead of queueing behind the DDL inside the server. Shared by all workers; the data path asks closed()
// only, one relaxed load.
//
// Bounded whatever happens: each closure carries its own deadline, and must_hold() looks at it; nobody has to
// send a message for the gate to open. Sessions inside a transaction always pass, since the DDL may be
// waiting for them (transitions.md §12).

#include "policies/sql/prefilter.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::core {

class gate {
 public:
  using clock = std::chrono::steady_clock;

  // Closed as long as this lives, at most until its deadline.
  class closure {
   public:
    closure() = default;
    closure(closure&& other) noexcept;
    closure& operator=(closure&& other) noexcept;
    ~closure() { open(); }
    void open();
    explicit operator bool() const { return of_ != nullptr; }

   private:
    friend class gate;
    closure(gate& of, std::uint64_t id) : of_(&of), id_(id) {}
    gate* of_ = nullptr;
    std::uint64_t id_ = 0;
  };

  // `names`: bare relation names as PostgreSQL folds them, dependents (views, partitions, parents) included.
  closure close(std::string database, std::vector<std::string> names, clock::time_point until);

  // Closed for every new statement of a database (empty: of all), until the closure goes.
  closure close_database(std::string database);

  bool closed() const { return closures_.load(std::memory_order_relaxed) != 0; }
  // Until when a new statement in this database has to wait; none: it may go on; `max()`: until
  // close_database() is taken back. `text` none: what the client wants can't be told, so it waits for every
  // closure of its database.
  std::optional<clock::time_point> must_hold(std::string_view database, std::optional<std::string_view> text,
                                             const sql::lexical_settings& lexical,
                                             clock::time_point now) const;

  // Called, on the thread that opened it, whenever a closure has gone.
  void on_open(std::function<void()> callback) { opened_ = std::move(callback); }

 private:
  struct entry {
    std::uint64_t id;
    bool whole;  // every statement; an empty database means all of them
    std::string database;
    std::vector<std::string> names;
    std::vector<std::string_view> views;  // of names, for mentions_any
    clock::time_point until;
  };

  std::atomic<unsigned> closures_{0};
  mutable std::mutex mutex_;  // never taken while the gate is open
  std::list<entry> entries_;
  std::uint64_t next_id_ = 1;
  std::function<void()> opened_;
};

}  // namespace tidegate::core
