// A forwarder that does nothing: one thread, epoll, recv into 64 kB, send. What a relay costs when it looks
// at no byte; the floor that the gateway's CPU per transaction is compared with (bench/README.md).
//
//   floor_forwarder LISTEN_PORT SERVER      SERVER: a port, as LISTEN_PORT of 127.0.0.1, or the path of a
//   unix socket

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

// One direction's end: what arrives here is sent to the peer.
struct end_point {
  int descriptor = -1;
  end_point* peer = nullptr;
  std::vector<char> unsent;  // towards this descriptor
  bool closed = false;
};

int poller = -1;

void watch(end_point& at, bool reading) {
  epoll_event event{};
  event.events = (reading ? EPOLLIN : 0u) | (at.unsent.empty() ? 0u : EPOLLOUT);
  event.data.ptr = &at;
  ::epoll_ctl(poller, EPOLL_CTL_MOD, at.descriptor, &event);
}

void add(end_point& at) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &at;
  ::epoll_ctl(poller, EPOLL_CTL_ADD, at.descriptor, &event);
}

int socket_on_loopback(std::uint16_t port, sockaddr_in& address) {
  address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

// -1 when the server takes no connection.
int connect_to(const char* server) {
  int descriptor = -1;
  int failed = 0;
  if (server[0] == '/') {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, server, sizeof address.sun_path - 1);
    descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    failed = ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address);
  } else {
    sockaddr_in address{};
    descriptor = socket_on_loopback(static_cast<std::uint16_t>(std::atoi(server)), address);
    failed = ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  if (failed == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

void make_quick(int descriptor) {
  const int on = 1;  // a unix socket has no such delay, and refuses
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
}

void close_pair(end_point& at, std::vector<end_point*>& gone) {
  if (at.closed) return;
  at.closed = at.peer->closed = true;
  ::close(at.descriptor);
  ::close(at.peer->descriptor);
  gone.push_back(&at);
  gone.push_back(at.peer);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: floor_forwarder LISTEN_PORT SERVER\n");
    return 2;
  }
  sockaddr_in listen_address{};
  const int listener = socket_on_loopback(static_cast<std::uint16_t>(std::atoi(argv[1])), listen_address);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&listen_address), sizeof listen_address) != 0 ||
      ::listen(listener, 1024) != 0) {
    std::perror("listen");
    return 3;
  }
  ::fcntl(listener, F_SETFL, O_NONBLOCK);
  poller = ::epoll_create1(EPOLL_CLOEXEC);
  end_point accepting{.descriptor = listener, .peer = nullptr, .unsent = {}, .closed = false};
  add(accepting);

  static std::array<char, 64 * 1024> buffer;
  std::array<epoll_event, 128> events;
  std::vector<end_point*> gone;
  for (;;) {
    const int count = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto& at = *static_cast<end_point*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (&at == &accepting) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) continue;
        const int server = connect_to(argv[2]);
        if (server < 0) {
          ::close(client);
          continue;
        }
        make_quick(client);
        make_quick(server);
        auto* a = new end_point{.descriptor = client, .peer = nullptr, .unsent = {}, .closed = false};
        auto* b = new end_point{.descriptor = server, .peer = a, .unsent = {}, .closed = false};
        a->peer = b;
        add(*a);
        add(*b);
        continue;
      }
      if (at.closed) continue;
      if ((events[static_cast<std::size_t>(i)].events & EPOLLOUT) != 0) {
        const ssize_t sent = ::send(at.descriptor, at.unsent.data(), at.unsent.size(), MSG_NOSIGNAL);
        if (sent > 0) at.unsent.erase(at.unsent.begin(), at.unsent.begin() + sent);
        watch(at, at.peer->unsent.empty());
        watch(*at.peer, at.unsent.empty());
      }
      if ((events[static_cast<std::size_t>(i)].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) continue;
      const ssize_t got = ::recv(at.descriptor, buffer.data(), buffer.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got <= 0) {
        close_pair(at, gone);
        continue;
      }
      const ssize_t sent =
          ::send(at.peer->descriptor, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
      const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
      if (done != static_cast<std::size_t>(got)) {
        at.peer->unsent.insert(at.peer->unsent.end(), buffer.data() + done, buffer.data() + got);
        watch(at, false);
        watch(*at.peer, true);
      }
    }
    for (end_point* e : gone) delete e;
    gone.clear();
  }
}
