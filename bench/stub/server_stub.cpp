// A server that is never the limit: every simple or extended query is answered at once with the same row,
// whatever it asks for. For measuring what a proxy can do when PostgreSQL does not hold it back
// (bench/README.md).
//
//   server_stub PORT [THREADS]      on 127.0.0.1; one thread unless told otherwise; anybody may log in
//
// It knows no transactions, no errors and no TLS, and takes a Bind of a statement that nobody has prepared.

#include "bench/messages.hpp"
#include "bench/stub/loopback.hpp"
#include "protocol/frame.hpp"

#include <array>
#include <cerrno>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/epoll.h>

namespace {

using namespace tidegate;
using protocol::byte_buffer;
using protocol::bytes;

protocol::byte_buffer greeting() {
  using status = protocol::parameter_status;
  return bench::encoded(protocol::authentication_ok{}, status{"server_version", "15.0"},
                        status{"server_encoding", "UTF8"}, status{"client_encoding", "UTF8"},
                        status{"standard_conforming_strings", "on"}, status{"integer_datetimes", "on"},
                        status{"DateStyle", "ISO, MDY"}, status{"IntervalStyle", "postgres"},
                        status{"TimeZone", "UTC"}, status{"is_superuser", "on"},
                        status{"application_name", ""}, status{"session_authorization", "postgres"},
                        protocol::backend_key_data{.process_id = 1, .key = protocol::as_bytes("none")},
                        protocol::ready_for_query{});
}

// What the server says, in the bytes of the wire, made once.
struct phrases {
  const protocol::command_complete selected{.tag = "SELECT 1"};
  byte_buffer login = greeting();
  byte_buffer simple_answer =
      bench::encoded(bench::one_column(), bench::one_value(), selected, protocol::ready_for_query{});
  byte_buffer parsed = bench::encoded(protocol::parse_complete{});
  byte_buffer bound = bench::encoded(protocol::bind_complete{});
  byte_buffer statement = bench::encoded(protocol::parameter_description{}, bench::one_column());
  byte_buffer portal = bench::encoded(bench::one_column());
  byte_buffer executed = bench::encoded(bench::one_value(), selected);
  byte_buffer closed = bench::encoded(protocol::close_complete{});
  byte_buffer ready = bench::encoded(protocol::ready_for_query{});
};

struct connection {
  byte_buffer unread;  // the beginning of a message
  byte_buffer unsent;
  bool logged_in = false;
};

void say(connection& to, const byte_buffer& words) {
  bench::append(to.unsent, words);
}

// Answers the startup packet at `position`. False: the connection ends.
bool greet(connection& client, bytes packet, const phrases& phrase) {
  const auto opened = protocol::decode_startup_packet(packet);
  if (!opened.has_value() || std::holds_alternative<protocol::cancel_request>(*opened)) return false;
  if (std::holds_alternative<protocol::startup_message>(*opened)) {
    client.logged_in = true;
    say(client, phrase.login);
  } else {
    client.unsent.push_back(static_cast<std::byte>(protocol::refuse_encryption));
  }
  return true;
}

bool answer(connection& client, bytes message, const phrases& phrase) {
  switch (static_cast<char>(message[0])) {
    case 'Q':
      say(client, phrase.simple_answer);
      return true;
    case 'P':
      say(client, phrase.parsed);
      return true;
    case 'B':
      say(client, phrase.bound);
      return true;
    case 'D':
      say(client,
          static_cast<char>(message[protocol::frame_header_size]) == 'S' ? phrase.statement : phrase.portal);
      return true;
    case 'E':
      say(client, phrase.executed);
      return true;
    case 'C':
      say(client, phrase.closed);
      return true;
    case 'S':
      say(client, phrase.ready);
      return true;
    default:
      return static_cast<char>(message[0]) == 'H';  // Flush: what there is to say is sent anyway
  }
}

// Answers each whole message of `input`; what is left of it is kept. False: the connection ends.
bool answer_all(connection& client, bytes input, const phrases& phrase) {
  if (!client.unread.empty()) {
    client.unread.insert(client.unread.end(), input.begin(), input.end());
    input = client.unread;
  }
  std::size_t at = 0;
  for (;;) {
    if (!client.logged_in) {
      const bytes rest = input.subspan(at);
      if (rest.size() < 4) break;
      const std::uint32_t length = protocol::load_uint32(rest.data());
      if (length < protocol::min_startup_length || length > protocol::max_startup_length) return false;
      if (rest.size() < length) break;
      if (!greet(client, rest.subspan(4, length - 4), phrase)) return false;
      at += length;
      continue;
    }
    const auto peek = protocol::peek_frame(input, at, protocol::max_frontend_length);
    if (peek.status == protocol::frame_status::need_more) break;
    if (peek.status != protocol::frame_status::ready) return false;
    const std::size_t total = peek.header.total_size();
    if (input.size() - at < total) break;
    if (!answer(client, input.subspan(at, total), phrase)) return false;
    at += total;
  }
  const bytes rest = input.subspan(at);
  if (client.unread.empty())
    client.unread.assign(rest.begin(), rest.end());
  else
    client.unread.erase(client.unread.begin(), client.unread.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

// One thread's connections.
class service {
 public:
  service(std::uint16_t port, const phrases& phrase)
      : phrase_(phrase), listener_(bench::listen_on(port)), poller_(::epoll_create1(EPOLL_CLOEXEC)) {
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 128> events;
    for (;;) {
      const int count = ::epoll_wait(poller_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
        if (descriptor == listener_) {
          accept();
        } else if (!advance(descriptor)) {
          connections_.erase(descriptor);
          ::close(descriptor);
        }
      }
    }
  }

 private:
  void accept() {
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0) return;  // it has gone again, or another thread has it
    bench::set_option(descriptor, IPPROTO_TCP, TCP_NODELAY);
    connections_.try_emplace(descriptor);
    watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
  }

  // Reads, answers, sends. While an answer waits for room, nothing is read. False: the connection ends.
  bool advance(int descriptor) {
    connection& client = connections_.at(descriptor);
    const bool was_waiting = !client.unsent.empty();
    if (!was_waiting) {
      const ssize_t got = ::recv(descriptor, buffer_.data(), buffer_.size(), 0);
      if (got < 0 && errno == EAGAIN) return true;
      if (got <= 0) return false;
      if (!answer_all(client, bytes(buffer_).subspan(0, static_cast<std::size_t>(got)), phrase_))
        return false;
      if (client.unsent.empty()) return true;
    }
    const ssize_t sent = ::send(descriptor, client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) client.unsent.erase(client.unsent.begin(), client.unsent.begin() + sent);
    const bool waits = !client.unsent.empty();
    if (waits != was_waiting) watch(EPOLL_CTL_MOD, descriptor, waits ? EPOLLOUT : EPOLLIN);
    return true;
  }

  void watch(int operation, int descriptor, std::uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.fd = descriptor;
    if (::epoll_ctl(poller_, operation, descriptor, &event) != 0) bench::give_up("epoll_ctl");
  }

  const phrases& phrase_;
  int listener_;
  int poller_;
  std::unordered_map<int, connection> connections_;
  std::array<std::byte, 64 * 1024> buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: server_stub PORT [THREADS]\n");
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const phrases phrase;
  std::vector<std::thread> threads;
  for (int i = 1; i < (argc == 3 ? std::atoi(argv[2]) : 1); ++i)
    threads.emplace_back([&] { std::make_unique<service>(port, phrase)->run(); });
  std::make_unique<service>(port, phrase)->run();
}
