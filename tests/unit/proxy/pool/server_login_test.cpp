#include "proxy/pool/server_login.hpp"

#include "protocol/authentication.hpp"
#include "protocol/notice.hpp"
#include "protocol/scram.hpp"
#include "protocol/session_info.hpp"
#include "protocol/startup.hpp"
#include "protocol/stored_password.hpp"
#include "protocol/writer.hpp"
#include "proxy/pool/server_connection.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/coroutines.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace tidegate::pool {
namespace {

using boost::asio::awaitable;
using config::tls_mode;
using protocol::as_bytes;
using protocol::as_text;
using reason = login_failure::reason;

constexpr std::chrono::seconds long_enough{10};

template <typename Message>
std::string bytes_of(const Message& message) {
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode(to, message);
  return std::string(as_text(out));
}

std::string error_of(std::string_view sqlstate, std::string_view message) {
  protocol::notice error;
  if (!sqlstate.empty()) error.sqlstate = sqlstate;
  if (!message.empty()) error.message = message;
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode_error_response(to, error);
  return std::string(as_text(out));
}

const std::string ok = bytes_of(protocol::authentication_ok{});
const std::string ready = bytes_of(protocol::ready_for_query{});
const std::string clear_password = bytes_of(protocol::authentication_cleartext_password{});
const std::string md5_password =
    bytes_of(protocol::authentication_md5_password{{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}});

std::string parameter_status(std::string_view name, std::string_view value) {
  return bytes_of(protocol::parameter_status{name, value});
}

std::string key_data(std::int32_t pid, std::string_view key) {
  return bytes_of(protocol::backend_key_data{pid, as_bytes(key)});
}

std::string with_length(char type, std::uint32_t length) {
  std::string out(5, type);
  protocol::store_uint32(reinterpret_cast<std::byte*>(out.data() + 1), length);
  return out;
}

using outcome = boost::system::result<logged_in_server, login_failure>;

// A server in the hands of a test.
struct fake_server {
  net::message_stream channel;
  net::deadline& until;

  awaitable<void> send(std::string text) { co_await channel.write(as_bytes(text), until); }
  // The startup packet's parameters, or the body of a 'p' message; "" when the gateway closed.
  awaitable<protocol::startup_message> startup(protocol::byte_buffer& kept) {
    const auto packet = co_await channel.read_startup(until);
    if (!packet) throw std::runtime_error("no startup packet: " + packet.error().message());
    kept.assign(packet->body.begin(), packet->body.end());
    co_return std::get<protocol::startup_message>(*protocol::decode_startup_packet(kept));
  }
  awaitable<std::string> answer() {
    const auto message = co_await channel.read(100'000, until);
    co_return message ? std::string(as_text(message->body)) : "";
  }
};

struct login_test : ::testing::Test {
  boost::asio::io_context context;
  boost::asio::thread_pool slow_work{1};
  net::deadline until{context.get_executor(), long_enough};
  net::deadline server_until{context.get_executor(), long_enough};
  testing::listening socket;
  server_endpoint where{"127.0.0.1", socket.port, tls_mode::disable, false, nullptr};
  login_request request;
  login_bounds bounds;

  login_test() {
    request.user = "bob";
    request.database = "shop";
  }

  using script = std::function<awaitable<void>(fake_server&)>;
  outcome play(script server) {
    request.endpoint = std::make_shared<const server_endpoint>(where);
    const auto serve = [this, &server]() -> awaitable<void> {
      net::stream accepted(context.get_executor(), co_await accept());
      fake_server one{net::message_stream(std::move(accepted)), server_until};
      co_await server(one);
    };
    return testing::run(context, log_in(request, slow_work, until, bounds), serve());
  }
  awaitable<int> accept() {
    boost::asio::posix::stream_descriptor waiting(context, ::dup(socket.descriptor));
    co_await waiting.async_wait(boost::asio::posix::descriptor_base::wait_read, boost::asio::use_awaitable);
    co_return socket.accept();
  }

