#include "proxy/net/ring.hpp"

#include "proxy/net/poller.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

constexpr unsigned operations_at_once = 512;
constexpr unsigned completions_at_once = 4096;
// A big result comes in pieces of this size. Only the pages that were filled once take memory.
constexpr std::size_t buffer_bytes = 64 * 1024;
constexpr std::uint16_t first_buffers = 4;
constexpr std::uint16_t most_buffers = 128;
constexpr int buffer_group = 0;

// At once or not at all, so that nothing of a send outlives its submission; and all of it, so that less
// counts as a failure, and only failures have completions.
constexpr int send_flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;

constexpr unsigned wanted = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
                            IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
}

// Of memory or room for completions there was too little for the moment.
bool is_passing(int result) {
  return result == -EINTR || result == -EAGAIN || result == -EBUSY;
}

void* map(std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return at;
}

}  // namespace

ring::ring() {
  io_uring_params parameters{};
  parameters.flags = wanted;
  parameters.cq_entries = completions_at_once;
  check(io_uring_queue_init_params(operations_at_once, &ring_, &parameters), "io_uring_setup");
  try {
    offers_ = static_cast<io_uring_buf_ring*>(map(most_buffers * sizeof(io_uring_buf)));
    buffers_ = static_cast<std::byte*>(map(most_buffers * buffer_bytes));
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(offers_);
    registration.ring_entries = most_buffers;
    registration.bgid = buffer_group;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "io_uring_register");
    io_uring_buf_ring_init(offers_);
    add_buffers();
  } catch (...) {
    close();
    throw;
  }
}

ring::~ring() {
  close();
}

void ring::close() noexcept {
  io_uring_queue_exit(&ring_);  // before the memory that operations in flight might fill
  if (offers_ != nullptr) ::munmap(offers_, most_buffers * sizeof(io_uring_buf));
  if (buffers_ != nullptr) ::munmap(buffers_, most_buffers * buffer_bytes);
}

void ring::enable() {
  // liburing 2.3 declares io_uring_enable_rings() and does not export it.
  const long result =
      ::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  check(result < 0 ? -errno : 0, "io_uring_register");
}

io_uring_sqe& ring::next_operation() {
  io_uring_sqe* operation = io_uring_get_sqe(&ring_);
  if (operation == nullptr) {
    submit();
    operation = io_uring_get_sqe(&ring_);
    if (operation == nullptr) throw std::bad_alloc();
  }
  return *operation;
}

void ring::receive(int descriptor, std::uint64_t tag) {
  io_uring_sqe& operation = next_operation();
  io_uring_prep_recv_multishot(&operation, descriptor, nullptr, 0, 0);
  operation.flags |= IOSQE_BUFFER_SELECT;
  operation.buf_group = buffer_group;
  operation.user_data = tag;
}

void ring::send(int descriptor, std::span<const std::byte> bytes, std::uint64_t tag) {
  io_uring_sqe& operation = next_operation();
  io_uring_prep_send(&operation, descriptor, bytes.data(), bytes.size(), send_flags);
  operation.flags |= IOSQE_CQE_SKIP_SUCCESS;
  operation.user_data = tag;
}

void ring::send(int descriptor, const msghdr& pieces, std::uint64_t tag) {
  io_uring_sqe& operation = next_operation();
  io_uring_prep_sendmsg(&operation, descriptor, &pieces, send_flags);
  operation.flags |= IOSQE_CQE_SKIP_SUCCESS;
  operation.user_data = tag;
}

void ring::watch(int descriptor, unsigned events, std::uint64_t tag) {
  io_uring_sqe& operation = next_operation();
  io_uring_prep_poll_multishot(&operation, descriptor, events);
  operation.user_data = tag;
}

void ring::wait_readable(int descriptor, std::uint64_t tag, bool is_shared) {
  io_uring_sqe& operation = next_operation();
  io_uring_prep_poll_add(&operation, descriptor, POLLIN | (is_shared ? EPOLLEXCLUSIVE : 0u));
  operation.user_data = tag;
}

