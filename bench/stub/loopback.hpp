#pragma once
// Sockets on 127.0.0.1 for the programs of bench/: they measure, so what fails ends them with a word about
// it.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidegate::bench {

[[noreturn]] inline void give_up(const char* what) {
  std::perror(what);
  std::exit(3);
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline void set_option(int descriptor, int level, int option) {
  const int on = 1;
  if (::setsockopt(descriptor, level, option, &on, sizeof on) != 0) give_up("setsockopt");
}

// Listens, together with every other listener of the program on this port; accepting does not block.
inline int listen_on(std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) give_up("socket");
  set_option(listener, SOL_SOCKET, SO_REUSEADDR);
  set_option(listener, SOL_SOCKET, SO_REUSEPORT);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) give_up("bind");
  if (::listen(listener, 1024) != 0) give_up("listen");
  return listener;
}

// A connected socket, blocking, without delay of small messages.
inline int connect_to(std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) give_up("socket");
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    give_up("connect");
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY);
  return descriptor;
}

inline void make_non_blocking(int descriptor) {
  if (::fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0) give_up("fcntl");
}

}  // namespace tidegate::bench