  // The server reads the startup packet and says `text`.
  outcome says(const std::string& text) {
    return play([&](fake_server& server) -> awaitable<void> {
      protocol::byte_buffer kept;
      co_await server.startup(kept);
      co_await server.send(text);
    });
  }
  login_failure fails_with(const std::string& text) {
    auto login = says(text);
    EXPECT_FALSE(login);
    return login ? login_failure{} : login.error();
  }
};

TEST_F(login_test, collects_what_the_server_reports) {
  const std::string notice = "N" + error_of("01000", "mind the gap").substr(1);
  const auto login =
      says(ok + parameter_status("server_version", "15.1") + parameter_status("TimeZone", "UTC") + notice +
           parameter_status("server_version", "15.2") + key_data(4711, "abcd") + ready + "left");
  ASSERT_TRUE(login) << login.error().message << login.error().detail;
  EXPECT_EQ(login->parameters, (std::vector<parameter>{{"server_version", "15.2"}, {"TimeZone", "UTC"}}));
  EXPECT_EQ(login->backend_pid, 4711);
  EXPECT_EQ(as_text(login->backend_key), "abcd");
  EXPECT_EQ(as_text(login->notices), notice);
  EXPECT_EQ(as_text(login->leftover), "left");
  EXPECT_EQ(login->transaction_status, 'I');
}

TEST_F(login_test, sends_the_names_and_the_parameters_as_they_are) {
  request.parameters = {{"options", "-c search_path=x"}, {"replication", "database"}, {"options", "-c y=z"}};
  request.version = protocol::protocol_3_2;
  const auto login = play([](fake_server& server) -> awaitable<void> {
    protocol::byte_buffer kept;
    const auto startup = co_await server.startup(kept);
    EXPECT_EQ(startup.version, protocol::protocol_3_2);
    const std::vector<protocol::startup_parameter> expected{{"user", "bob"},
                                                            {"database", "shop"},
                                                            {"options", "-c search_path=x"},
                                                            {"replication", "database"},
                                                            {"options", "-c y=z"}};
    EXPECT_EQ(startup.parameters, expected);
    co_await server.send(ok + key_data(1, std::string(32, 'k')) + ready);
  });
  ASSERT_TRUE(login);
  EXPECT_EQ(login->version, protocol::protocol_3_2);
  EXPECT_EQ(login->backend_key.size(), 32u);
}

TEST_F(login_test, falls_back_to_3_0_when_the_server_knows_no_more) {
  request.version = protocol::protocol_3_2;
  const auto login =
      says(bytes_of(protocol::negotiate_protocol_version{protocol::protocol_3_0, {}}) + ok + ready);
  ASSERT_TRUE(login);
  EXPECT_EQ(login->version, protocol::protocol_3_0);
}

TEST_F(login_test, gives_the_servers_refusal_as_it_is) {
  const std::string refusal = error_of("3D000", "database \"shop\" does not exist");
  const auto failure = fails_with(refusal);
  EXPECT_EQ(failure.why, reason::refused);
  EXPECT_EQ(failure.sqlstate, "3D000");
  EXPECT_EQ(failure.message, "database \"shop\" does not exist");
  EXPECT_EQ(as_text(to_error_response(failure)), refusal);
}

TEST_F(login_test, takes_a_refusal_without_any_field) {
  const auto failure = fails_with(error_of("", ""));
  EXPECT_EQ(failure.why, reason::refused);
  EXPECT_EQ(failure.sqlstate, "08006");
  EXPECT_FALSE(failure.raw.empty());
}

TEST_F(login_test, refuses_what_is_not_the_protocol) {
  std::string flood;
  for (int i = 0; i < 1001; ++i) flood += parameter_status("p" + std::to_string(i), "v");
  std::string repeated;
  for (int i = 0; i < 6000; ++i) repeated += parameter_status("p", "v");
  const std::vector<std::pair<std::string, std::string>> bad{
      {"http", "HTTP/1.1 400 Bad Request\r\n\r\n"},
      {"negative length", with_length('R', 0xffffffff)},
      {"length of 3", with_length('R', 3)},
      {"a gigabyte", with_length('R', 1u << 30)},
      {"type NUL", with_length('\0', 8) + std::string(4, '\0')},
      {"ready before ok", ready},
      {"parameters before ok", parameter_status("a", "b")},
      {"unknown request", std::string("R\0\0\0\x08\0\0\0\x63", 9)},
      {"data row", ok + "D" + std::string("\0\0\0\x06\0\0", 6)},
      {"ok twice", ok + ok + ready},
      {"sasl continue first", bytes_of(protocol::authentication_sasl_continue{as_bytes("r=x")})},
      {"sasl final first", bytes_of(protocol::authentication_sasl_final{as_bytes("v=x")})},
      {"too many parameters", ok + flood + ready},
      {"too many messages", ok + repeated + ready},
      {"a version nobody asked for",
       bytes_of(protocol::negotiate_protocol_version{protocol::protocol_3_2, {}})},
      {"short key", ok + key_data(1, "ab")},
      {"bad status", ok + std::string("Z\0\0\0\x05Q", 6)},
  };
  for (const auto& [name, text] : bad) EXPECT_EQ(fails_with(text).why, reason::violation) << name;
}

TEST_F(login_test, ends_when_the_server_goes_at_any_byte) {
  const std::string whole = ok + parameter_status("a", "b") + key_data(1, "abcd") + ready;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto failure = fails_with(whole.substr(0, size));
    EXPECT_EQ(failure.why, reason::unreachable) << size;
    EXPECT_EQ(failure.message, "lost the server during the login");
  }
}

TEST_F(login_test, ends_at_the_deadline) {
  const auto login = play([&](fake_server& server) -> awaitable<void> {
    protocol::byte_buffer kept;
    co_await server.startup(kept);
    until.expire();
    co_await server.answer();
  });
  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().why, reason::timed_out);
}

