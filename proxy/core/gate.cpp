#include "proxy/core/gate.hpp"

#include <utility>

namespace tidegate::core {

gate::closure::closure(closure&& other) noexcept : of_(std::exchange(other.of_, nullptr)), id_(other.id_) {}

gate::closure& gate::closure::operator=(closure&& other) noexcept {
  if (this != &other) {
    open();
    of_ = std::exchange(other.of_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void gate::closure::open() {
  gate* of = std::exchange(of_, nullptr);
  if (of == nullptr) return;
  {
    const std::lock_guard lock(of->mutex_);
    std::erase_if(of->entries_, [this](const entry& e) { return e.id == id_; });
    of->closures_.store(static_cast<unsigned>(of->entries_.size()), std::memory_order_relaxed);
  }
  if (of->opened_) of->opened_();
}

gate::closure gate::close(std::string database, std::vector<std::string> names, clock::time_point until) {
  const std::lock_guard lock(mutex_);
  entry& e =
      entries_.emplace_back(entry{next_id_++, false, std::move(database), std::move(names), {}, until});
  e.views.assign(e.names.begin(), e.names.end());
  closures_.store(static_cast<unsigned>(entries_.size()), std::memory_order_relaxed);
  return {*this, e.id};
}

gate::closure gate::close_database(std::string database) {
  const std::lock_guard lock(mutex_);
  const entry& e =
      entries_.emplace_back(entry{next_id_++, true, std::move(database), {}, {}, clock::time_point::max()});
  closures_.store(static_cast<unsigned>(entries_.size()), std::memory_order_relaxed);
  return {*this, e.id};
}

std::optional<gate::clock::time_point> gate::must_hold(std::string_view database,
                                                       std::optional<std::string_view> text,
                                                       const sql::lexical_settings& lexical,
                                                       clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  std::optional<clock::time_point> latest;
  for (const entry& e : entries_) {
    if (e.whole && (e.database.empty() || e.database == database)) return e.until;
    if (e.whole || e.until <= now || e.database != database) continue;
    if (text && !sql::mentions_any(*text, lexical, e.views)) continue;
    if (!latest || *latest < e.until) latest = e.until;
  }
  return latest;
}

}  // namespace tidegate::core
