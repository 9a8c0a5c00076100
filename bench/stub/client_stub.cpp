// A load that costs little itself: clients that each send a batch of the same query and wait for its answers,
// in one thread. Logs in, says so and waits for the word, so that whoever measures can look at a proxy with
// every client connected and nothing going on (bench/load/workloads.py).
//
//   client_stub PORT simple|extended|prepared CLIENTS BATCH SECONDS
//
// Prints "ready"; a line on standard input starts the load. Then prints batches, seconds, p50 and p99 in
// microseconds, and keeps its connections until standard input ends.

#include "bench/messages.hpp"
#include "bench/stub/loopback.hpp"
#include "protocol/frame.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <sys/epoll.h>

namespace {

using namespace tidegate;
using protocol::byte_buffer;
using protocol::bytes;
using clock_type = std::chrono::steady_clock;

constexpr std::string_view statement_name = "P0";

[[noreturn]] void complain(const std::string& what) {
  std::fprintf(stderr, "client_stub: %s\n", what.c_str());
  std::exit(3);
}

protocol::parse parse_of(std::string_view statement) {
  return {.statement = statement, .query = bench::point_select_with_parameter, .parameter_types = {}};
}

// What a client sends at a time, and how many ReadyForQuery end the answer.
struct batch {
  byte_buffer request;
  int answers = 1;
};

batch make_batch(std::string_view mode, int size) {
  batch made;
  protocol::writer w(made.request);
  for (int i = 0; i < size; ++i) {
    if (mode == "simple") {
      encode(w, protocol::query{bench::point_select});
      continue;
    }
    if (mode == "extended") encode(w, parse_of(""));
    encode(w, bench::bind_one_value(mode == "prepared" ? statement_name : ""));
    encode(w, protocol::execute{});
  }
  if (mode == "simple")
    made.answers = size;
  else
    encode(w, protocol::sync{});
  return made;
}

void send_whole(int descriptor, bytes data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(descriptor, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0) bench::give_up("send");
    data = data.subspan(static_cast<std::size_t>(sent));
  }
}

// Counts the ReadyForQuery of a stream, whose messages may come in any pieces.
class answer_counter {
 public:
  int add(bytes input) {
    int ready = 0;
    unread_.insert(unread_.end(), input.begin(), input.end());
    std::size_t at = 0;
    for (;;) {
      const auto peek = protocol::peek_frame(unread_, at, protocol::max_backend_length);
      if (peek.status == protocol::frame_status::need_more) break;
      if (peek.status != protocol::frame_status::ready) complain("not PostgreSQL's protocol");
      if (unread_.size() - at < peek.header.total_size()) break;
      if (peek.header.type == 'E')
        complain("refused: " +
                 std::string(protocol::as_text(bytes(unread_).subspan(at, peek.header.total_size()))));
      ready += peek.header.type == 'Z';
      at += peek.header.total_size();
    }
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(at));
    return ready;
  }

 private:
  byte_buffer unread_;
};

struct client {
  int descriptor = -1;
  answer_counter answers;
  int owed = 0;
  clock_type::time_point asked;
};

void wait_for_answer(client& waiting) {
  std::array<std::byte, 16 * 1024> buffer;
  while (waiting.owed > 0) {
    const ssize_t got = ::recv(waiting.descriptor, buffer.data(), buffer.size(), 0);
    if (got <= 0) complain("the connection was closed");
    waiting.owed -= waiting.answers.add(bytes(buffer).subspan(0, static_cast<std::size_t>(got)));
  }
}

client log_in(std::uint16_t port, std::string_view mode) {
  client made;
  made.descriptor = bench::connect_to(port);
  made.owed = 1;
  send_whole(made.descriptor, bench::encoded(protocol::startup_message{
                                  .version = protocol::protocol_3_0,
                                  .parameters = {{"user", "postgres"}, {"database", "postgres"}}}));
  wait_for_answer(made);
  if (mode == "prepared") {
    made.owed = 1;
    send_whole(made.descriptor, bench::encoded(parse_of(statement_name), protocol::sync{}));
    wait_for_answer(made);
  }
  return made;
}

void ask(client& asking, const batch& what) {
  asking.owed = what.answers;
  asking.asked = clock_type::now();
  send_whole(asking.descriptor, what.request);
}

// The load: every client asks again as soon as it has its answers, until the time is over and all are
// answered. The latencies of the batches in microseconds.
std::vector<std::uint32_t> run(std::vector<client>& clients, const batch& what,
                               std::chrono::duration<double> length) {
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (::epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].descriptor, &event) != 0) bench::give_up("epoll_ctl");
  }
  std::vector<std::uint32_t> latencies;
  std::array<std::byte, 64 * 1024> buffer;
  std::array<epoll_event, 128> events;
  const auto end = clock_type::now() + length;
  for (client& each : clients) ask(each, what);
  for (std::size_t asking = clients.size(); asking > 0;) {
    const int count = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      client& at = clients[events[static_cast<std::size_t>(i)].data.u64];
      const ssize_t got = ::recv(at.descriptor, buffer.data(), buffer.size(), 0);
      if (got <= 0) complain("a connection was closed");
      at.owed -= at.answers.add(bytes(buffer).subspan(0, static_cast<std::size_t>(got)));
      if (at.owed > 0) continue;
      const auto now = clock_type::now();
      latencies.push_back(static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(now - at.asked).count()));
      if (now < end)
        ask(at, what);
      else
        --asking;
    }
  }
  ::close(poller);
  return latencies;
}

std::uint32_t percentile(std::vector<std::uint32_t>& sorted, double share) {
  return sorted.empty() ? 0
                        : sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 6 ? argv[2] : "";
  if (mode != "simple" && mode != "extended" && mode != "prepared") {
    std::fprintf(stderr, "usage: client_stub PORT simple|extended|prepared CLIENTS BATCH SECONDS\n");
    return 2;
  }
  std::vector<client> clients;
  for (int i = 0; i < std::atoi(argv[3]); ++i)
    clients.push_back(log_in(static_cast<std::uint16_t>(std::atoi(argv[1])), mode));
  const batch what = make_batch(mode, std::atoi(argv[4]));
  std::puts("ready");
  std::fflush(stdout);
  if (std::getchar() == EOF) return 0;

  const auto begin = clock_type::now();
  auto latencies = run(clients, what, std::chrono::duration<double>(std::atof(argv[5])));
  const std::chrono::duration<double> took = clock_type::now() - begin;
  std::sort(latencies.begin(), latencies.end());
  std::printf("%zu %.6f %u %u\n", latencies.size(), took.count(), percentile(latencies, 0.50),
              percentile(latencies, 0.99));
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}