TEST_F(login_test, tells_that_nobody_listens) {
  where.port = testing::listening().port;
  request.endpoint = std::make_shared<const server_endpoint>(where);
  const auto login = testing::run(context, log_in(request, slow_work, until));
  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().why, reason::unreachable);
  EXPECT_NE(login.error().message.find("onnection refused"), std::string::npos) << login.error().message;
}

TEST_F(login_test, gives_no_password_in_clear_without_tls) {
  request.with = password{"secret"};
  EXPECT_EQ(fails_with(clear_password).why, reason::unauthenticated);
}

TEST_F(login_test, answers_md5_from_the_password_or_its_hash) {
  const auto hash = *protocol::hash_md5("secret", "bob");
  const std::string expected = *protocol::md5_response(hash, as_bytes("\1\2\3\4"));
  for (const std::string& known : {std::string("secret"), hash.text}) {
    request.with = password{known};
    const auto login = play([&](fake_server& server) -> awaitable<void> {
      protocol::byte_buffer kept;
      co_await server.startup(kept);
      co_await server.send(md5_password);
      EXPECT_EQ(co_await server.answer(), expected + '\0');
      co_await server.send(ok + ready);
    });
    EXPECT_TRUE(login);
  }
}

TEST_F(login_test, without_credentials_says_what_the_server_wants) {
  const auto failure = fails_with(md5_password);
  EXPECT_EQ(failure.why, reason::unauthenticated);
  EXPECT_EQ(failure.message,
            "the server wants an md5 password, for which the gateway has no password of this user");
}

// ---- SCRAM ----

struct scram_login_test : login_test {
  protocol::scram_challenge challenge{protocol::byte_buffer(16, std::byte{9}), 4096};
  protocol::scram_keys keys = protocol::derive_scram_keys("secret", challenge);
  protocol::scram_secret secret = protocol::make_scram_secret(keys, challenge);

  protocol::authentication_sasl offer;
  scram_login_test() { offer.mechanisms.push_back(protocol::scram_sha_256); }

