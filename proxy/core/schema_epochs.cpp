#include "proxy/core/schema_epochs.hpp"

#include <algorithm>

namespace tidegate::core {
namespace {

constexpr auto told_once_in = std::chrono::seconds(1);

}  // namespace

void schema_epoch::noticed(std::chrono::steady_clock::time_point when) {
  using clock = std::chrono::steady_clock;
  auto last = noticed_.load(std::memory_order_relaxed);
  if (last != 0 && when - clock::time_point(clock::duration(last)) < told_once_in) return;
  if (noticed_.compare_exchange_strong(last, when.time_since_epoch().count())) changed();
}

schema_epoch_ptr schema_epochs::of(const std::string& database) {
  const std::lock_guard lock(guard_);
  std::weak_ptr<schema_epoch>& slot = by_database_[database];
  if (auto known = slot.lock()) return known;
  auto made = std::make_shared<schema_epoch>();
  slot = made;
  if (by_database_.size() >= sweep_at_) {
    std::erase_if(by_database_, [](const auto& each) { return each.second.expired(); });
    sweep_at_ = std::max<std::size_t>(64, by_database_.size() * 2);
  }
  return made;
}

}  // namespace tidegate::core
