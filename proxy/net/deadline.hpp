#pragma once
// The time by which a dialogue of several reads and writes must be over (a login, a cancel, a connect). One
// deadline is passed to each step; when it passes, the step that waits ends with asio::error::timed_out and
// so does each one after it. Used by one coroutine, on the thread of its executor.

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

namespace tidegate::net {

class deadline {
 public:
  deadline(boost::asio::any_io_executor executor, std::chrono::steady_clock::duration from_now);
  ~deadline();
  deadline(const deadline&) = delete;
  deadline& operator=(const deadline&) = delete;

  bool expired() const;
  // 0 when it has passed.
  std::chrono::steady_clock::duration remaining() const;
  // As if the time had passed now: a gateway that drains cuts logins by it, a test needs no clock.
  void expire();

  // While it lives, `cancel` is called when the time passes. The step that waits makes one; there is one at a
  // time.
  class interruption {
   public:
    interruption(deadline& of, std::function<void()> cancel);
    ~interruption();
    interruption(const interruption&) = delete;
    interruption& operator=(const interruption&) = delete;

   private:
    deadline& of_;
  };

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace tidegate::net