  // An honest server; `spoil` may change what it says last.
  awaitable<void> serve(fake_server& server, std::function<std::string(std::string)> spoil = {}) {
    protocol::byte_buffer kept;
    co_await server.startup(kept);
    co_await server.send(bytes_of(offer));
    protocol::scram_server exchange(secret, true, "c2VydmVyIG5vbmNl", {});
    const std::string initial = co_await server.answer();
    const auto decoded = protocol::decode_sasl_initial_response(as_bytes(initial));
    if (!decoded) co_return;
    const auto first = exchange.on_client_first(decoded->mechanism, as_text(*decoded->data));
    co_await server.send(bytes_of(protocol::authentication_sasl_continue{as_bytes(*first)}));
    const auto success = exchange.on_client_final(co_await server.answer());
    if (!success) {
      co_await server.send(error_of("28P01", "password authentication failed"));
      co_return;
    }
    std::string last = success->message;
    if (spoil) last = spoil(last);
    const std::string final_message =
        last.empty() ? "" : bytes_of(protocol::authentication_sasl_final{as_bytes(last)});
    co_await server.send(final_message + ok + ready);
  }
  outcome log_in_now(std::function<std::string(std::string)> spoil = {}) {
    return play([&](fake_server& server) { return serve(server, spoil); });
  }
  login_failure fails_on_challenge(const std::string& text) {
    request.with = password{"secret"};
    auto login = play([&](fake_server& server) -> awaitable<void> {
      protocol::byte_buffer kept;
      co_await server.startup(kept);
      co_await server.send(bytes_of(offer));
      const std::string initial = co_await server.answer();
      std::string challenge_text = text;
      if (const auto at = challenge_text.find("NONCE"); at != std::string::npos)
        challenge_text.replace(at, 5, initial.substr(initial.find("r=") + 2));
      co_await server.send(bytes_of(protocol::authentication_sasl_continue{as_bytes(challenge_text)}));
      co_await server.answer();
    });
    EXPECT_FALSE(login);
    return login.error();
  }
};

TEST_F(scram_login_test, by_password) {
  request.with = password{"secret"};
  EXPECT_TRUE(log_in_now());
  request.with = password{"wrong"};
  EXPECT_EQ(log_in_now().error().sqlstate, "28P01");
}

TEST_F(scram_login_test, by_the_clients_keys) {
  request.with = scram_identity{keys, secret};
  EXPECT_TRUE(log_in_now());
}

TEST_F(scram_login_test, by_keys_of_another_secret_is_told_in_words) {
  auto other = secret;
  other.salt[0] = std::byte{1};
  request.with = scram_identity{keys, other};
  EXPECT_EQ(log_in_now().error().message,
            "the server stores another SCRAM secret for this user than the gateway");
}

TEST_F(scram_login_test, by_an_md5_hash_is_told_in_words) {
  request.with = password{protocol::hash_md5("secret", "bob")->text};
  EXPECT_EQ(log_in_now().error().why, reason::unauthenticated);
}

TEST_F(scram_login_test, a_server_that_does_not_know_the_secret_is_refused) {
  request.with = password{"secret"};
  EXPECT_EQ(log_in_now([](std::string) { return "v=" + std::string(43, 'A') + "="; }).error().why,
            reason::unauthenticated);
  EXPECT_EQ(log_in_now([](std::string) { return "x=1"; }).error().why, reason::unauthenticated);
  // AuthenticationOk without SASLFinal.
  EXPECT_EQ(log_in_now([](std::string) { return ""; }).error().why, reason::violation);
}

TEST_F(scram_login_test, bombs_and_garbage_are_refused) {
  const std::string salt = "c2FsdHNhbHRzYWx0c2FsdA==";
  for (const std::string& text :
       {"r=NONCEabc,s=" + salt + ",i=2147483647", "r=NONCEabc,s=" + salt + ",i=0", "r=NONCEabc,s=" + salt,
        "r=other,s=" + salt + ",i=4096", "r=NONCE" + std::string(5000, 'n') + ",s=" + salt + ",i=4096",
        "m=x,r=NONCEabc,s=" + salt + ",i=4096", std::string()}) {
    EXPECT_EQ(fails_on_challenge(text).why, reason::violation) << text.substr(0, 60);
  }
}

// ---- passthrough ----

struct passthrough_test : scram_login_test {
  std::pair<int, int> sockets = testing::tcp_pair();
  net::message_stream gateway_side{net::stream(context.get_executor(), sockets.first)};
  net::message_stream client_side{net::stream(context.get_executor(), sockets.second)};
  net::deadline client_until{context.get_executor(), long_enough};

  passthrough_test() { request.with = passthrough{&gateway_side}; }

  outcome with_client(script server, std::function<awaitable<void>()> client) {
    testing::running<void> other(context, client());
    auto login = play(std::move(server));
    gateway_side.transport().close();
    testing::run_until(context, [&] { return other.is_over(); });
    return login;
  }
};

