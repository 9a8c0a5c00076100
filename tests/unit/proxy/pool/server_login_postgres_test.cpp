// Logins at a real PostgreSQL, by each method and each sslmode. One test per theme: each starts its own
// server.
#include "protocol/simple_query.hpp"
#include "protocol/writer.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/pool/server_login.hpp"
#include "tests/support/coroutines.hpp"
#include "tests/support/postgres_fixture.hpp"

#include <gtest/gtest.h>

namespace tidegate::pool {
namespace {

using boost::asio::awaitable;
using config::tls_mode;

constexpr std::chrono::seconds long_enough{20};

struct postgres_login : ::testing::Test {
  testing::postgres& server = testing::postgres::shared();
  boost::asio::io_context context;
  boost::asio::thread_pool slow_work{1};
  net::deadline until{context.get_executor(), long_enough};

  server_endpoint_ptr endpoint(tls_mode mode, config::server_tls_settings tls = {}) {
    tls.mode = mode;
    return std::make_shared<const server_endpoint>(
        server_endpoint{"127.0.0.1", server.port(), mode, tls.direct, *net::tls::make_server_context(tls)});
  }
  server_endpoint_ptr by_socket() {
    return std::make_shared<const server_endpoint>(
        server_endpoint{server.socket_folder(), server.port(), tls_mode::prefer, false, nullptr});
  }
  boost::system::result<logged_in_server, login_failure> log_in_as(const std::string& user,
                                                                   server_endpoint_ptr where,
                                                                   credentials with = no_credentials{}) {
    login_request request;
    request.endpoint = std::move(where);
    request.user = user;
    request.database = "postgres";
    request.with = std::move(with);
    request.parameters = {{"application_name", "login test"}};
    return testing::run(context, log_in(std::move(request), slow_work, until));
  }
};

TEST_F(postgres_login, by_every_method) {
  const auto plain = endpoint(tls_mode::disable);
  const auto tls = endpoint(tls_mode::require);
  const auto trusted = log_in_as("trusted", plain);
  ASSERT_TRUE(trusted) << trusted.error().message << trusted.error().detail;
  EXPECT_GT(trusted->backend_pid, 0);
  EXPECT_EQ(trusted->backend_key.size(), 4u);
  EXPECT_TRUE(trusted->leftover.empty());
  const parameter name{"application_name", "login test"};
  EXPECT_NE(std::find(trusted->parameters.begin(), trusted->parameters.end(), name),
            trusted->parameters.end());

  EXPECT_TRUE(log_in_as("md5_user", plain, password{"secret"}));
  EXPECT_TRUE(log_in_as("scram_user", plain, password{"secret"}));
  const auto bound = log_in_as("scram_user", tls, password{"secret"});
  ASSERT_TRUE(bound) << bound.error().message << bound.error().detail;
  EXPECT_TRUE(bound->stream.is_tls());
  EXPECT_TRUE(log_in_as("clear_user", tls, password{"secret"}));
  EXPECT_FALSE(log_in_as("clear_user", plain, password{"secret"}));
  EXPECT_TRUE(log_in_as("scram_user", by_socket(), password{"secret"}));
  EXPECT_TRUE(log_in_as("clear_user", by_socket(), password{"secret"}));

  EXPECT_EQ(log_in_as("scram_user", plain, password{"wrong"}).error().sqlstate, "28P01");
  EXPECT_EQ(log_in_as("expired", plain, password{"secret"}).error().sqlstate, "28P01");
  EXPECT_EQ(log_in_as("rejected", plain).error().sqlstate, "28000");
  EXPECT_EQ(log_in_as("nobody", plain).error().why, login_failure::reason::refused);
}

TEST_F(postgres_login, by_certificate) {
  config::server_tls_settings with_certificate;
  with_certificate.ca = server.certificates().certificate();
  with_certificate.certificate = server.cert_user().certificate;
  with_certificate.key = server.cert_user().key;
  const auto login = log_in_as("cert_user", endpoint(tls_mode::verify_full, with_certificate));
  EXPECT_TRUE(login) << login.error().message << login.error().detail;
  EXPECT_FALSE(log_in_as("cert_user", endpoint(tls_mode::require)));
}

TEST_F(postgres_login, by_every_sslmode) {
  const auto is_tls = [&](const std::string& user, tls_mode mode) -> std::optional<bool> {
    const auto login = log_in_as(user, endpoint(mode));
    if (!login) return std::nullopt;
    return login->stream.is_tls();
  };
  EXPECT_EQ(is_tls("trusted", tls_mode::allow), false);
  EXPECT_EQ(is_tls("trusted", tls_mode::prefer), true);
  // A server that refuses one way is asked the other way, as libpq does.
  EXPECT_EQ(is_tls("tls_only", tls_mode::allow), true);
  EXPECT_EQ(is_tls("plain_only", tls_mode::prefer), false);
  EXPECT_EQ(is_tls("tls_only", tls_mode::disable), std::nullopt);
  EXPECT_EQ(is_tls("plain_only", tls_mode::require), std::nullopt);
}

TEST_F(postgres_login, a_cancel_request_ends_the_query_of_its_session) {
  for (const tls_mode mode : {tls_mode::disable, tls_mode::require}) {
    const auto where = endpoint(mode);
    auto login = log_in_as("trusted", where);
    ASSERT_TRUE(login);
    cancel_registry registry;
    cancel_target target{where, mode == tls_mode::require, login->backend_pid, login->backend_key};
    const auto registration = registry.enroll(login->backend_pid, protocol::protocol_3_0,
                                              std::make_shared<const cancel_target>(std::move(target)));
    net::message_stream channel(std::move(login->stream));
    net::deadline query_until(context.get_executor(), long_enough);
    const auto query = [&]() -> awaitable<std::string> {
      protocol::byte_buffer out;
      protocol::writer to(out);
      encode(to, protocol::query{"SELECT pg_sleep(60)"});
      co_await channel.write(out, query_until);
      for (;;) {
        const auto message = co_await channel.read(100'000, query_until);
        if (!message) co_return message.error().message();
        if (message->type == 'E') co_return std::string(protocol::as_text(message->body));
      }
    };
    // Until it has hit: a request may reach the server before the query has begun.
    bool is_over = false;
    const auto cancel = [&]() -> awaitable<void> {
      while (!is_over) {
        protocol::byte_buffer key = registration.key();
        co_await registry.cancel(registration.pid(), std::move(key), {}, until);
      }
    };
    const auto watched = [&]() -> awaitable<std::string> {
      std::string answer = co_await query();
      is_over = true;
      co_return answer;
    };
    EXPECT_NE(testing::run(context, watched(), cancel()).find("57014"), std::string::npos);
    EXPECT_GE(registry.counters().forwarded.load(), 1u);
  }
}

}  // namespace
}  // namespace tidegate::pool
