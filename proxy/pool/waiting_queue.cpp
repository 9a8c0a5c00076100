#include "proxy/pool/waiting_queue.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::pool {
void waiting_queue::set_limit(unsigned most) {
  if (limit_.exchange(most) == most) return;
  // Who was passed over under the old limit is judged by the new one.
  const std::lock_guard lock(guard_);
  for (const auto& [name, weak] : shares_) {
    const application_share_ptr share = weak.lock();
    while (share && !share->passed_over_.empty()) call_back(*share, share->passed_over_.begin());
  }
}

application_share_ptr waiting_queue::share_of(std::string_view application) {
  const std::lock_guard lock(guard_);
  if (const auto found = shares_.find(application); found != shares_.end()) {
    if (auto known = found->second.lock()) return known;
  }
  auto made = std::make_shared<application_share>();
  shares_.insert_or_assign(std::string(application), made);
  if (shares_.size() >= sweep_at_) {
    std::erase_if(shares_, [](const auto& each) { return each.second.expired(); });
    sweep_at_ = std::max<std::size_t>(64, shares_.size() * 2);
  }
  return made;
}

bool waiting_queue::enter(application_share& share) {
  const unsigned most = limit_.load();
  unsigned held = share.held_.load();
  while (most == 0 || held < most) {
    if (share.held_.compare_exchange_weak(held, held + 1)) return true;
  }
  return false;
}

void waiting_queue::leave(application_share& share) {
  share.held_.fetch_sub(1);
  if (share.passed_over_count_.load() == 0) return;
  const std::lock_guard lock(guard_);
  call_next(share);
}

// While a share has room, one of those it has passed over is in the queue: called whenever one of them
// leaves.
void waiting_queue::call_next(application_share& share) {
  const unsigned most = limit_.load();
  if (!share.passed_over_.empty() && (most == 0 || share.held_.load() < most))
    call_back(share, share.passed_over_.begin());
}

bool waiting_queue::wait(waiter_ptr one) {
  const std::lock_guard lock(guard_);
  one->turn = ++last_turn_;
  application_share& share = *one->share;
  const auto at = queue_.emplace(one->turn, std::move(one)).first;
  waiting_.fetch_add(1);
  if (limit() == 0 || share.held() < limit()) return true;
  waiting_.fetch_sub(1);
  return !pass_over(share, queue_.extract(at));
}

// Puts one aside. False: a server of the share was given back meanwhile, and it is in the queue again. A
// count of one side is written before that of the other is read, there (leave) as here: one of the two sees
// it.
bool waiting_queue::pass_over(application_share& share, waiters::node_type one) {
  const auto at = share.passed_over_.insert(std::move(one)).position;
  share.passed_over_count_.fetch_add(1);
  passed_over_.fetch_add(1);
  if (share.held_.load() >= limit_.load()) return true;
  call_back(share, at);
  return false;
}

void waiting_queue::call_back(application_share& share, waiters::iterator one) {
  queue_.insert(share.passed_over_.extract(one));
  share.passed_over_count_.fetch_sub(1);
  passed_over_.fetch_sub(1);
  waiting_.fetch_add(1);
}

waiter_ptr waiting_queue::next() {
  const std::lock_guard lock(guard_);
  while (!queue_.empty()) {
    auto first = queue_.extract(queue_.begin());
    waiting_.fetch_sub(1);
    waiter& one = *first.mapped();
    const bool is_gone = one.taker.expired();
    one.counted = !is_gone && limit() != 0;
    if (one.counted && !enter(*one.share)) {
      pass_over(*one.share, std::move(first));
      continue;
    }
    call_next(*one.share);
    if (!is_gone) return std::move(first.mapped());
  }
  return nullptr;
}

bool waiting_queue::forget(const waiter_ptr& one) {
  const std::lock_guard lock(guard_);
  if (queue_.erase(one->turn) != 0) {
    waiting_.fetch_sub(1);
    call_next(*one->share);
    return true;
  }
  if (one->share->passed_over_.erase(one->turn) == 0) return false;
  one->share->passed_over_count_.fetch_sub(1);
  passed_over_.fetch_sub(1);
  return true;
}

std::vector<waiter_ptr> waiting_queue::take_all() {
  const std::lock_guard lock(guard_);
  for (const auto& [name, weak] : shares_) {
    const application_share_ptr share = weak.lock();
    while (share && !share->passed_over_.empty()) call_back(*share, share->passed_over_.begin());
  }
  std::vector<waiter_ptr> all;
  all.reserve(queue_.size());
  for (auto& [turn, one] : queue_) all.push_back(std::move(one));
  queue_.clear();
  waiting_.store(0);
  return all;
}

std::optional<std::chrono::steady_clock::time_point> waiting_queue::oldest() const {
  const std::lock_guard lock(guard_);
  if (queue_.empty()) return std::nullopt;
  return queue_.begin()->second->since;
}

}  // namespace tidegate::pool