void ring::cancel(std::uint64_t tag) {
  io_uring_sqe& operation = next_operation();
  io_uring_prep_cancel64(&operation, tag, 0);
  operation.user_data = 0;
}

void ring::submit() {
  while (io_uring_sq_ready(&ring_) != 0) {
    const int result = io_uring_submit(&ring_);
    if (!is_passing(result)) check(result, "io_uring_enter");
  }
}

void ring::enter(long microseconds) {
  int result = 0;
  if (microseconds == 0) {
    result = io_uring_submit_and_get_events(&ring_);
  } else if (microseconds < 0) {
    result = io_uring_submit_and_wait(&ring_, 1);
  } else {
    __kernel_timespec at_most{microseconds / 1'000'000, microseconds % 1'000'000 * 1'000};
    io_uring_cqe* first = nullptr;
    result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &at_most, nullptr);
  }
  if (!is_passing(result) && result != -ETIME) check(result, "io_uring_enter");
  submit();  // what is left of it
}

std::span<const std::byte> ring::received(const completion& by) const {
  return {buffers_ + by.buffer * buffer_bytes, static_cast<std::size_t>(by.result)};
}

bool ring::is_buffer(std::span<const std::byte> bytes) const {
  return bytes.data() >= buffers_ && bytes.data() < buffers_ + most_buffers * buffer_bytes;
}

void ring::offer(std::uint16_t id, int place) {
  io_uring_buf_ring_add(offers_, buffers_ + id * buffer_bytes, buffer_bytes, id,
                        io_uring_buf_ring_mask(most_buffers), place);
}

void ring::give_back(std::span<const std::uint16_t> buffers) {
  int place = 0;
  for (const std::uint16_t id : buffers) offer(id, place++);
  io_uring_buf_ring_advance(offers_, place);
}

void ring::add_buffers() {
  const int more =
      std::min<int>(std::max<int>(buffers_in_use_, first_buffers), most_buffers - buffers_in_use_);
  for (int place = 0; place < more; ++place) offer(buffers_in_use_++, place);
  io_uring_buf_ring_advance(offers_, more);
}

namespace {

// A receive that goes on by itself into a buffer of the ring's, and a send that takes as much as fits and
// says how much that was.
bool does_what_is_needed() {
  int ends[2];
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0,
        "socketpair");
  const struct closes {
    const int* both;
    ~closes() {
      ::close(both[0]);
      ::close(both[1]);
    }
  } on_leaving{ends};

  const std::vector<std::byte> too_much(std::size_t{1} << 20);
  enum : std::uint64_t { receiving = 1, sending = 2 };
  ring trial;
  trial.enable();
  trial.receive(ends[1], receiving);
  trial.enter(0);
  trial.send(ends[0], too_much, sending);
  std::size_t sent = 0, received = 0;
  for (int turn = 0; turn < 3; ++turn) {
    trial.enter(0);
    trial.take_completions([&](const completion& of) {
      if (of.result <= 0) return;
      if (of.tag == sending)
        sent = static_cast<std::size_t>(of.result);
      else if (of.has_buffer)
        received += trial.received(of).size();
    });
  }
  return sent != 0 && sent < too_much.size() && received != 0;
}

}  // namespace

std::string io_uring_obstacle() {
  try {
    return does_what_is_needed() ? ""
                                 : "this kernel's io_uring lacks what the relay needs (Linux 6.1 or newer)";
  } catch (const std::system_error& error) {
    switch (error.code().value()) {
      case ENOSYS:
        return "this kernel has no io_uring";
      case EPERM:
      case EACCES:
        return "io_uring is forbidden to this process (seccomp, kernel.io_uring_disabled)";
      case EINVAL:
        return "this kernel's io_uring lacks what the relay needs (Linux 6.1 or newer)";
      default:
        return error.what();
    }
  }
}

}  // namespace tidegate::net
