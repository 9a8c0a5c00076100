#include "proxy/net/listener.hpp"

#include "proxy/net/deadline.hpp"
#include "proxy/net/stream.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/coroutines.hpp"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

using testing::run;
using testing::run_until;

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

struct listening_test : ::testing::Test {
  boost::asio::io_context context;
  listener_counters counters;
  std::vector<std::size_t> accepted_by;
  testing::temporary_folder folder;
  listener one{context,
               [this](int descriptor, std::size_t index) {
                 accepted_by.push_back(index);
                 ::close(descriptor);
               },
               counters};

  void connect_to(const std::string& host, std::uint16_t port) {
    deadline until(context.get_executor(), std::chrono::seconds(10));
    const auto connected = run(context, connect(host, port, until));
    EXPECT_TRUE(connected) << connected.error().why;
  }
};

using listener_test = listening_test;

TEST_F(listener_test, hands_over_what_comes_by_each_entry) {
  const std::string path = folder.file(".s.PGSQL.6432");
  ASSERT_TRUE(one.open({tcp("127.0.0.1"), tcp("::1"), unix_socket(path)}));
  const auto bound = one.addresses();
  ASSERT_EQ(bound.size(), 3u);
  EXPECT_NE(bound[0].port, 0);
  one.start();
  connect_to("127.0.0.1", bound[0].port);
  connect_to("::1", bound[1].port);
  connect_to(folder.path(), 6432);
  run_until(context, [&] { return accepted_by.size() == 3; });
  EXPECT_EQ(accepted_by, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(counters.accepted.load(), 3u);
  one.stop();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".lock"));
}

TEST_F(listener_test, does_not_share_a_port) {
  ASSERT_TRUE(one.open({tcp("127.0.0.1")}));
  const auto port = one.addresses()[0].port;
  listener second(
      context, [](int, std::size_t) {}, counters);
  const auto refused = second.open({tcp("127.0.0.1", port)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().why,
            "cannot listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use");
}

TEST_F(listener_test, opens_all_or_nothing) {
  ASSERT_TRUE(one.open({tcp("127.0.0.1")}));
  const auto port = one.addresses()[0].port;
  const std::string path = folder.file("socket");
  listener second(
      context, [](int, std::size_t) {}, counters);
  EXPECT_FALSE(second.open({unix_socket(path), tcp("127.0.0.1", port)}));
  EXPECT_TRUE(second.addresses().empty());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(listener_test, does_not_share_a_unix_socket) {
  const std::string path = folder.file("socket");
  ASSERT_TRUE(one.open({unix_socket(path)}));
  listener second(
      context, [](int, std::size_t) {}, counters);
  EXPECT_FALSE(second.open({unix_socket(path)}));
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
  EXPECT_TRUE(one.open({unix_socket(path, 0700)}));
  struct ::stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST_F(listener_test, does_not_remove_a_file_that_is_no_socket) {
  const std::string path = folder.file("precious");
  ::close(::creat(path.c_str(), 0600));
  EXPECT_FALSE(one.open({unix_socket(path)}));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(listener_test, rests_when_descriptors_run_out_and_goes_on_after) {
  ASSERT_TRUE(one.open({tcp("127.0.0.1")}));
  connect_to("127.0.0.1", one.addresses()[0].port);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  one.start();
  context.restart();
  std::size_t handlers = 0;
  while (counters.paused.load() < 2 && handlers < 1000) handlers += context.run_one_for(testing::patience);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(counters.paused.load(), 2u);
  EXPECT_LT(handlers, 20u) << "it spins";
  run_until(context, [&] { return accepted_by.size() == 1; });
}

TEST_F(listener_test, can_be_destroyed_while_it_waits) {
  {
    listener short_lived(
        context, [](int, std::size_t) { ADD_FAILURE(); }, counters);
    ASSERT_TRUE(short_lived.open({tcp("127.0.0.1")}));
    short_lived.start();
    context.restart();
    context.poll();
  }
  context.restart();
  context.poll();
}

}  // namespace
}  // namespace tidegate::net
