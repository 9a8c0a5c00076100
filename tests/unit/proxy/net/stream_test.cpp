#include "proxy/net/stream.hpp"

#include "protocol/bytes.hpp"
#include "proxy/net/poller.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/coroutines.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

using boost::system::error_code;
using config::tls_mode;
using protocol::as_bytes;
using protocol::as_text;
using testing::run;

constexpr std::chrono::seconds long_enough{10};

struct two_streams {
  boost::asio::io_context context;
  std::pair<int, int> sockets = testing::tcp_pair();
  stream left{context.get_executor(), sockets.first};
  stream right{context.get_executor(), sockets.second};
  deadline until{context.get_executor(), long_enough};
};

boost::asio::awaitable<std::string> read_text(stream& from, std::size_t size, deadline& until) {
  std::string text;
  std::array<std::byte, 4096> buffer;
  while (text.size() < size) {
    const auto count = co_await from.read_some(buffer, until);
    if (!count) co_return text + " <" + count.error().message() + ">";
    text += as_text(std::span(buffer).first(*count));
  }
  co_return text;
}

boost::asio::awaitable<void> write_text(stream& to, std::string text, deadline& until) {
  EXPECT_FALSE(co_await to.write_all(as_bytes(text), until));
}

TEST(stream, carries_bytes_both_ways) {
  two_streams of;
  const std::string big(3'000'000, 'x');
  EXPECT_EQ(run(of.context, read_text(of.left, 5, of.until), write_text(of.right, "hello", of.until)),
            "hello");
  deadline second(of.context.get_executor(), long_enough);
  EXPECT_EQ(run(of.context, read_text(of.right, big.size(), of.until), write_text(of.left, big, second)),
            big);
}

TEST(stream, tells_that_the_peer_has_closed) {
  two_streams of;
  of.right.close();
  std::array<std::byte, 1> buffer;
  const auto count = run(of.context, of.left.read_some(buffer, of.until));
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error(), boost::asio::error::eof);
}

TEST(stream, stops_waiting_when_the_deadline_passes) {
  two_streams of;
  std::array<std::byte, 1> buffer;
  const auto expire = [&]() -> boost::asio::awaitable<void> {
    of.until.expire();
    co_return;
  };
  const auto count = run(of.context, of.left.read_some(buffer, of.until), expire());
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error(), boost::asio::error::timed_out);
  EXPECT_EQ(run(of.context, of.left.peek(of.until)).error(), boost::asio::error::timed_out);
}

TEST(stream, fails_by_the_clock_too) {
  two_streams of;
  deadline soon(of.context.get_executor(), std::chrono::milliseconds(1));
  std::array<std::byte, 1> buffer;
  EXPECT_EQ(run(of.context, of.left.read_some(buffer, soon)).error(), boost::asio::error::timed_out);
  EXPECT_TRUE(soon.expired());
  EXPECT_EQ(soon.remaining().count(), 0);
}

TEST(stream, leaves_a_peeked_byte_where_it_is) {
  two_streams of;
  run(of.context, write_text(of.right, "ab", of.until));
  EXPECT_EQ(*run(of.context, of.left.peek(of.until)), std::byte{'a'});
  EXPECT_EQ(run(of.context, read_text(of.left, 2, of.until)), "ab");
}

// ---- in a thread's poller ----

