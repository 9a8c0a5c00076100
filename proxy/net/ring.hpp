#pragma once
// One io_uring with the buffers that its receives are given, for the relay's second poller
// (io_uring_poller.cpp, docs/adr/0008). Knows operations and buffers, and nothing of channels.
//
// Completions are made by the thread itself, when it enters the kernel (deferred task work). Made on any
// thread; used by the one that calls enable().

#include <cstddef>
#include <cstdint>
#include <span>

#include <liburing.h>
#include <sys/socket.h>

namespace tidegate::net {

// What the kernel says of an operation.
struct completion {
  std::uint64_t tag;
  int result;  // bytes, events, or an error below 0
  std::uint16_t buffer;
  bool has_buffer;
  bool is_last;  // of its operation
};

class ring {
 public:
  // Throws std::system_error where the kernel has no such ring to give.
  ring();
  ~ring();
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;

  // From now on the ring belongs to the calling thread.
  void enable();

  // Operations. The kernel gets them with the next enter() or submit(), or before, when there is no room
  // left; what they point to stays until then. Their completions carry `tag`, which is not 0.
  //
  // Receives into buffers of the ring's again and again, until the completion that is_last.
  void receive(int descriptor, std::uint64_t tag);
  // Sends what the socket takes at once. Only when that is not all of it there is a completion, of how much
  // was taken, or why nothing.
  void send(int descriptor, std::span<const std::byte> bytes, std::uint64_t tag);
  void send(int descriptor, const msghdr& pieces, std::uint64_t tag);
  // Tells which of `events` (and of errors and hang-ups) hold, now and at each change, until the completion
  // that is_last.
  void watch(int descriptor, unsigned events, std::uint64_t tag);
  // Completes once, when the descriptor is readable. Of several rings that wait for one descriptor as shared,
  // not all are told.
  void wait_readable(int descriptor, std::uint64_t tag, bool is_shared = false);
  // Ends the operation with this tag; its last completion comes with the next enter().
  void cancel(std::uint64_t tag);

  // Hands the operations over. Sends are done when it returns.
  void submit();
  // The same, and makes completions of what has become possible meanwhile. When there is none it waits for
  // one, at most so long (0: not at all; below 0: without an end).
  void enter(long microseconds);

  // Calls `take` with each completion that carries a tag, in their order.
  template <typename Function>
  void take_completions(Function take);

  // The bytes that a completion tells of. They stay until give_back.
  std::span<const std::byte> received(const completion& by) const;
  bool is_buffer(std::span<const std::byte> bytes) const;
  // The kernel may fill them again.
  void give_back(std::span<const std::uint16_t> buffers);
  std::size_t buffers() const { return buffers_in_use_; }
  // More of them, up to a bound.
  void add_buffers();

 private:
  io_uring_sqe& next_operation();
  void close() noexcept;
  void offer(std::uint16_t id, int place);

  io_uring ring_{};
  io_uring_buf_ring* offers_ = nullptr;
  std::byte* buffers_ = nullptr;
  std::uint16_t buffers_in_use_ = 0;
};

template <typename Function>
void ring::take_completions(Function take) {
  do {
    unsigned head = 0, count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      if (cqe->user_data == 0) continue;
      take(completion{.tag = cqe->user_data,
                      .result = cqe->res,
                      .buffer = static_cast<std::uint16_t>(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
                      .has_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0,
                      .is_last = (cqe->flags & IORING_CQE_F_MORE) == 0});
    }
    io_uring_cq_advance(&ring_, count);
    // What had no room is put into the ring by entering the kernel.
  } while (io_uring_cq_has_overflow(&ring_) && io_uring_get_events(&ring_) >= 0);
}

}  // namespace tidegate::net
