#include "proxy/net/listener.hpp"

#include "proxy/net/address.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int defer_seconds = 1;

std::string words(int error) {
  return std::generic_category().message(error);
}

class descriptor {
 public:
  explicit descriptor(int owned) : owned_(owned) {}
  ~descriptor() {
    if (owned_ >= 0) ::close(owned_);
  }
  descriptor(descriptor&& other) noexcept : owned_(other.release()) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  descriptor& operator=(descriptor&&) = delete;

  explicit operator bool() const { return owned_ >= 0; }
  int get() const { return owned_; }
  int release() { return std::exchange(owned_, -1); }

 private:
  int owned_;
};

// Somebody answers on this path.
bool is_served(const sockaddr_un& address) {
  const descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return true;
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN || errno == EINPROGRESS;
}

// An error number, or 0 when bound: over a socket file that a dead process has left behind, but not over a
// live one.
int bind_over_stale(int socket, const sockaddr_un& address) {
  const auto bind_now = [&] {
    return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  };
  const int error = bind_now();
  if (error != EADDRINUSE) return error;
  struct ::stat info {};
  if (::lstat(address.sun_path, &info) == 0 && !S_ISSOCK(info.st_mode)) return EEXIST;
  if (is_served(address)) return EADDRINUSE;
  ::unlink(address.sun_path);
  return bind_now();
}

boost::system::result<descriptor, listener::failure> open_tcp(const asio::ip::tcp::endpoint& endpoint,
                                                              const std::string& name) {
  const auto failed = [&](int error) {
    return listener::failure{"cannot listen on " + name + ": " + words(error)};
  };
  descriptor socket(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return failed(errno);
  const int on = 1;
  // Only past connections in TIME_WAIT: Linux never lets two sockets listen on one port by it.
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (endpoint.address().is_v6()) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // What is accepted has these too, and is ready when the client's first bytes are: it speaks first. One that
  // says nothing is accepted after defer_seconds.
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_seconds, sizeof defer_seconds);
  if (::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
    return failed(errno);
  if (::listen(socket.get(), SOMAXCONN) != 0) return failed(errno);
  return socket;
}

struct unix_listener {
  descriptor socket;
  descriptor lock;
};

boost::system::result<unix_listener, listener::failure> open_unix(const std::string& path, unsigned mode) {
  const auto failed = [&](int error) {
    return listener::failure{"cannot listen on " + path + ": " + words(error)};
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failed(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());

  descriptor lock(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return failed(errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return failed(EADDRINUSE);
  descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return failed(errno);
  if (const int error = bind_over_stale(socket.get(), address)) return failed(error);
  // Nobody can connect before listen(), so the mode is in force for the first client.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) return failed(errno);
  return unix_listener{std::move(socket), std::move(lock)};
}

boost::system::result<std::vector<asio::ip::tcp::endpoint>, listener::failure> endpoints_of(
    asio::io_context& context, const config::listen_settings& entry) {
  if (entry.address == "*")
    return std::vector<asio::ip::tcp::endpoint>{{asio::ip::tcp::v4(), entry.port},
                                                {asio::ip::tcp::v6(), entry.port}};
  error_code ec;
  const auto address = asio::ip::make_address(entry.address, ec);
  if (!ec) return std::vector<asio::ip::tcp::endpoint>{{address, entry.port}};
  asio::ip::tcp::resolver resolver(context);
  std::vector<asio::ip::tcp::endpoint> endpoints;
  for (const auto& found : resolver.resolve(entry.address, std::to_string(entry.port),
                                            asio::ip::resolver_base::numeric_service, ec))
    endpoints.push_back(found.endpoint());
  if (ec || endpoints.empty())
    return listener::failure{"cannot listen on \"" + entry.address +
                             "\": " + (ec ? ec.message() : "no such host")};
  return endpoints;
}

std::string name_of(const asio::ip::tcp::endpoint& endpoint) {
  peer_address name;
  name.ip = endpoint.address();
  name.port = endpoint.port();
  return name.to_string();
}

asio::ip::tcp::endpoint bound_endpoint(int socket) {
  asio::ip::tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(socket, endpoint.data(), &size) == 0) endpoint.resize(size);
  return endpoint;
}

}  // namespace

listening_socket::~listening_socket() {
  ::close(descriptor_);
}

boost::system::result<void, listener::failure> listener::open(
    asio::io_context& context, const std::vector<config::listen_settings>& entries) {
  listener opened;  // takes back what it has when a later one fails
  for (std::size_t index = 0; index < entries.size(); ++index) {
    const config::listen_settings& entry = entries[index];
    if (entry.is_unix()) {
      auto socket = open_unix(entry.socket, entry.socket_mode);
      if (!socket) return socket.error();
      opened.places_.push_back({std::make_shared<listening_socket>(socket->socket.release(), index),
                                entry.socket, socket->lock.release()});
      continue;
    }
    const auto endpoints = endpoints_of(context, entry);
    if (!endpoints) return endpoints.error();
    for (const auto& endpoint : *endpoints) {
      auto socket = open_tcp(endpoint, name_of(endpoint));
      if (!socket) return socket.error();
      opened.places_.push_back({std::make_shared<listening_socket>(socket->release(), index), {}, -1});
    }
  }
  places_.swap(opened.places_);
  return {};
}

std::vector<listening_socket_ptr> listener::sockets() const {
  std::vector<listening_socket_ptr> all;
  for (const place& each : places_) all.push_back(each.socket);
  return all;
}

void listener::stop() {
  for (const place& each : std::exchange(places_, {})) {
    ::shutdown(each.socket->descriptor(), SHUT_RDWR);  // Linux: it listens no longer
    if (each.path.empty()) continue;
    ::unlink(each.path.c_str());
    ::unlink((each.path + ".lock").c_str());
    ::close(each.lock);
  }
}

std::vector<listener::bound> listener::addresses() const {
  std::vector<bound> all;
  for (const place& each : places_) {
    if (!each.path.empty()) {
      all.push_back({each.socket->listen_index, each.path, 0});
      continue;
    }
    const auto endpoint = bound_endpoint(each.socket->descriptor());
    all.push_back({each.socket->listen_index, name_of(endpoint), endpoint.port()});
  }
  return all;
}

}  // namespace tidegate::net
