#include "proxy/pool/cancel.hpp"

#include "protocol/startup.hpp"
#include "tests/support/coroutines.hpp"

#include <array>
#include <cstring>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace tidegate::pool {
namespace {

using boost::asio::awaitable;
using protocol::protocol_3_0;
using protocol::protocol_3_2;

constexpr std::chrono::seconds long_enough{10};

struct cancel_test : ::testing::Test {
  boost::asio::io_context context;
  net::deadline until{context.get_executor(), long_enough};
  testing::listening socket;
  server_endpoint_ptr where = std::make_shared<const server_endpoint>(
      server_endpoint{"127.0.0.1", socket.port, config::tls_mode::disable, false, nullptr});
  std::chrono::steady_clock::time_point now{};
  net::peer_address source;

  cancel_test() { source.ip = boost::asio::ip::make_address("192.0.2.1"); }

  std::shared_ptr<const cancel_target> target(std::int32_t pid = 4711) const {
    cancel_target made{where, false, pid, protocol::byte_buffer(4, std::byte{0x5a})};
    return std::make_shared<const cancel_target>(std::move(made));
  }
  cancel_registry::limits limits() {
    cancel_registry::limits bounds;
    bounds.now = [this] { return now; };
    return bounds;
  }
  void cancel(cancel_registry& registry, std::int32_t pid, protocol::byte_buffer key) {
    testing::run(context, registry.cancel(pid, std::move(key), source, until));
  }
};

TEST_F(cancel_test, a_key_is_ours_and_not_the_servers) {
  cancel_registry registry;
  const auto plain = registry.enroll(4711, protocol_3_0, target());
  const auto longer = registry.enroll(4711, protocol_3_2, target());
  EXPECT_EQ(plain.pid(), 4711);
  EXPECT_EQ(plain.key().size(), 4u);
  EXPECT_EQ(longer.key().size(), 32u);
  EXPECT_NE(plain.key(), target()->backend_key);
  EXPECT_EQ(registry.size(), 2u);
  EXPECT_TRUE(registry.find(4711, plain.key()));
  EXPECT_TRUE(registry.find(4711, longer.key()));
}

TEST_F(cancel_test, only_pid_and_key_together_find_a_session) {
  cancel_registry registry;
  const auto one = registry.enroll(1, protocol_3_0, target(1));
  const auto other = registry.enroll(2, protocol_3_0, target(2));
  EXPECT_FALSE(registry.find(2, one.key()));
  EXPECT_FALSE(registry.find(1, other.key()));
  EXPECT_FALSE(registry.find(1, protocol::byte_buffer(4)));
  EXPECT_FALSE(registry.find(1, protocol::byte_buffer()));
  EXPECT_FALSE(registry.find(1, protocol::bytes(one.key()).first(3)));
  EXPECT_EQ(registry.find(1, one.key())->backend_pid, 1);
}

TEST_F(cancel_test, two_servers_may_have_the_same_pid) {
  int drawn = 0;
  // The first two draws are equal: the second session has to draw again.
  cancel_registry registry({}, [&](std::span<std::byte> into) {
    std::fill(into.begin(), into.end(), static_cast<std::byte>(drawn++ < 2 ? 1 : 2));
  });
  const auto one = registry.enroll(7, protocol_3_0, target(100));
  const auto other = registry.enroll(7, protocol_3_0, target(200));
  EXPECT_NE(one.key(), other.key());
  EXPECT_EQ(registry.find(7, one.key())->backend_pid, 100);
  EXPECT_EQ(registry.find(7, other.key())->backend_pid, 200);
}

TEST_F(cancel_test, a_key_names_its_gateway) {
  cancel_registry registry(
      {0x0a5, 8}, [](std::span<std::byte> into) { std::fill(into.begin(), into.end(), std::byte{0xff}); });
  const auto plain = registry.enroll(1, protocol_3_0, target());
  const auto longer = registry.enroll(1, protocol_3_2, target());
  EXPECT_EQ(plain.key(),
            (protocol::byte_buffer{std::byte{0xa5}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}}));
  EXPECT_EQ(longer.key()[2], std::byte{0x00});
  EXPECT_EQ(longer.key()[3], std::byte{0xa5});
}