TEST_F(passthrough_test, relays_scram_between_client_and_server) {
  offer.mechanisms.insert(offer.mechanisms.begin(), protocol::scram_sha_256_plus);
  const auto login = with_client(
      [&](fake_server& server) { return serve(server); },
      [&]() -> awaitable<void> {
        protocol::scram_client exchange("Y2xpZW50", {});
        const auto offered = co_await client_side.read(1000, client_until);
        EXPECT_EQ(as_text(offered->body).find("PLUS"), std::string_view::npos);
        const std::string first = exchange.first_message();
        const auto initial = bytes_of(protocol::sasl_initial_response{exchange.mechanism(), as_bytes(first)});
        co_await client_side.write(as_bytes(initial), client_until);
        const auto next = co_await client_side.read(1000, client_until);
        const auto asked = exchange.on_server_first(as_text(next->body.subspan(4)));
        const auto last = bytes_of(protocol::sasl_response{as_bytes(*exchange.final_message(keys))});
        EXPECT_TRUE(asked);
        co_await client_side.write(as_bytes(last), client_until);
        const auto proof = co_await client_side.read(1000, client_until);
        EXPECT_FALSE(exchange.on_server_final(as_text(proof->body.subspan(4))));
      });
  EXPECT_TRUE(login) << login.error().message;
}

TEST_F(passthrough_test, asks_a_client_under_tls_for_its_password) {
  const testing::temporary_folder folder;
  const testing::authority authority(folder.path(), "authority");
  const auto files = authority.issue("gateway", true);
  const auto acceptor = *net::tls::make_listen_context(
      {tls_mode::require, files.certificate, files.key, {}, config::tls_version::tls_1_2});
  const auto connector = *net::tls::make_server_context({tls_mode::require, {}, {}, {}, false});
  const auto accept = [&]() -> awaitable<void> {
    EXPECT_FALSE(co_await gateway_side.transport().accept_tls(acceptor, until));
  };
  const auto connect = [&]() -> awaitable<bool> {
    co_return !co_await client_side.transport().connect_tls(connector, "localhost", tls_mode::require,
                                                            client_until);
  };
  ASSERT_TRUE(testing::run(context, connect(), accept()));
  const auto login = with_client([&](fake_server& server) { return serve(server); },
                                 [&]() -> awaitable<void> {
                                   const auto asked = co_await client_side.read(1000, client_until);
                                   EXPECT_EQ(as_text(asked->whole), clear_password);
                                   const auto answer = bytes_of(protocol::password_message{"secret"});
                                   co_await client_side.write(as_bytes(answer), client_until);
                                 });
  EXPECT_TRUE(login) << login.error().message;
}

TEST_F(passthrough_test, a_server_that_asks_nothing_is_refused) {
  const auto failure = fails_with(ok + ready);
  EXPECT_EQ(failure.why, reason::unauthenticated);
}

TEST_F(passthrough_test, a_client_that_says_something_else_ends_the_login) {
  const auto login = with_client(
      [&](fake_server& server) -> awaitable<void> {
        protocol::byte_buffer kept;
        co_await server.startup(kept);
        co_await server.send(md5_password);
        EXPECT_EQ(co_await server.answer(), "");
      },
      [&]() -> awaitable<void> {
        co_await client_side.read(1000, client_until);
        co_await client_side.write(as_bytes(std::string("Q\0\0\0\x06;\0", 7)), client_until);
      });
  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().why, reason::client_gone);
}

TEST(choose_encryption, follows_libpqs_table) {
  const auto choice = [](tls_mode mode, const char* host = "db") {
    return choose_encryption({host, 5432, mode, false, nullptr});
  };
  EXPECT_EQ(choice(tls_mode::disable).first, encryption::plain);
  EXPECT_EQ(choice(tls_mode::disable).second, std::nullopt);
  EXPECT_EQ(choice(tls_mode::allow).first, encryption::plain);
  EXPECT_EQ(choice(tls_mode::allow).second, encryption::tls);
  EXPECT_EQ(choice(tls_mode::prefer).first, encryption::tls);
  EXPECT_EQ(choice(tls_mode::prefer).second, encryption::plain);
  for (const tls_mode mode : {tls_mode::require, tls_mode::verify_ca, tls_mode::verify_full}) {
    EXPECT_EQ(choice(mode).first, encryption::tls);
    EXPECT_EQ(choice(mode).second, std::nullopt);
    EXPECT_EQ(choice(mode, "/run/postgresql").first, encryption::plain);
  }
}

}  // namespace
}  // namespace tidegate::pool
