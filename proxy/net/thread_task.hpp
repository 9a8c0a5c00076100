#pragma once
// How a thread that runs an io_context waits: in its poller, which watches Asio's descriptor beside its own.
//
// A scheduler of Asio's alternates between the handlers that are ready and one task that waits for more: its
// reactor. Here the poller takes that place and calls the reactor when it has something. So a relayed message
// costs one wait in one place, as in a program that has nothing but its own loop, while posts (also of other
// threads), timers and sockets of Asio's end the wait as always (docs/adr/0009).

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/scheduler.hpp>
#include <boost/asio/detail/scheduler_task.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace tidegate::net {

// What waits.
class waiting_place {
 public:
  // Waits for events, at most so long (0: not at all; below 0: until there is one), and handles those of its
  // own. True: Asio's descriptor has events.
  virtual bool wait(long microseconds) = 0;
  // The thread turns to Asio's handlers: what the events of before have led to is done now.
  virtual void leave() = 0;

 protected:
  ~waiting_place() = default;
};

// Puts `place` into the io_context for as long as it lives. To be made and destroyed while nobody runs the
// context. Keeps the context busy: run() does not return for want of work.
class thread_task final : private boost::asio::detail::scheduler_task {
 public:
  thread_task(boost::asio::io_context& context, waiting_place& place);
  ~thread_task();
  thread_task(const thread_task&) = delete;
  thread_task& operator=(const thread_task&) = delete;

  // Readable (for epoll and poll) when Asio has something to do.
  int asio_descriptor() const;

 private:
  void run(long microseconds,
           boost::asio::detail::op_queue<boost::asio::detail::scheduler_operation>& ready) override;
  void interrupt() override;

  boost::asio::detail::scheduler& scheduler_;
  boost::asio::detail::epoll_reactor& reactor_;
  waiting_place& place_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
};

}  // namespace tidegate::net
