#include "proxy/net/thread_task.hpp"

#include <type_traits>

#include <boost/asio/detail/reactor.hpp>

namespace tidegate::net {
namespace {

namespace detail = boost::asio::detail;

// Asio has no public way to give a scheduler another task, nor to ask for the reactor's descriptor. What is
// named in an explicit instantiation is not subject to access checks ([temp.spec.general]); whether it is
// there, and what it is, the compiler still checks.
template <typename Name, typename Name::type Member>
struct reveal {
  friend typename Name::type member(Name) { return Member; }
};
struct task_of_scheduler {
  using type = detail::scheduler_task* detail::scheduler::*;
  friend type member(task_of_scheduler);
};
struct descriptor_of_reactor {
  using type = int detail::epoll_reactor::*;
  friend type member(descriptor_of_reactor);
};
template struct reveal<task_of_scheduler, &detail::scheduler::task_>;
template struct reveal<descriptor_of_reactor, &detail::epoll_reactor::epoll_fd_>;

static_assert(std::is_same_v<detail::reactor, detail::epoll_reactor>);

}  // namespace

thread_task::thread_task(boost::asio::io_context& context, waiting_place& place)
    : scheduler_(boost::asio::use_service<detail::scheduler>(context)),
      reactor_(boost::asio::use_service<detail::epoll_reactor>(context)),
      place_(place),
      work_(context.get_executor()) {
  reactor_.init_task();
  scheduler_.*member(task_of_scheduler{}) = this;
}

thread_task::~thread_task() {
  scheduler_.*member(task_of_scheduler{}) = &reactor_;
}

int thread_task::asio_descriptor() const {
  return reactor_.*member(descriptor_of_reactor{});
}

// What the place's own events post goes into `ready` at once (its concurrency hint says that a context has
// one thread), or interrupts.
void thread_task::run(long microseconds, detail::op_queue<detail::scheduler_operation>& ready) {
  bool asio_has_events = false;
  do asio_has_events = place_.wait(microseconds);
  while (!asio_has_events && microseconds < 0 && ready.empty());
  place_.leave();
  if (asio_has_events) reactor_.run(0, ready);
}

void thread_task::interrupt() {
  reactor_.interrupt();
}

}  // namespace tidegate::net
