#pragma once
// Who waits for a server of one pool: first come, first served over all workers, but for clients of an
// application that has as many servers as it may have (pool.max_per_application). Those are passed over until
// one of their servers is given back, and keep their turn. Any thread.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::pool {

class server_taker;
class worker_pools;
class application_share;
using application_share_ptr = std::shared_ptr<application_share>;

struct waiter {
  worker_pools* home = nullptr;
  std::weak_ptr<server_taker> taker;
  application_share_ptr share;
  std::chrono::steady_clock::time_point since;
  // The queue's:
  std::uint64_t turn = 0;
  bool counted = false;  // the server it gets, in its share
};
using waiter_ptr = std::shared_ptr<waiter>;

// The servers that the clients of one application have of the pool. Counted while there is a limit.
class application_share {
 public:
  unsigned held() const { return held_.load(); }

 private:
  friend class waiting_queue;
  using waiters = std::map<std::uint64_t, waiter_ptr>;  // by turn

  std::atomic<unsigned> held_{0};
  std::atomic<std::size_t> passed_over_count_{0};
  waiters passed_over_;
};

class waiting_queue {
 public:
  // Of one application; 0: no limit.
  void set_limit(unsigned most);
  unsigned limit() const { return limit_.load(std::memory_order_relaxed); }
  // The share of clients that call themselves so.
  application_share_ptr share_of(std::string_view application);

  // Takes one more server for the share; false: it has as many as it may.
  bool enter(application_share& share);
  // Gives it back.
  void leave(application_share& share);

  // False: whatever becomes free is not for this one now.
  bool wait(waiter_ptr one);
  // The next to be served, out of the queue; while there is a limit its server is counted. Null: nobody can
  // be served.
  waiter_ptr next();
  // Takes one out; false: it was served already. Its turn may be another's now, who can be served.
  bool forget(const waiter_ptr& one);
  // All, out of the queue.
  std::vector<waiter_ptr> take_all();

  // Those who can be served, as far as is known, and those who are passed over.
  unsigned waiting() const { return waiting_.load(); }
  unsigned passed_over() const { return passed_over_.load(); }
  // Since when the oldest waits that can be served.
  std::optional<std::chrono::steady_clock::time_point> oldest() const;

 private:
  using waiters = application_share::waiters;

  bool pass_over(application_share& share, waiters::node_type one);
  void call_next(application_share& share);
  void call_back(application_share& share, waiters::iterator one);

  mutable std::mutex guard_;
  waiters queue_;
  std::uint64_t last_turn_ = 0;
  std::map<std::string, std::weak_ptr<application_share>, std::less<>> shares_;
  std::size_t sweep_at_ = 64;  // names nobody has any more are taken out when the map grows to this
  std::atomic<unsigned> limit_{0};
  std::atomic<unsigned> waiting_{0}, passed_over_{0};
};

}  // namespace tidegate::pool