struct a_stream_in_a_place : ::testing::TestWithParam<relay> {
  void SetUp() override {
    if (GetParam() == relay::io_uring) {
      if (const std::string obstacle = io_uring_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
    }
    place = GetParam() == relay::io_uring ? make_io_uring_poller(context) : make_epoll_poller(context);
    ::fcntl(sockets.first, F_SETFL, ::fcntl(sockets.first, F_GETFL) | O_NONBLOCK);  // as accepted ones are
    left.emplace(context.get_executor(), sockets.first, peer_of(sockets.first), place.get());
  }
  // What the poller resumes is no handler of the context's.
  template <typename T>
  T finish(testing::running<T>& task) {
    const auto begin = std::chrono::steady_clock::now();
    while (!task.is_over()) {
      if (std::chrono::steady_clock::now() - begin > testing::patience)
        throw std::runtime_error("it is stuck");
      turn();
    }
    return task.take();
  }
  void turn() {
    context.restart();
    context.run_for(std::chrono::milliseconds(1));
  }

  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  std::pair<int, int> sockets = testing::tcp_pair();
  std::unique_ptr<poller> place;
  std::optional<stream> left;
  stream right{context.get_executor(), sockets.second};
  deadline until{context.get_executor(), long_enough};
};

INSTANTIATE_TEST_SUITE_P(, a_stream_in_a_place, ::testing::Values(relay::epoll, relay::io_uring),
                         [](const auto& of) {
                           return of.param == relay::epoll ? "on_epoll" : "on_io_uring";
                         });

TEST_P(a_stream_in_a_place, waits_there_as_often_as_it_takes) {
  std::string expected;
  testing::running<std::string> reading(context, read_text(*left, 30, until));
  for (int i = 0; i < 10; ++i) {
    turn();
    EXPECT_FALSE(reading.is_over());
    expected += "abc";
    ASSERT_EQ(::send(sockets.second, "abc", 3, MSG_NOSIGNAL), 3);
  }
  EXPECT_EQ(finish(reading), expected);
}

TEST_P(a_stream_in_a_place, finds_an_answer_that_came_before_it_waited) {
  deadline second(context.get_executor(), long_enough);
  testing::running<void> asking(context, write_text(*left, "question", second));
  finish(asking);
  ASSERT_EQ(::send(sockets.second, "answer", 6, MSG_NOSIGNAL), 6);
  for (int i = 0; i < 20; ++i) turn();
  testing::running<std::string> reading(context, read_text(*left, 6, until));
  EXPECT_EQ(finish(reading), "answer");
}

TEST_P(a_stream_in_a_place, stops_waiting_when_the_deadline_passes_and_may_wait_again) {
  testing::running<std::string> reading(context, read_text(*left, 1, until));
  turn();
  until.expire();
  EXPECT_EQ(finish(reading), " <" + error_code(boost::asio::error::timed_out).message() + ">");
  deadline another(context.get_executor(), long_enough);
  testing::running<std::string> again(context, read_text(*left, 1, another));
  turn();
  ASSERT_EQ(::send(sockets.second, "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_EQ(finish(again), "x");
}

TEST_P(a_stream_in_a_place, tells_that_the_peer_has_closed) {
  testing::running<std::string> reading(context, read_text(*left, 1, until));
  turn();
  right.close();
  EXPECT_EQ(finish(reading), " <" + error_code(boost::asio::error::eof).message() + ">");
}

TEST_P(a_stream_in_a_place, can_be_left_waiting_when_the_thread_ends) {
  auto waits = [](stream mine) -> boost::asio::awaitable<void> {
    deadline far(mine.get_executor(), std::chrono::hours(1));
    std::array<std::byte, 1> buffer;
    co_await mine.read_some(buffer, far);
    ADD_FAILURE();
  };
  boost::asio::co_spawn(context, waits(std::move(*left)), boost::asio::detached);
  turn();
  place.reset();
  turn();  // Asio unwinds coroutines in a turn of their own
  // … and the kernel may let the descriptor of a ring's go a moment later.
  pollfd end{sockets.second, POLLIN, 0};
  ASSERT_EQ(::poll(&end, 1, 20'000), 1);
  char byte = 0;
  EXPECT_EQ(::recv(sockets.second, &byte, 1, MSG_DONTWAIT), 0);
}

TEST(stream, survives_a_write_to_a_peer_that_is_gone) {
  two_streams of;
  of.right.close();
  error_code last;
  for (int i = 0; i < 100 && !last; ++i)
    last = run(of.context, of.left.write_all(as_bytes(std::string(10'000, 'x')), of.until));
  EXPECT_TRUE(last);
}

TEST(stream, released_keeps_its_descriptor_and_its_peer) {
  two_streams of;
  const auto peer = of.left.peer();
  released_stream released = of.left.release();
  EXPECT_FALSE(of.left.is_open());
  EXPECT_EQ(released.descriptor, of.sockets.first);
  EXPECT_EQ(released.peer.to_string(), peer.to_string());
  EXPECT_EQ(::send(released.descriptor, "z", 1, 0), 1);
  EXPECT_EQ(run(of.context, read_text(of.right, 1, of.until)), "z");
  released_stream moved = std::move(released);
  EXPECT_EQ(released.descriptor, -1);
  moved.close();
  EXPECT_EQ(run(of.context, of.right.peek(of.until)).error(), boost::asio::error::eof);
}

// ---- TLS ----

struct with_certificates : ::testing::Test {
  testing::temporary_folder folder;
  testing::authority good{folder.path(), "good"};
  testing::authority other{folder.path(), "other"};
  testing::certificate_files server = good.issue("db.example", true);
  testing::certificate_files user = good.issue("alice", false);
  two_streams of;

  config::listen_tls_settings listen_settings(tls_mode mode = tls_mode::require, std::string ca = {}) const {
    return {mode, server.certificate, server.key, std::move(ca), config::tls_version::tls_1_2};
  }
  // Shakes hands; what failed at either side.
  struct both {
    tls::failure acceptor;
    tls::failure connector;
  };
  both shake_hands(const config::listen_tls_settings& listen, const config::server_tls_settings& connect,
                   const std::string& host = "localhost") {
    const auto ours = tls::make_listen_context(listen);
    const auto theirs = tls::make_server_context(connect);
    EXPECT_TRUE(ours) << ours.error().why;
    EXPECT_TRUE(theirs) << theirs.error().why;
    both ends;
    const auto accept = [&]() -> boost::asio::awaitable<void> {
      ends.acceptor = co_await of.right.accept_tls(*ours, of.until);
      if (ends.acceptor) of.right.close();
    };
    deadline until(of.context.get_executor(), long_enough);
    const auto connect_now = [&]() -> boost::asio::awaitable<bool> {
      ends.connector = co_await of.left.connect_tls(*theirs, host, connect.mode, until);
      if (ends.connector) of.left.close();
      co_return true;
    };
    run(of.context, connect_now(), accept());
    return ends;
  }
};

using tls_stream = with_certificates;

TEST_F(tls_stream, carries_bytes_when_both_sides_agree) {
  const both ends = shake_hands(listen_settings(), {tls_mode::require, {}, {}, {}, false});
  ASSERT_EQ(ends.acceptor.why, "");
  ASSERT_EQ(ends.connector.why, "");
  EXPECT_TRUE(of.left.is_tls());
  EXPECT_TRUE(tls::negotiated_postgresql(of.left.ssl()));
  EXPECT_TRUE(tls::negotiated_postgresql(of.right.ssl()));
  const std::string big(300'000, 'y');
  deadline second(of.context.get_executor(), long_enough);
  EXPECT_EQ(run(of.context, read_text(of.right, big.size(), of.until), write_text(of.left, big, second)),
            big);
}

TEST_F(tls_stream, gives_both_sides_the_same_end_point_to_bind_to) {
  shake_hands(listen_settings(), {tls_mode::require, {}, {}, {}, false});
  const auto ours = tls::server_end_point(of.right.ssl(), true);
  const auto theirs = tls::server_end_point(of.left.ssl(), false);
  ASSERT_TRUE(ours && theirs);
  EXPECT_EQ(*ours, *theirs);
  EXPECT_EQ(ours->size(), 32u);
}

TEST_F(tls_stream, verify_full_takes_the_right_host_and_no_other) {
  const config::server_tls_settings connect{tls_mode::verify_full, good.certificate(), {}, {}, false};
  EXPECT_EQ(shake_hands(listen_settings(), connect, "db.example").connector.why, "");
}

TEST_F(tls_stream, verify_full_takes_the_right_address) {
  const config::server_tls_settings connect{tls_mode::verify_full, good.certificate(), {}, {}, false};
  EXPECT_EQ(shake_hands(listen_settings(), connect, "127.0.0.1").connector.why, "");
}

TEST_F(tls_stream, verify_full_refuses_another_host_in_words) {
  const config::server_tls_settings connect{tls_mode::verify_full, good.certificate(), {}, {}, false};
  const both ends = shake_hands(listen_settings(), connect, "db.example.org");
  EXPECT_EQ(ends.connector.why, "certificate refused: hostname mismatch");
  EXPECT_NE(ends.acceptor.why, "");
}

TEST_F(tls_stream, verify_ca_refuses_an_unknown_authority) {
  const config::server_tls_settings connect{tls_mode::verify_ca, other.certificate(), {}, {}, false};
  EXPECT_NE(shake_hands(listen_settings(), connect).connector.why.find("certificate refused"),
            std::string::npos);
}

TEST_F(tls_stream, require_does_not_look_at_the_authority) {
  const config::server_tls_settings connect{tls_mode::require, other.certificate(), {}, {}, false};
  EXPECT_EQ(shake_hands(listen_settings(), connect).connector.why, "");
}

TEST_F(tls_stream, a_listener_that_verifies_refuses_clients_without_a_certificate) {
  const both ends = shake_hands(listen_settings(tls_mode::verify_ca, good.certificate()),
                                {tls_mode::require, {}, {}, {}, false});
  EXPECT_NE(ends.acceptor.why.find("certificate"), std::string::npos) << ends.acceptor.why;
}

TEST_F(tls_stream, a_client_certificate_gives_its_names) {
  const both ends = shake_hands(listen_settings(tls_mode::require, good.certificate()),
                                {tls_mode::require, {}, user.certificate, user.key, false});
  ASSERT_EQ(ends.acceptor.why, "");
  const auto names = tls::peer_certificate(of.right.ssl());
  ASSERT_TRUE(names);
  EXPECT_EQ(names->common_name, "alice");
  EXPECT_EQ(names->distinguished_name, "CN=alice");
}

TEST_F(tls_stream, a_client_certificate_of_another_authority_is_refused) {
  const auto stranger = other.issue("mallory", false);
  const both ends = shake_hands(listen_settings(tls_mode::require, good.certificate()),
                                {tls_mode::require, {}, stranger.certificate, stranger.key, false});
  EXPECT_NE(ends.acceptor.why.find("certificate refused"), std::string::npos) << ends.acceptor.why;
}

TEST_F(tls_stream, an_end_without_close_notify_is_an_end) {
  shake_hands(listen_settings(), {tls_mode::require, {}, {}, {}, false});
  released_stream cut = of.left.release();
  ::shutdown(cut.descriptor, SHUT_WR);
  std::array<std::byte, 1> buffer;
  EXPECT_EQ(run(of.context, of.right.read_some(buffer, of.until)).error(), boost::asio::error::eof);
}

TEST_F(tls_stream, bytes_that_are_no_tls_end_the_handshake) {
  const auto ours = tls::make_listen_context(listen_settings());
  deadline second(of.context.get_executor(), long_enough);
  const auto failure = run(of.context, of.right.accept_tls(*ours, of.until),
                           write_text(of.left, "GET / HTTP/1.1\r\n\r\n", second));
  EXPECT_NE(failure.why, "");
}

TEST_F(tls_stream, a_silent_peer_ends_the_handshake_at_the_deadline) {
  const auto ours = tls::make_listen_context(listen_settings());
  deadline soon(of.context.get_executor(), std::chrono::milliseconds(1));
  EXPECT_EQ(run(of.context, of.right.accept_tls(*ours, soon)).why, "the TLS handshake took too long");
}

using tls_context = with_certificates;

TEST_F(tls_context, is_null_when_tls_is_disabled) {
  EXPECT_EQ(*tls::make_listen_context({}), nullptr);
  EXPECT_EQ(*tls::make_server_context({tls_mode::disable, {}, {}, {}, false}), nullptr);
}

TEST_F(tls_context, reload_keeps_the_old_one_when_a_file_is_bad) {
  tls::context_slot slot;
  ASSERT_TRUE(slot.reload(listen_settings()));
  const auto before = slot.current();
  ASSERT_NE(before, nullptr);
  auto bad = listen_settings();
  bad.key = user.key;
  const auto refused = slot.reload(bad);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().why.find("key values mismatch"), std::string::npos) << refused.error().why;
  EXPECT_EQ(slot.current(), before);
  bad.key = folder.file("missing.key");
  EXPECT_NE(slot.reload(bad).error().why.find("missing.key"), std::string::npos);
  EXPECT_EQ(slot.current(), before);
  ASSERT_TRUE(slot.reload(listen_settings()));
  EXPECT_NE(slot.current(), before);
}

TEST_F(tls_context, refuses_a_key_that_everybody_can_read) {
  std::filesystem::permissions(server.key, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  const auto made = tls::make_listen_context(listen_settings());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().why.find("open to everybody"), std::string::npos);
}

}  // namespace
}  // namespace tidegate::net
