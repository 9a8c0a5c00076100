#include "proxy/net/stream.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr auto values = asio::as_tuple(asio::use_awaitable);

// An address as connect(2) takes it, and as people read it.
struct target {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string name;
};

boost::system::result<target> unix_target(const std::string& folder, std::uint16_t port) {
  target to;
  to.name = folder + "/.s.PGSQL." + std::to_string(port);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (to.name.size() >= sizeof address.sun_path) return error_code(asio::error::name_too_long);
  std::memcpy(address.sun_path, to.name.data(), to.name.size());
  const bool abstract = folder.front() == '@';
  if (abstract) address.sun_path[0] = '\0';
  to.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + to.name.size() + (abstract ? 0 : 1));
  std::memcpy(&to.storage, &address, sizeof address);
  return to;
}

target tcp_target(const asio::ip::tcp::endpoint& endpoint) {
  target to;
  std::memcpy(&to.storage, endpoint.data(), endpoint.size());
  to.size = static_cast<socklen_t>(endpoint.size());
  peer_address name;
  name.ip = endpoint.address();
  name.port = endpoint.port();
  to.name = name.to_string();
  return to;
}

asio::awaitable<boost::system::result<std::vector<target>>> resolve(const std::string& host,
                                                                    std::uint16_t port, deadline& until) {
  error_code not_an_address;
  const auto address = asio::ip::make_address(host, not_an_address);
  if (!not_an_address) co_return std::vector{tcp_target({address, port})};

  if (until.expired()) co_return error_code(asio::error::timed_out);
  asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
  const deadline::interruption interruption(until, [&resolver] { resolver.cancel(); });
  const auto [ec, found] = co_await resolver.async_resolve(host, std::to_string(port),
                                                           asio::ip::resolver_base::numeric_service, values);
  if (ec) co_return until.expired() ? error_code(asio::error::timed_out) : ec;
  std::vector<target> targets;
  for (const auto& entry : found) targets.push_back(tcp_target(entry.endpoint()));
  co_return targets;
}

asio::awaitable<boost::system::result<stream>> connect_to(const target& to, deadline& until) {
  const auto executor = co_await asio::this_coro::executor;
  const int descriptor = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) co_return error_code(errno, boost::system::system_category());
  asio::posix::stream_descriptor waiting(executor, descriptor);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
    if (errno != EINPROGRESS) co_return error_code(errno, boost::system::system_category());
    if (until.expired()) co_return error_code(asio::error::timed_out);
    const deadline::interruption interruption(until, [&waiting] {
      error_code ignored;
      waiting.cancel(ignored);
    });
    const auto [ec] = co_await waiting.async_wait(asio::posix::descriptor_base::wait_write, values);
    if (ec) co_return until.expired() ? error_code(asio::error::timed_out) : ec;
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed != 0) co_return error_code(failed, boost::system::system_category());
  }
  co_return stream(executor, waiting.release());
}

}  // namespace

asio::awaitable<boost::system::result<stream, connect_failure>> connect(std::string host, std::uint16_t port,
                                                                        deadline& until) {
  std::vector<target> targets;
  if (!host.empty() && (host.front() == '/' || host.front() == '@')) {
    auto target = unix_target(host, port);
    if (!target) co_return connect_failure{target.error(), "the socket's path is too long: " + host};
    targets.push_back(std::move(*target));
  } else {
    auto found = co_await resolve(host, port, until);
    if (!found)
      co_return connect_failure{found.error(),
                                "could not resolve \"" + host + "\": " + found.error().message()};
    targets = std::move(*found);
  }

  connect_failure failure{asio::error::host_not_found, "\"" + host + "\" has no address"};
  const auto executor = co_await asio::this_coro::executor;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    // Each address gets an equal share of the time that is left, so that one that drops packets leaves some
    // to the next.
    deadline share(executor, until.remaining() / static_cast<int>(targets.size() - i));
    boost::system::result<stream> connected = error_code(asio::error::timed_out);
    if (!until.expired()) {
      const deadline::interruption interruption(until, [&share] { share.expire(); });
      connected = co_await connect_to(targets[i], share);
    }
    if (connected) co_return std::move(*connected);
    failure = {connected.error(),
               "could not connect to " + targets[i].name + ": " + connected.error().message()};
  }
  co_return failure;
}

}  // namespace tidegate::net