TEST_F(cancel_test, a_key_ends_with_its_session) {
  cancel_registry registry;
  protocol::byte_buffer key;
  {
    auto one = registry.enroll(1, protocol_3_0, target());
    key = one.key();
    cancel_registration moved = std::move(one);
    EXPECT_FALSE(one);
    EXPECT_TRUE(registry.find(1, key));
  }
  EXPECT_FALSE(registry.find(1, key));
  EXPECT_EQ(registry.size(), 0u);
  cancel(registry, 1, key);
  EXPECT_EQ(registry.counters().unknown.load(), 1u);
}

TEST_F(cancel_test, a_session_without_a_server_is_left_alone) {
  cancel_registry registry;
  auto one = registry.enroll(1, protocol_3_0, target());
  one.clear_target();
  cancel(registry, 1, one.key());
  EXPECT_EQ(registry.counters().outdated.load(), 1u);
  one.set_target(target(5));
  EXPECT_EQ(registry.find(1, one.key())->backend_pid, 5);
}

TEST_F(cancel_test, sends_the_servers_own_key_and_waits_for_its_end) {
  cancel_registry registry;
  const auto one = registry.enroll(1, protocol_3_0, target());
  std::array<char, 16> request{};
  unsigned in_flight = 0;
  const auto serve = [&]() -> awaitable<void> {
    boost::asio::posix::stream_descriptor waiting(context, ::dup(socket.descriptor));
    co_await waiting.async_wait(boost::asio::posix::descriptor_base::wait_read, boost::asio::use_awaitable);
    net::deadline server_until(context.get_executor(), long_enough);
    net::stream server(context.get_executor(), socket.accept());
    for (std::size_t got = 0; got < request.size();) {
      const auto count =
          co_await server.read_some(std::as_writable_bytes(std::span(request)).subspan(got), server_until);
      if (!count) co_return;
      got += *count;
    }
    in_flight = one.in_flight();
  };
  testing::run(context, registry.cancel(1, one.key(), source, until), serve());
  EXPECT_EQ(std::memcmp(request.data(), "\0\0\0\x10\x04\xd2\x16\x2e\0\0\x12\x67\x5a\x5a\x5a\x5a", 16), 0);
  EXPECT_EQ(in_flight, 1u);
  EXPECT_EQ(one.in_flight(), 0u);
  EXPECT_EQ(registry.counters().forwarded.load(), 1u);
}

TEST_F(cancel_test, is_dropped_when_the_session_has_moved_on) {
  cancel_registry registry;
  // The name has to be looked up, so that the request is still on its way when the session gets another
  // server.
  where = std::make_shared<const server_endpoint>(
      server_endpoint{"localhost", socket.port, config::tls_mode::disable, false, nullptr});
  auto one = registry.enroll(1, protocol_3_0, target());
  const auto move_on = [&]() -> awaitable<void> {
    while (one.in_flight() == 0) co_await boost::asio::post(context, boost::asio::use_awaitable);
    one.set_target(target(9));
  };
  testing::run(context, registry.cancel(1, one.key(), source, until), move_on());
  EXPECT_EQ(registry.counters().forwarded.load(), 0u);
  EXPECT_EQ(registry.counters().outdated.load(), 1u);
}

TEST_F(cancel_test, guesses_cost_their_source_and_nobody_else) {
  cancel_registry registry({}, {}, limits());
  const auto one = registry.enroll(1, protocol_3_0, target());
  for (int i = 0; i < 25; ++i) cancel(registry, 1, protocol::byte_buffer(4));
  EXPECT_EQ(registry.counters().unknown.load(), 20u);
  EXPECT_EQ(registry.counters().limited.load(), 5u);
  now += std::chrono::seconds(1);
  for (int i = 0; i < 25; ++i) cancel(registry, 1, protocol::byte_buffer(4));
  EXPECT_EQ(registry.counters().unknown.load(), 30u);
}

TEST_F(cancel_test, a_flood_is_bounded) {
  auto bounds = limits();
  bounds.in_flight = 0;
  cancel_registry registry({}, {}, bounds);
  const auto one = registry.enroll(1, protocol_3_0, target());
  cancel(registry, 1, one.key());
  EXPECT_EQ(registry.counters().limited.load(), 1u);
}

}  // namespace
}  // namespace tidegate::pool
