#include "proxy/net/listener.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr auto values = asio::as_tuple(asio::use_awaitable);

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

// Accepting again at once would fail the same way and spin.
bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

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

}  // namespace

struct listener::acceptor {
  acceptor(asio::io_context& context, int owned) : socket(context, owned), timer(context) {}
  ~acceptor() { close(); }

  void close() {
    if (!socket.is_open()) return;
    error_code ignored;
    socket.close(ignored);
    timer.cancel();
    if (path.empty()) return;
    ::unlink(path.c_str());
    ::unlink((path + ".lock").c_str());
    ::close(lock);
  }

  asio::posix::stream_descriptor socket;
  asio::steady_timer timer;
  std::size_t listen_index = 0;
  std::string path;  // of a unix socket
  int lock = -1;
};

namespace {

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

listener::listener(asio::io_context& context, handoff accepted, listener_counters& counters)
    : context_(context), accepted_(std::move(accepted)), counters_(counters) {}

listener::~listener() {
  stop();
}

boost::system::result<void, listener::failure> listener::open(
    const std::vector<config::listen_settings>& entries) {
  std::vector<std::shared_ptr<acceptor>> opened;
  for (std::size_t index = 0; index < entries.size(); ++index) {
    const config::listen_settings& entry = entries[index];
    if (entry.is_unix()) {
      auto socket = open_unix(entry.socket, entry.socket_mode);
      if (!socket) return socket.error();
      opened.push_back(std::make_shared<acceptor>(context_, socket->socket.release()));
      opened.back()->path = entry.socket;
      opened.back()->lock = socket->lock.release();
      opened.back()->listen_index = index;
      continue;
    }
    const auto endpoints = endpoints_of(context_, entry);
    if (!endpoints) return endpoints.error();
    for (const auto& endpoint : *endpoints) {
      auto socket = open_tcp(endpoint, name_of(endpoint));
      if (!socket) return socket.error();
      opened.push_back(std::make_shared<acceptor>(context_, socket->release()));
      opened.back()->listen_index = index;
    }
  }
  acceptors_ = std::move(opened);
  return {};
}

void listener::start() {
  for (const auto& each : acceptors_) asio::co_spawn(context_, accept_on(each), asio::detached);
}

void listener::stop() {
  for (const auto& each : acceptors_) each->close();
  acceptors_.clear();
}

std::vector<listener::bound> listener::addresses() const {
  std::vector<bound> all;
  for (const auto& each : acceptors_) {
    if (!each->path.empty()) {
      all.push_back({each->listen_index, each->path, 0});
      continue;
    }
    const auto endpoint = bound_endpoint(each->socket.native_handle());
    all.push_back({each->listen_index, name_of(endpoint), endpoint.port()});
  }
  return all;
}

// Runs until the acceptor is closed; after that `this` may be gone and is not touched.
asio::awaitable<void> listener::accept_on(std::shared_ptr<acceptor> from) {
  while (from->socket.is_open()) {
    co_await from->socket.async_wait(asio::posix::descriptor_base::wait_read, values);
    for (int taken = 0; taken < batch && from->socket.is_open(); ++taken) {
      const int client =
          ::accept4(from->socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) {
        counters_.accepted.fetch_add(1, std::memory_order_relaxed);
        accepted_(client, from->listen_index);
        continue;
      }
      if (errno == EAGAIN) break;
      if (out_of_resources(errno)) {
        counters_.paused.fetch_add(1, std::memory_order_relaxed);
        from->timer.expires_after(rest);
        co_await from->timer.async_wait(values);
        break;
      }
      if (errno != EINTR) counters_.failed.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

}  // namespace tidegate::net
