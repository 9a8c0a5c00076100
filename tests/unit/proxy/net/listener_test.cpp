#include "proxy/net/listener.hpp"

#include "proxy/net/acceptor.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/stream.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/coroutines.hpp"

#include <array>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

config::listen_settings tcp(std::string address, std::uint16_t port = 0) {
  config::listen_settings entry;
  entry.address = std::move(address);
  entry.port = port;
  return entry;
}

config::listen_settings unix_socket(std::string path, unsigned mode = 0777) {
  config::listen_settings entry;
  entry.address.clear();
  entry.socket = std::move(path);
  entry.socket_mode = mode;
  return entry;
}

struct listener_test : ::testing::Test {
  boost::asio::io_context context{1};
  accept_counters counters;
  testing::temporary_folder folder;
  listener one;

  std::uint16_t open_on_a_port() {
    EXPECT_TRUE(one.open(context, {tcp("127.0.0.1")}));
    return one.addresses().at(0).port;
  }
};

// Connects as a client that says something at once, as all of PostgreSQL's do.
int connect_to(std::uint16_t port) {
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(client);
    return -1;
  }
  EXPECT_EQ(::send(client, "hello", 5, MSG_NOSIGNAL), 5);
  return client;
}

TEST_F(listener_test, does_not_share_a_port) {
  ASSERT_TRUE(one.open(context, {tcp("127.0.0.1")}));
  const auto port = one.addresses()[0].port;
  listener second;
  const auto refused = second.open(context, {tcp("127.0.0.1", port)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().why,
            "cannot listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use");
}

TEST_F(listener_test, opens_all_or_nothing) {
  ASSERT_TRUE(one.open(context, {tcp("127.0.0.1")}));
  const auto port = one.addresses()[0].port;
  const std::string path = folder.file("socket");
  listener second;
  EXPECT_FALSE(second.open(context, {unix_socket(path), tcp("127.0.0.1", port)}));
  EXPECT_TRUE(second.addresses().empty());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(listener_test, does_not_share_a_unix_socket) {
  const std::string path = folder.file("socket");
  ASSERT_TRUE(one.open(context, {unix_socket(path)}));
  listener second;
  EXPECT_FALSE(second.open(context, {unix_socket(path)}));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(listener_test, takes_over_a_socket_that_a_dead_gateway_left) {
  const std::string path = folder.file("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  EXPECT_TRUE(one.open(context, {unix_socket(path, 0700)}));
  struct ::stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST_F(listener_test, does_not_remove_a_file_that_is_no_socket) {
  const std::string path = folder.file("precious");
  ::close(::creat(path.c_str(), 0600));
  EXPECT_FALSE(one.open(context, {unix_socket(path)}));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(listener_test, refuses_connections_when_it_has_stopped_although_a_worker_still_has_the_socket) {
  const std::string path = folder.file("socket");
  ASSERT_TRUE(one.open(context, {tcp("127.0.0.1"), unix_socket(path)}));
  const auto port = one.addresses()[0].port;
  const auto kept = one.sockets();
  ASSERT_EQ(kept.size(), 2u);
  one.stop();
  EXPECT_EQ(connect_to(port), -1);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".lock"));
  EXPECT_TRUE(one.sockets().empty());
}

// ---- accepting ----

struct accepting_worker {
  accepting_worker(relay by, accept_counters& counters)
      : place(by == relay::io_uring ? make_io_uring_poller(context) : make_epoll_poller(context)),
        accepts(context, *place, counters) {}
  ~accepting_worker() {
    for (const accepted_connection& each : clients) ::close(each.descriptor);
  }

  void start(const listener& from) {
    accepts.start(from.sockets(), [this](accepted_connection client) {
      clients.push_back(client);
      if (on_client) on_client();
    });
  }
  void turn() {
    context.restart();
    context.run_for(std::chrono::milliseconds(1));
  }

  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  std::unique_ptr<poller> place;
  acceptor accepts;
  std::vector<accepted_connection> clients;
  std::function<void()> on_client;
};

struct an_acceptor : listener_test, ::testing::WithParamInterface<relay> {
  void SetUp() override {
    if (GetParam() != relay::io_uring) return;
    if (const std::string obstacle = io_uring_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  }
  void until(accepting_worker& worker, const std::function<bool()>& condition) {
    const auto begin = std::chrono::steady_clock::now();
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now() - begin, testing::patience);
      worker.turn();
    }
  }
};

INSTANTIATE_TEST_SUITE_P(, an_acceptor, ::testing::Values(relay::epoll, relay::io_uring), [](const auto& of) {
  return of.param == relay::epoll ? "on_epoll" : "on_io_uring";
});

TEST_P(an_acceptor, hands_on_what_comes_by_each_entry_with_its_peer) {
  const std::string path = folder.file(".s.PGSQL.6432");
  ASSERT_TRUE(one.open(context, {tcp("127.0.0.1"), tcp("::1"), unix_socket(path)}));
  const auto bound = one.addresses();
  ASSERT_EQ(bound.size(), 3u);
  EXPECT_NE(bound[0].port, 0);
  accepting_worker worker(GetParam(), counters);
  worker.start(one);
  const int first = connect_to(bound[0].port);
  const int second = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(bound[1].port);
  v6.sin6_addr = in6addr_loopback;
  ASSERT_EQ(::connect(second, reinterpret_cast<const sockaddr*>(&v6), sizeof v6), 0);
  ASSERT_EQ(::send(second, "hello", 5, MSG_NOSIGNAL), 5);
  const int third = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), path.size());
  ASSERT_EQ(::connect(third, reinterpret_cast<const sockaddr*>(&local), sizeof local), 0);
  until(worker, [&] { return worker.clients.size() == 3; });
  EXPECT_EQ(counters.accepted.load(), 3u);
  const std::array hosts{"127.0.0.1", "::1", "[local]"};
  const std::array<std::pair<int, int>, 2> options{{{IPPROTO_TCP, TCP_NODELAY}, {SOL_SOCKET, SO_KEEPALIVE}}};
  for (const accepted_connection& each : worker.clients) {
    EXPECT_EQ(each.peer.is_unix, each.listen_index == 2);
    EXPECT_EQ(each.peer.host(), hosts.at(each.listen_index));
    EXPECT_EQ(each.peer.credentials.has_value(), each.listen_index == 2);
    EXPECT_EQ(each.peer.to_string(), peer_of(each.descriptor).to_string());
    EXPECT_NE(::fcntl(each.descriptor, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(each.descriptor, F_GETFD) & FD_CLOEXEC, 0);
    if (each.listen_index == 2) continue;
    for (const auto& [level, option] : options) {
      int on = 0;
      socklen_t size = sizeof on;
      EXPECT_EQ(::getsockopt(each.descriptor, level, option, &on, &size), 0);
      EXPECT_NE(on, 0) << option;
    }
  }
  for (const int client : {first, second, third}) ::close(client);
}

TEST_P(an_acceptor, takes_also_a_client_that_says_nothing) {
  ASSERT_TRUE(one.open(context, {tcp("127.0.0.1")}));
  accepting_worker worker(GetParam(), counters);
  worker.start(one);
  deadline patience(context.get_executor(), testing::patience);
  auto silent = testing::run(context, connect("127.0.0.1", one.addresses()[0].port, patience));
  ASSERT_TRUE(silent);
  until(worker, [&] { return worker.clients.size() == 1; });
}

TEST_P(an_acceptor, shares_a_socket_with_another_and_neither_misses_a_client) {
  const auto port = open_on_a_port();
  accepting_worker worker(GetParam(), counters), other(GetParam(), counters);
  worker.start(one);
  other.start(one);
  std::vector<int> connected;
  for (int i = 0; i < 200; ++i) {
    connected.push_back(connect_to(port));
    // Now one of them does not run for a while, now the other.
    if (i % 20 < 10)
      until(worker, [&] { return other.turn(), counters.accepted.load() == connected.size(); });
  }
  until(worker, [&] { return counters.accepted.load() == connected.size(); });
  EXPECT_EQ(worker.clients.size() + other.clients.size(), connected.size());
  // Whoever is alone gets all.
  other.accepts.stop();
  const std::size_t before = worker.clients.size();
  for (int i = 0; i < 100; ++i) connected.push_back(connect_to(port));
  until(worker, [&] { return worker.clients.size() == before + 100; });
  for (const int each : connected) ::close(each);
}

TEST_P(an_acceptor, hands_nothing_on_once_it_is_stopped_within_a_hand_off) {
  const auto port = open_on_a_port();
  const std::array clients{connect_to(port), connect_to(port), connect_to(port)};
  accepting_worker worker(GetParam(), counters);
  worker.on_client = [&] { worker.accepts.stop(); };
  worker.start(one);
  until(worker, [&] { return !worker.clients.empty(); });
  for (int i = 0; i < 20; ++i) worker.turn();
  EXPECT_EQ(worker.clients.size(), 1u);
  for (const int each : clients) ::close(each);
}

TEST_P(an_acceptor, is_at_rest_when_the_listener_has_stopped) {
  open_on_a_port();
  accepting_worker worker(GetParam(), counters);
  worker.start(one);
  worker.turn();
  one.stop();
  const auto cpu_time = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  const auto before = cpu_time();
  worker.context.restart();
  worker.context.run_for(std::chrono::milliseconds(300));
  EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(100)) << "it spins";
  EXPECT_EQ(counters.failed.load(), 0u);
}

TEST_P(an_acceptor, rests_when_descriptors_run_out_and_goes_on_after) {
  const auto port = open_on_a_port();
  const int client = connect_to(port);
  accepting_worker worker(GetParam(), counters);
  worker.start(one);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto begin = std::chrono::steady_clock::now();
  while (counters.paused.load() < 3 && std::chrono::steady_clock::now() - begin < testing::patience)
    worker.turn();
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(counters.paused.load(), 3u);
  EXPECT_GE(took, std::chrono::milliseconds(200)) << "it spins";
  until(worker, [&] { return worker.clients.size() == 1; });
  ::close(client);
}

}  // namespace
}  // namespace tidegate::net
