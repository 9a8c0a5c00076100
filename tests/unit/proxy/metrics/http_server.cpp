#include "proxy/metrics/http_server.hpp"

#include "proxy/log/log.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tidegate::metrics {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class http_page : public testing::Test {
 protected:
  void start(http_limits limits = {}) {
    server_ = std::make_unique<http_server>(
        context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0),
        http_handlers{[this] { return body_; }, [this] { return ready_; }}, limits);
    endpoint_ = server_->local_endpoint();
    thread_ = std::thread([this] { context_.run(); });
  }
  void TearDown() override {
    server_->stop();
    thread_.join();  // run() returns: no connection and no accept is left
  }

  tcp::socket connect() {
    tcp::socket socket(own_);
    socket.connect(endpoint_);
    return socket;
  }
  // Everything the server says until it closes.
  static std::string read_all(tcp::socket& socket) {
    std::string all;
    boost::system::error_code end;
    asio::read(socket, asio::dynamic_buffer(all), end);
    return all;
  }
  std::string ask(const std::string& bytes) {
    tcp::socket socket = connect();
    boost::system::error_code refused;
    asio::write(socket, asio::buffer(bytes), refused);
    return read_all(socket);
  }
  std::string get(const std::string& path, const std::string& verb = "GET") {
    return ask(verb + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  std::string body_ = "tidegate_up 1\n";
  readiness ready_{true, {}};
  asio::io_context context_, own_;
  std::unique_ptr<http_server> server_;
  tcp::endpoint endpoint_;
  std::thread thread_;
};

TEST_F(http_page, of_metrics_is_the_text_format) {
  start();
  const std::string answer = get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\ntidegate_up 1\n"));
  EXPECT_THAT(get("/metrics?name=up"), HasSubstr("tidegate_up 1\n"));
}

TEST_F(http_page, of_health_is_there_even_when_not_ready) {
  ready_ = {false, "draining"};
  start();
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(http_page, of_readiness_tells_why_not) {
  ready_ = {false, "draining"};
  start();
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(get("/readyz"), HasSubstr("\r\n\r\ndraining\n"));
}

TEST_F(http_page, of_readiness_is_200_when_ready) {
  start();
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(http_page, answers_head_with_the_length_and_no_body) {
  start();
  const std::string answer = get("/metrics", "HEAD");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 14\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("tidegate_up")));
}

TEST_F(http_page, elsewhere_is_404_and_other_verbs_are_405) {
  start();
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("/metrics", "DELETE"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(get("/metrics", "DELETE"), HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(http_page, serves_several_requests_on_a_connection) {
  start();
  tcp::socket socket = connect();
  asio::write(socket,
              asio::buffer(std::string("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                                       "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
  const std::string answers = read_all(socket);
  EXPECT_NE(answers.find("200 OK"), answers.rfind("200 OK"));
}

TEST_F(http_page, refuses_what_is_no_request_too_long_or_has_a_body) {
  start();
  EXPECT_THAT(ask(std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8) + "\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(http_page, cuts_a_client_that_never_asks) {
  http_limits limits;
  limits.request = 20ms;
  start(limits);
  tcp::socket socket = connect();
  asio::write(socket, asio::buffer(std::string("GET /met")));
  EXPECT_EQ(read_all(socket), "");
}

TEST_F(http_page, cuts_a_client_that_does_not_read) {
  body_ = std::string(64 << 20, 'x');
  http_limits limits;
  limits.answer = 50ms;
  limits.connections = 1;
  start(limits);
  tcp::socket slow = connect();
  asio::write(slow, asio::buffer(std::string("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")));
  slow.wait(tcp::socket::wait_read);
  while (get("/healthz").empty()) {  // its place is taken until it is cut
  }
  EXPECT_LT(read_all(slow).size(), body_.size());
}

TEST_F(http_page, is_served_while_another_client_does_not_read) {
  body_ = std::string(64 << 20, 'x');
  start();
  tcp::socket slow = connect();
  asio::write(slow, asio::buffer(std::string("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")));
  slow.wait(tcp::socket::wait_read);
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(http_page, has_a_bounded_number_of_connections) {
  http_limits limits;
  limits.connections = 2;
  start(limits);
  std::vector<tcp::socket> sockets;
  for (int i = 0; i < 2; ++i) {
    sockets.push_back(connect());
    asio::write(sockets.back(), asio::buffer(std::string("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")));
    std::string first(12, ' ');
    asio::read(sockets.back(), asio::buffer(first));
    EXPECT_EQ(first, "HTTP/1.1 200");
  }
  tcp::socket third = connect();
  EXPECT_EQ(read_all(third), "");
}

TEST_F(http_page, does_not_spin_without_descriptors_and_comes_back) {
#ifdef __SANITIZE_ADDRESS__
  start();
  GTEST_SKIP() << "the sanitizers themselves need descriptors";
#endif
  const std::string log_name =
      std::filesystem::temp_directory_path() / ("tidegate-http-" + std::to_string(::getpid()));
  log::configure({.level = config::log_level::warning, .format = config::log_format::json, .file = log_name});
  const int log_file = ::open(log_name.c_str(), O_RDONLY);
  const auto log_size = [&] { return ::lseek(log_file, 0, SEEK_END); };
  http_limits limits;
  limits.accept_pause = 50ms;
  start(limits);
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));
  tcp::socket blocked(own_, tcp::v4());
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit none = old;
  none.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  blocked.connect(endpoint_);
  asio::write(blocked, asio::buffer(std::string("GET /healthz HTTP/1.0\r\n\r\n")));
  while (log_size() == 0) {  // until an accept has failed
  }
  const auto one_line = log_size();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_THAT(read_all(blocked), StartsWith("HTTP/1.1 200 "));
  log::flush();
  EXPECT_LE(log_size(), one_line * 2) << "an accept that failed is tried again after a pause";
  log::configure({});
  ::close(log_file);
  std::filesystem::remove(log_name);
}

}  // namespace
}  // namespace tidegate::metrics
