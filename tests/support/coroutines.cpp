#include "tests/support/coroutines.hpp"

#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidegate::testing {
namespace {

int checked(int value) {
  if (value < 0) throw std::runtime_error("a socket call of the test failed");
  return value;
}

}  // namespace

listening::listening() : descriptor(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  checked(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), size));
  checked(::listen(descriptor, 16));
  checked(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size));
  port = ntohs(address.sin_port);
}

listening::~listening() {
  ::close(descriptor);
}

int listening::accept() const {
  return checked(::accept4(descriptor, nullptr, nullptr, SOCK_CLOEXEC));
}

std::pair<int, int> tcp_pair() {
  const listening server;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.port);
  const int client = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  checked(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  return {client, server.accept()};
}

}  // namespace tidegate::testing
