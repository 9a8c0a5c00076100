// Both pollers keep the same promises (proxy/net/poller.hpp).

#include "proxy/net/poller.hpp"

#include "protocol/bytes.hpp"
#include "tests/support/coroutines.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

using boost::system::error_code;
using protocol::as_bytes;
using protocol::as_text;

std::pair<int, int> unix_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {ends[0], ends[1]};
}

// Bytes that tell their place.
std::string numbered(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 31 + i / 251) % 256);
  return text;
}

// A channel in the poller and, at its other end, a socket of the test's own that never blocks.
class connection final : public channel_handler {
 public:
  connection(poller& on, std::pair<int, int> ends, bool known = false) : peer(ends.second), on_(on) {
    for (const int one : {ends.first, ends.second}) ::fcntl(one, F_SETFL, ::fcntl(one, F_GETFL) | O_NONBLOCK);
    released_stream stream;
    stream.descriptor = ends.first;
    stream.known = known;
    end.emplace(*this, std::move(stream));
    on_.add(*end);
  }
  ~connection() {
    if (end) on_.remove(*end);
    close_peer();
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void remove() {
    on_.remove(*end);
    end.reset();
  }
  void send(std::string_view text) { on_.send(*end, as_bytes(text)); }

  // The other end. Returns how much was taken.
  std::size_t peer_sends(std::string_view text) const {
    const ssize_t n = ::send(peer, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  // Takes what is there.
  void peer_reads() {
    std::array<char, 100'000> buffer;
    for (;;) {
      const ssize_t n = ::recv(peer, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0) {
        peer_got.append(buffer.data(), static_cast<std::size_t>(n));
        continue;
      }
      if (n == 0) peer_sees_end = true;
      if (n < 0 && errno != EAGAIN) peer_sees_error = true;
      return;
    }
  }
  void close_peer() {
    if (peer >= 0) ::close(std::exchange(peer, -1));
  }
  void reset_peer() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close_peer();
  }

  void on_received(channel& from, std::span<const std::byte> bytes) override {
    enter_call(from);
    EXPECT_FALSE(ended || error);
    got += as_text(bytes);
    ++deliveries;
    if (received) received(bytes);
    depth_ = 0;
  }
  void on_drained(channel& to) override {
    enter_call(to);
    EXPECT_EQ(to.unsent(), 0u);
    ++drained;
    if (when_drained) when_drained();
    depth_ = 0;
  }
  void on_ended(channel& from, error_code why) override {
    enter_call(from);
    EXPECT_FALSE(why ? error : ended);
    (why ? error : ended) = true;
    if (when_ended) when_ended();
    depth_ = 0;
  }
  void on_closing(channel& from) override {
    enter_call(from);
    ++closing;
    depth_ = 0;
  }

  std::optional<channel> end;
  int peer;
  std::string got, peer_got;
  bool peer_sees_end = false, peer_sees_error = false;
  int deliveries = 0, drained = 0, closing = 0;
  bool ended = false, error = false;
  std::function<void(std::span<const std::byte>)> received;
  std::function<void()> when_drained, when_ended;

 private:
  void enter_call(channel& about) {
    EXPECT_EQ(&about, end ? &*end : nullptr);
    EXPECT_EQ(std::exchange(depth_, 1), 0) << "a call within a call";
  }

  static inline int depth_ = 0;  // of all connections
  poller& on_;
};

class a_poller : public ::testing::TestWithParam<relay> {
 protected:
  void SetUp() override {
    if (GetParam() == relay::io_uring) {
      if (const std::string obstacle = io_uring_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
    }
    poller_ = make_poller(context);
  }

  std::unique_ptr<poller> make_poller(boost::asio::io_context& on) const {
    return GetParam() == relay::io_uring ? make_io_uring_poller(on) : make_epoll_poller(on);
  }

  // What is relayed is no handler of the context's, so that running it until it has called one is no way to
  // wait.
  void run_for(std::chrono::milliseconds time) {
    context.restart();
    context.run_for(time);
    other_context.restart();
    other_context.poll();
  }
  void until(const std::function<bool()>& condition) {
    const auto begin = std::chrono::steady_clock::now();
    while (!condition()) {
      if (std::chrono::steady_clock::now() - begin > testing::patience)
        throw std::runtime_error("nothing happens any more");
      run_for(std::chrono::milliseconds(1));
    }
  }
  // Runs what there is to run, and a little longer.
  void settle() { run_for(std::chrono::milliseconds(50)); }

  boost::asio::io_context other_context{1};  // of another thread, were this a gateway
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  std::unique_ptr<poller> poller_;
};

INSTANTIATE_TEST_SUITE_P(, a_poller, ::testing::Values(relay::epoll, relay::io_uring), [](const auto& of) {
  return of.param == relay::epoll ? "on_epoll" : "on_io_uring";
});

TEST_P(a_poller, carries_bytes_both_ways) {
  for (const auto& ends : {testing::tcp_pair(), unix_pair()}) {
    connection c(*poller_, ends);
    c.peer_sends("ping");
    until([&] { return c.got == "ping"; });
    c.send("pong");
    until([&] { return c.peer_reads(), c.peer_got == "pong"; });
    EXPECT_EQ(c.end->unsent(), 0u);
  }
}

TEST_P(a_poller, keeps_the_order_of_what_a_handler_sends_from_here_and_there) {
  connection c(*poller_, testing::tcp_pair());
  c.received = [&](std::span<const std::byte> bytes) {
    for (const std::byte& one : bytes) {
      poller_->send(*c.end, std::span(&one, 1));
      std::string mine = "-";
      poller_->send(*c.end, as_bytes(mine));
      mine = "x";
    }
  };
  const std::string text = numbered(5000);
  std::string expected;
  for (const char one : text) expected += {one, '-'};
  c.peer_sends(text);
  until([&] { return c.peer_reads(), c.peer_got.size() >= expected.size(); });
  EXPECT_TRUE(c.peer_got == expected);
}

TEST_P(a_poller, keeps_what_the_kernel_does_not_take_and_says_when_it_has) {
  for (const auto& ends : {testing::tcp_pair(), unix_pair()}) {
    connection c(*poller_, ends);
    const std::string much = numbered(20'000'000);
    c.send(much);
    EXPECT_GT(c.end->unsent(), 0u);
    EXPECT_EQ(c.drained, 0);
    c.send("and this");
    until([&] { return c.peer_reads(), c.drained != 0; });
    until([&] { return c.peer_reads(), c.peer_got.size() == much.size() + 8; });
    EXPECT_EQ(c.drained, 1);
    EXPECT_TRUE(c.peer_got == much + "and this");
  }
}

TEST_P(a_poller, tells_of_much_that_a_handler_sends_before_it_is_done) {
  connection c(*poller_, testing::tcp_pair());
  const std::string much = numbered(20'000'000);
  std::size_t unsent = 0;
  c.received = [&](auto) {
    c.send(much);
    unsent = c.end->unsent();
    c.received = {};
  };
  c.peer_sends("go");
  until([&] { return c.peer_reads(), c.drained != 0; });
  until([&] { return c.peer_reads(), c.peer_got.size() == much.size(); });
  EXPECT_GT(unsent, 0u);
  EXPECT_TRUE(c.peer_got == much);
}

TEST_P(a_poller, receives_nothing_while_reading_is_off_and_all_of_it_afterwards) {
  connection c(*poller_, testing::tcp_pair());
  settle();
  poller_->set_reading(*c.end, false);
  const std::string text = numbered(3'000'000);
  std::size_t sent = c.peer_sends(text);
  settle();
  EXPECT_EQ(c.got, "");
  poller_->set_reading(*c.end, true);
  until([&] {
    sent += c.peer_sends(std::string_view(text).substr(sent));
    return c.got.size() == text.size();
  });
  EXPECT_TRUE(c.got == text);
}

TEST_P(a_poller, delivers_nothing_to_a_handler_that_has_just_turned_reading_off) {
  for (const auto& ends : {testing::tcp_pair(), unix_pair()}) {
    connection c(*poller_, ends);
    settle();
    c.received = [&](auto) { poller_->set_reading(*c.end, false); };
    const std::string text = numbered(40'000'000);
    std::size_t sent = 0;
    for (;;) {
      const std::size_t more = c.peer_sends(std::string_view(text).substr(sent));
      sent += more;
      settle();
      if (more == 0) break;
    }
    EXPECT_EQ(c.deliveries, 1);
    EXPECT_LT(sent, text.size()) << "somebody takes it all in";
    c.received = {};
    poller_->set_reading(*c.end, true);
    until([&] { return c.got.size() == sent; });
    EXPECT_TRUE(c.got == text.substr(0, sent));
  }
}

TEST_P(a_poller, goes_on_when_reading_is_turned_off_and_on_again_at_once) {
  connection c(*poller_, testing::tcp_pair());
  const std::string text = numbered(5'000'000);
  c.received = [&](auto) {
    poller_->set_reading(*c.end, false);
    boost::asio::post(context, [&] {
      poller_->set_reading(*c.end, true);
      poller_->set_reading(*c.end, false);
      poller_->set_reading(*c.end, true);
    });
  };
  std::size_t sent = 0;
  until([&] {
    sent += c.peer_sends(std::string_view(text).substr(sent));
    return c.got.size() == text.size();
  });
  EXPECT_TRUE(c.got == text);
}

TEST_P(a_poller, tells_that_the_peer_sends_no_more_and_still_sends_to_it) {
  connection c(*poller_, testing::tcp_pair());
  c.peer_sends("last");
  ::shutdown(c.peer, SHUT_WR);
  until([&] { return c.ended; });
  EXPECT_EQ(c.got, "last");
  EXPECT_FALSE(c.error);
  c.send("answer");
  until([&] { return c.peer_reads(), c.peer_got == "answer"; });
  c.reset_peer();
  until([&] { return c.error; });
}

TEST_P(a_poller, is_at_rest_while_a_peer_that_sends_no_more_does_not_read_either) {
  connection c(*poller_, testing::tcp_pair());
  ::shutdown(c.peer, SHUT_WR);
  until([&] { return c.ended; });
  c.send(numbered(20'000'000));
  settle();
  const auto cpu_time = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  const auto before = cpu_time();
  run_for(std::chrono::milliseconds(300));
  EXPECT_LT(cpu_time() - before, std::chrono::milliseconds(50)) << "it spins";
  until([&] { return c.peer_reads(), c.drained != 0; });
}

TEST_P(a_poller, tells_that_the_peer_goes_while_reading_is_off) {
  connection c(*poller_, testing::tcp_pair());
  c.peer_sends("first");
  until([&] { return c.got == "first"; });
  poller_->set_reading(*c.end, false);
  settle();
  c.peer_sends(" unread");
  c.close_peer();
  until([&] { return c.closing == 1; });
  settle();
  EXPECT_EQ(c.got, "first");
  EXPECT_FALSE(c.ended || c.error);
  EXPECT_EQ(c.closing, 1);
  poller_->set_reading(*c.end, true);
  until([&] { return c.ended; });
  EXPECT_EQ(c.got, "first unread");
}

TEST_P(a_poller, tells_that_the_peer_has_gone_before_reading_was_turned_off) {
  connection c(*poller_, testing::tcp_pair());
  c.received = [&](auto) { poller_->set_reading(*c.end, false); };
  c.peer_sends("first");
  ::shutdown(c.peer, SHUT_WR);
  until([&] { return c.closing == 1; });
  EXPECT_FALSE(c.ended || c.error);
  poller_->set_reading(*c.end, true);
  until([&] { return c.ended; });
}

TEST_P(a_poller, tells_of_a_reset_whether_reading_is_on_or_off) {
  for (const bool reading : {true, false}) {
    connection c(*poller_, testing::tcp_pair());
    settle();
    poller_->set_reading(*c.end, reading);
    settle();
    c.reset_peer();
    until([&] { return c.error; });
    EXPECT_TRUE(c.end->broken());
    c.send("into the void");
    settle();
  }
}

TEST_P(a_poller, tells_of_a_failed_send_later_and_once) {
  connection c(*poller_, testing::tcp_pair());
  settle();
  poller_->set_reading(*c.end, false);
  settle();
  ::shutdown(c.end->stream().descriptor, SHUT_WR);
  c.send("one");
  c.send("two");
  EXPECT_FALSE(c.error);
  until([&] { return c.error; });
  settle();
}

TEST_P(a_poller, tells_of_a_failed_send_of_a_handler_later_and_once) {
  connection c(*poller_, testing::tcp_pair());
  c.received = [&](auto) {
    ::shutdown(c.end->stream().descriptor, SHUT_WR);
    c.send("one");
    c.send("two");
    EXPECT_FALSE(c.error);
  };
  c.peer_sends("go");
  until([&] { return c.error; });
  settle();
}

TEST_P(a_poller, shuts_down_behind_what_is_unsent) {
  connection c(*poller_, testing::tcp_pair());
  const std::string much = numbered(20'000'000);
  c.received = [&](auto) {
    c.send(much);
    poller_->shut_down_sending(*c.end);
  };
  c.peer_sends("go");
  until([&] { return c.peer_reads(), c.peer_sees_end; });
  EXPECT_TRUE(c.peer_got == much);
  c.received = {};
  c.peer_sends("more");
  until([&] { return c.got == "gomore"; });
}

TEST_P(a_poller, shuts_down_behind_what_a_handler_has_just_sent) {
  connection c(*poller_, testing::tcp_pair());
  c.received = [&](auto) {
    c.send("bye");
    poller_->shut_down_sending(*c.end);
  };
  c.peer_sends("go");
  until([&] { return c.peer_reads(), c.peer_sees_end; });
  EXPECT_EQ(c.peer_got, "bye");
}

TEST_P(a_poller, removes_a_channel_within_its_own_calls) {
  connection c(*poller_, testing::tcp_pair());
  c.received = [&](std::span<const std::byte> bytes) {
    c.send("bye");
    EXPECT_EQ(as_text(bytes), "go");
    c.remove();
  };
  c.peer_sends("go");
  until([&] { return c.peer_reads(), c.peer_sees_end || c.peer_sees_error; });
  EXPECT_EQ(c.peer_got, "bye");

  connection second(*poller_, testing::tcp_pair());
  second.when_ended = [&] { second.remove(); };
  ::shutdown(second.peer, SHUT_WR);
  until([&] { return second.peer_reads(), second.peer_sees_end; });

  connection third(*poller_, testing::tcp_pair());
  third.when_drained = [&] { third.remove(); };
  third.send(numbered(20'000'000));
  until([&] { return third.peer_reads(), third.peer_sees_end; });
  EXPECT_EQ(third.peer_got.size(), 20'000'000u);
}

TEST_P(a_poller, removes_another_channel_that_has_news_in_the_same_batch) {
  connection one(*poller_, testing::tcp_pair());
  connection other(*poller_, testing::tcp_pair());
  settle();
  const auto remove_both = [&](auto) {
    if (one.end) one.remove();
    if (other.end) other.remove();
  };
  one.received = other.received = remove_both;
  one.peer_sends("x");
  other.peer_sends("y");
  until([&] {
    one.peer_reads();
    other.peer_reads();
    return (one.peer_sees_end || one.peer_sees_error) && (other.peer_sees_end || other.peer_sees_error);
  });
  EXPECT_EQ(one.deliveries + other.deliveries, 1);
}

TEST_P(a_poller, closes_what_was_removed_although_reading_was_off_or_bytes_unsent) {
  connection c(*poller_, testing::tcp_pair());
  settle();
  poller_->set_reading(*c.end, false);
  c.send(numbered(20'000'000));
  settle();
  c.remove();
  until([&] { return c.peer_reads(), c.peer_sees_end || c.peer_sees_error; });
}

// As a session does: what comes from one goes to the other, and the end comes behind it.
TEST_P(a_poller, loses_nothing_when_the_sender_ends_and_the_reader_is_slow) {
  for (const std::size_t size : {10'000u, 3'000'000u, 30'000'000u}) {
    connection from(*poller_, testing::tcp_pair());
    connection to(*poller_, testing::tcp_pair());
    const auto update = [&] { poller_->set_reading(*from.end, to.end->unsent() == 0); };
    const auto finish = [&] {
      poller_->shut_down_sending(*to.end);
      boost::asio::post(context, [&] { to.remove(); });
    };
    from.received = [&](std::span<const std::byte> bytes) {
      poller_->send(*to.end, bytes);
      update();
    };
    from.when_ended = [&] {
      if (to.end->unsent() == 0) finish();
    };
    to.when_drained = [&] { from.ended ? finish() : update(); };
    const std::string text = numbered(size);
    std::thread sender([&] {
      ::fcntl(from.peer, F_SETFL, ::fcntl(from.peer, F_GETFL) & ~O_NONBLOCK);
      EXPECT_EQ(::send(from.peer, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
      ::shutdown(from.peer, SHUT_WR);
    });
    until([&] {
      settle();
      to.peer_reads();
      return to.peer_sees_end;
    });
    sender.join();
    EXPECT_TRUE(to.peer_got == text) << size << " sent, " << to.peer_got.size() << " arrived";
  }
}

TEST_P(a_poller, knows_what_is_unsent_when_the_end_comes_with_the_last_bytes) {
  connection from(*poller_, unix_pair());
  const auto ends = unix_pair();
  const int little = 4096;
  ::setsockopt(ends.first, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
  connection to(*poller_, ends);
  from.received = [&](std::span<const std::byte> bytes) { poller_->send(*to.end, bytes); };
  std::size_t unsent = 0;
  from.when_ended = [&] { unsent = to.end->unsent(); };
  const std::string text = numbered(100'000);
  ASSERT_EQ(from.peer_sends(text), text.size());
  ::shutdown(from.peer, SHUT_WR);
  until([&] { return from.ended; });
  EXPECT_GT(unsent, 0u);
  until([&] { return to.peer_reads(), to.drained != 0; });
  to.peer_reads();
  EXPECT_TRUE(to.peer_got == text);
}

TEST_P(a_poller, serves_more_channels_at_once_than_it_has_buffers) {
  std::vector<std::unique_ptr<connection>> all;
  for (int i = 0; i < 400; ++i) {
    auto& c = *all.emplace_back(std::make_unique<connection>(*poller_, unix_pair()));
    c.received = [&](std::span<const std::byte> bytes) { poller_->send(*c.end, bytes); };
  }
  settle();
  const std::string text = numbered(60'000);
  for (int round = 1; round <= 3; ++round) {
    for (auto& c : all) ASSERT_EQ(c->peer_sends(text), text.size());
    until([&] {
      return std::all_of(all.begin(), all.end(), [&](auto& c) {
        c->peer_reads();
        return c->peer_got.size() == round * text.size();
      });
    });
  }
  for (auto& c : all) EXPECT_TRUE(c->peer_got == text + text + text);
}

TEST_P(a_poller, leaves_turns_to_the_rest_of_the_thread) {
  connection c(*poller_, testing::tcp_pair());
  bool stop = false;
  std::thread sender([&, peer = c.peer] {
    ::fcntl(peer, F_SETFL, ::fcntl(peer, F_GETFL) & ~O_NONBLOCK);
    const std::string text(100'000, 'x');
    while (::send(peer, text.data(), text.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  c.received = [&](auto) { c.got.clear(); };
  int turns = 0;
  std::function<void()> other = [&] {
    if (++turns == 200) stop = true;
    if (!stop) boost::asio::post(context, other);
  };
  until([&] { return c.deliveries > 10; });
  other();
  until([&] { return stop; });
  c.remove();
  settle();
  sender.join();
}

TEST_P(a_poller, waits_as_long_as_it_takes_and_misses_nothing) {
  connection c(*poller_, unix_pair());
  const std::string text = numbered(20'000'000);
  std::thread sender([&, peer = c.peer] {
    ::fcntl(peer, F_SETFL, ::fcntl(peer, F_GETFL) & ~O_NONBLOCK);
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t n = ::send(peer, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
  });
  c.received = [&](auto) {
    if (c.got.size() == text.size()) context.stop();
  };
  boost::asio::steady_timer patience(context, testing::patience);
  patience.async_wait([&](error_code) { context.stop(); });
  context.run();
  EXPECT_TRUE(c.got == text);
  c.remove();
  sender.join();
}

TEST_P(a_poller, is_woken_by_what_the_rest_of_the_thread_and_other_threads_post) {
  connection c(*poller_, testing::tcp_pair());
  std::atomic<int> turns{0};
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      while (turns.load() != i) std::this_thread::yield();
      boost::asio::post(context, [&] { c.peer_sends("x"); });
    }
  });
  c.received = [&](auto) {
    boost::asio::post(context, [&] {
      if (++turns == 1000) context.stop();
    });
  };
  context.run();
  other.join();
  EXPECT_EQ(c.got.size(), 1000u);
}

TEST_P(a_poller, gives_a_channel_to_another_and_loses_nothing) {
  const auto other = make_poller(other_context);
  for (const auto& ends : {testing::tcp_pair(), unix_pair()}) {
    connection c(*poller_, ends);
    settle();
    poller* has_it = poller_.get();
    std::string sent;
    for (int round = 0; round < 50; ++round) {
      const auto say = [&] {
        sent += c.peer_sends(std::to_string(round) + ",") != 0 ? std::to_string(round) + "," : "";
      };
      say();
      // With and without something to receive at that moment.
      if (round % 3 == 0) until([&] { return c.got == sent; });
      bool given = false;
      has_it->release(*c.end, [&](std::vector<std::byte> unread) {
        c.got += as_text(unread);
        given = true;
      });
      say();
      EXPECT_FALSE(given) << "not within the call";
      until([&] { return given; });
      say();
      const std::size_t told = c.got.size();
      if (round % 5 == 0) settle();
      EXPECT_EQ(c.got.size(), told) << "nobody has it";
      has_it = has_it == poller_.get() ? other.get() : poller_.get();
      has_it->add(*c.end);
      until([&] { return c.got == sent; });
      has_it->send(*c.end, as_bytes(std::string("!")));
      until([&] { return c.peer_reads(), c.peer_got.size() == static_cast<std::size_t>(round) + 1; });
    }
    c.close_peer();
    until([&] { return c.ended || c.error; });
    has_it->remove(*c.end);
    c.end.reset();
  }
}

TEST_P(a_poller, gives_a_channel_whose_peer_has_gone_and_its_end_is_found_again) {
  const auto other = make_poller(other_context);
  connection c(*poller_, testing::tcp_pair());
  settle();
  bool given = false;
  poller_->release(*c.end, [&](std::vector<std::byte> unread) {
    c.got += as_text(unread);
    given = true;
  });
  c.peer_sends("last words");
  c.close_peer();
  until([&] { return given; });
  EXPECT_FALSE(c.ended || c.error);
  other->add(*c.end);
  until([&] { return c.got == "last words" && (c.ended || c.error); });
  other->remove(*c.end);
  c.end.reset();
}

// ---- descriptors that are no channels yet ----

struct noted_read final : awaited_read {
  explicit noted_read(std::function<void()> what) : when_readable(std::move(what)) {}
  void on_readable() override { when_readable(); }
  std::function<void()> when_readable;
};

TEST_P(a_poller, tells_once_that_a_descriptor_is_readable_and_again_when_asked_again) {
  for (const auto& ends : {testing::tcp_pair(), unix_pair()}) {
    int told = 0;
    bool known = false;
    const auto await = [&] {
      std::unique_ptr<awaited_read> reader = std::make_unique<noted_read>([&] { ++told; });
      ASSERT_FALSE(poller_->await(ends.first, known, reader));
      ASSERT_EQ(reader, nullptr);
    };
    await();
    settle();
    EXPECT_EQ(told, 0);
    ASSERT_EQ(::send(ends.second, "x", 1, MSG_NOSIGNAL), 1);
    until([&] { return told == 1; });
    settle();
    EXPECT_EQ(told, 1);
    await();  // what is there already is told too
    until([&] { return told == 2; });
    char byte = 0;
    ASSERT_EQ(::recv(ends.first, &byte, 1, 0), 1);
    await();
    settle();
    EXPECT_EQ(told, 2);
    ::close(ends.second);
    until([&] { return told == 3; });
    ::close(ends.first);
  }
}

TEST_P(a_poller, makes_a_channel_of_a_descriptor_that_was_waited_for) {
  const auto ends = testing::tcp_pair();
  bool known = false, told = false;
  std::unique_ptr<awaited_read> reader = std::make_unique<noted_read>([&] { told = true; });
  ASSERT_FALSE(poller_->await(ends.first, known, reader));
  ASSERT_EQ(::send(ends.second, "first", 5, MSG_NOSIGNAL), 5);
  until([&] { return told; });
  connection c(*poller_, ends, known);
  until([&] { return c.got == "first"; });
  c.peer_sends(" second");
  until([&] { return c.got == "first second"; });
  // Another poller knows nothing of what this one has met.
  auto second = make_poller(other_context);
  bool released = false;
  poller_->release(*c.end, [&](auto) { released = true; });
  until([&] { return released; });
  second->add(*c.end);
  c.peer_sends(" third");
  until([&] { return c.got == "first second third"; });
  second->remove(*c.end);
  c.end.reset();
  settle();
}

TEST_P(a_poller, forgets_who_waited_and_the_descriptors_number_may_be_anothers) {
  const auto ends = testing::tcp_pair();
  bool known = false, told = false;
  std::unique_ptr<awaited_read> reader = std::make_unique<noted_read>([&] { told = true; });
  awaited_read& waited = *reader;
  ASSERT_FALSE(poller_->await(ends.first, known, reader));
  settle();
  ASSERT_EQ(poller_->forget(ends.first, known, waited).get(), &waited);
  ASSERT_EQ(::send(ends.second, "x", 1, MSG_NOSIGNAL), 1);
  settle();
  EXPECT_FALSE(told);
  // … and can be waited for anew.
  reader = std::make_unique<noted_read>([&] { told = true; });
  ASSERT_FALSE(poller_->await(ends.first, known, reader));
  until([&] { return told; });
  ::close(ends.first);
  ::close(ends.second);
}

TEST_P(a_poller, forgets_one_whose_news_is_in_the_batch_at_hand) {
  const auto first = testing::tcp_pair(), second = testing::tcp_pair();
  bool knows_first = false, knows_second = false;
  awaited_read *waits_first = nullptr, *waits_second = nullptr;
  int told = 0;
  const auto await = [&](int descriptor, bool& known, awaited_read*& mine, std::function<void()> forget) {
    std::unique_ptr<awaited_read> reader = std::make_unique<noted_read>([&told, forget = std::move(forget)] {
      ++told;
      forget();
    });
    mine = reader.get();
    ASSERT_FALSE(poller_->await(descriptor, known, reader));
  };
  await(first.first, knows_first, waits_first,
        [&] { poller_->forget(second.first, knows_second, *waits_second); });
  await(second.first, knows_second, waits_second,
        [&] { poller_->forget(first.first, knows_first, *waits_first); });
  for (const int peer : {first.second, second.second}) ASSERT_EQ(::send(peer, "x", 1, MSG_NOSIGNAL), 1);
  until([&] { return told != 0; });
  settle();
  EXPECT_EQ(told, 1);
  for (const int each : {first.first, first.second, second.first, second.second}) ::close(each);
}

TEST_P(a_poller, takes_who_waits_along_when_it_ends) {
  const auto ends = testing::tcp_pair();
  bool known = false;
  const auto held = std::make_shared<int>();
  std::unique_ptr<awaited_read> reader = std::make_unique<noted_read>([held] {});
  ASSERT_FALSE(poller_->await(ends.first, known, reader));
  settle();
  EXPECT_EQ(held.use_count(), 2);
  poller_.reset();
  EXPECT_EQ(held.use_count(), 1);
  ::close(ends.first);
  ::close(ends.second);
}

TEST_P(a_poller, ends_with_channels_still_in_it) {
  connection c(*poller_, testing::tcp_pair());
  settle();
  c.peer_sends("unread");
  c.end.reset();
  poller_.reset();
}

TEST_P(a_poller, takes_the_time_of_the_latest_batch) {
  connection c(*poller_, testing::tcp_pair());
  const auto before = std::chrono::steady_clock::now();
  c.peer_sends("x");
  until([&] { return c.got == "x"; });
  EXPECT_GE(poller_->now(), before);
  EXPECT_LE(poller_->now(), std::chrono::steady_clock::now());
}

}  // namespace
}  // namespace tidegate::net
