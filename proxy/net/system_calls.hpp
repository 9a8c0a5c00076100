#pragma once
// The system calls that a relayed message costs: recv, send and epoll_wait as in their manual pages, errno
// included, but no cancellation points of threads. For those glibc does two atomic operations around each
// call, in a process of several threads, and nothing here is ever cancelled that way.

#include <cstddef>

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace tidegate::net::system_calls {

inline ssize_t recv(int descriptor, void* into, std::size_t size, int flags) {
  return ::syscall(SYS_recvfrom, descriptor, into, size, flags, nullptr, nullptr);
}

inline ssize_t send(int descriptor, const void* from, std::size_t size, int flags) {
  return ::syscall(SYS_sendto, descriptor, from, size, flags, nullptr, 0);
}

inline int epoll_wait(int descriptor, epoll_event* events, int most, int milliseconds) {
  // Not SYS_epoll_wait, which newer architectures lack.
  return static_cast<int>(
      ::syscall(SYS_epoll_pwait, descriptor, events, most, milliseconds, nullptr, std::size_t{0}));
}

}  // namespace tidegate::net::system_calls
