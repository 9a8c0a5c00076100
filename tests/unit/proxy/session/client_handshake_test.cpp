#include "proxy/session/client_handshake.hpp"

#include "protocol/authentication.hpp"
#include "protocol/notice.hpp"
#include "protocol/scram.hpp"
#include "protocol/startup.hpp"
#include "protocol/stored_password.hpp"
#include "protocol/writer.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/coroutines.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace tidegate::session {
namespace {

using boost::asio::awaitable;
using config::auth_method;
using config::tls_mode;
using protocol::as_bytes;
using protocol::as_text;
using reason = handshake_failure::reason;

constexpr std::chrono::seconds long_enough{10};

template <typename Message>
std::string bytes_of(const Message& message) {
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode(to, message);
  return std::string(as_text(out));
}

std::string startup(std::uint32_t version, std::vector<protocol::startup_parameter> parameters) {
  return bytes_of(
      protocol::startup_message{protocol::protocol_version::from_number(version), std::move(parameters)});
}

const std::string bob = startup(0x30000, {{"user", "bob"}, {"database", "shop"}});

std::string with_length(std::uint32_t length, std::string_view rest = {}) {
  std::string out(4, '\0');
  protocol::store_uint32(reinterpret_cast<std::byte*>(out.data()), length);
  return out + std::string(rest);
}

// The client's side of a dialogue, in the hands of a test.
struct peer {
  net::message_stream channel;
  net::deadline& until;

  awaitable<void> send(std::string text) { co_await channel.write(as_bytes(text), until); }
  // "E 28000 message", "R", "N" for the rest; "end" when the gateway closed.
  awaitable<std::string> receive() {
    const auto message = co_await channel.read(100'000, until);
    if (!message) co_return "end";
    if (message->type != 'E') co_return std::string(1, message->type);
    const auto error = protocol::decode_notice(message->body);
    co_return "E " + std::string(error->sqlstate.value_or("?")) + " " +
        std::string(error->message.value_or("?"));
  }
  awaitable<std::string> receive_byte() {
    const auto byte = co_await channel.read_byte(until);
    co_return byte ? std::string(1, *byte) : "end";
  }
};

struct handshake_test : ::testing::Test {
  boost::asio::io_context context;
  boost::asio::thread_pool slow_work{1};
  net::deadline until{context.get_executor(), long_enough};
  net::deadline peer_until{context.get_executor(), long_enough};
  std::shared_ptr<config::settings> settings = std::make_shared<config::settings>();
  std::shared_ptr<handshake_environment> environment = std::make_shared<handshake_environment>();

  handshake_test() {
    settings->listen.resize(1);
    use(auth_method::trust);
    environment->settings = settings;
    environment->slow_work = &slow_work;
    environment->failure_delay = std::chrono::milliseconds(0);
  }

  void use(auth_method method) {
    config::auth_rule rule;
    rule.method = method;
    settings->auth.rules = {rule};
  }

  using script = std::function<awaitable<void>(peer&)>;
  handshake_outcome play(script client) {
    const auto [left, right] = testing::tcp_pair();
    peer one{net::message_stream(net::stream(context.get_executor(), left)), peer_until};
    return testing::run(context, shake_hands(net::stream(context.get_executor(), right), environment, until),
                        client(one));
  }

  // Sends bytes and returns everything that came until the gateway closed (or the handshake was over).
  handshake_outcome send(const std::string& bytes, std::string* answer = nullptr) {
    return play([&](peer& client) -> awaitable<void> {
      co_await client.send(bytes);
      if (answer != nullptr) *answer = co_await client.receive();
    });
  }

  handshake_failure fails(const std::string& bytes, std::string* answer = nullptr) {
    auto outcome = send(bytes, answer);
    EXPECT_TRUE(std::holds_alternative<handshake_failure>(outcome));
    return std::holds_alternative<handshake_failure>(outcome) ? std::get<handshake_failure>(outcome)
                                                              : handshake_failure{};
  }

  accepted_client accepts(const std::string& bytes) {
    auto outcome = send(bytes);
    if (auto* failure = std::get_if<handshake_failure>(&outcome)) throw std::runtime_error(failure->message);
    return std::move(std::get<accepted_client>(outcome));
  }
};

// ---- startup packets ----

using startup_test = handshake_test;

TEST_F(startup_test, gives_the_names_and_the_parameters_in_order) {
  const auto client = accepts(startup(0x30000, {{"user", "bob"},
                                                {"options", "-c geqo=off"},
                                                {"database", "shop"},
                                                {"application_name", "till"},
                                                {"DateStyle", "German"},
                                                {"options", "-c work_mem=1MB"}}));
  EXPECT_EQ(client.user, "bob");
  EXPECT_EQ(client.database, "shop");
  EXPECT_EQ(client.application_name, "till");
  EXPECT_EQ(client.method, auth_method::trust);
  EXPECT_EQ(client.parameters, (std::vector<pool::parameter>{{"options", "-c geqo=off"},
                                                             {"application_name", "till"},
                                                             {"DateStyle", "German"},
                                                             {"options", "-c work_mem=1MB"}}));
}

TEST_F(startup_test, the_database_is_named_like_the_user_when_none_is_named) {
  EXPECT_EQ(accepts(startup(0x30000, {{"user", "bob"}})).database, "bob");
  EXPECT_EQ(accepts(startup(0x30000, {{"user", "bob"}, {"database", ""}})).database, "bob");
}

TEST_F(startup_test, the_last_of_a_repeated_name_counts) {
  EXPECT_EQ(accepts(startup(0x30000, {{"user", "eve"}, {"user", "bob"}})).user, "bob");
}

TEST_F(startup_test, long_names_are_cut_as_postgresql_cuts_them) {
  const std::string name(70, 'n');
  EXPECT_EQ(accepts(startup(0x30000, {{"user", name}, {"database", name}})).user, std::string(63, 'n'));
}

TEST_F(startup_test, without_a_user_is_refused) {
  std::string answer;
  EXPECT_EQ(fails(startup(0x30000, {{"database", "shop"}}), &answer).why, reason::violation);
  EXPECT_EQ(answer, "E 28000 no PostgreSQL user name specified in startup packet");
}

TEST_F(startup_test, arrives_in_single_bytes) {
  const auto outcome = play([](peer& client) -> awaitable<void> {
    for (const char byte : bob) co_await client.send(std::string(1, byte));
  });
  EXPECT_TRUE(std::holds_alternative<accepted_client>(outcome));
}

TEST_F(startup_test, cut_at_any_byte_is_a_client_that_is_gone) {
  for (std::size_t size = 0; size < bob.size(); ++size) {
    const auto outcome = play([&](peer& client) -> awaitable<void> {
      co_await client.send(bob.substr(0, size));
      client.channel.transport().close();
    });
    ASSERT_TRUE(std::holds_alternative<handshake_failure>(outcome)) << size;
    EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::gone) << size;
  }
}

TEST_F(startup_test, of_a_length_that_none_has_is_closed_without_a_word) {
  for (const std::uint32_t length : {0u, 3u, 4u, 7u, 10001u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    std::string answer;
    EXPECT_EQ(fails(with_length(length, "rest of it"), &answer).why, reason::violation) << length;
    EXPECT_EQ(answer, "end") << length;
  }
}

TEST_F(startup_test, of_another_protocol_is_closed_without_a_word) {
  std::string answer;
  EXPECT_EQ(fails("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &answer).why, reason::violation);
  EXPECT_EQ(answer, "end");
  EXPECT_EQ(fails(std::string("\x16\x03\x01\x02\x00\x01\x00", 7), &answer).why, reason::violation);
  EXPECT_EQ(answer, "end");
}

TEST_F(startup_test, of_another_version_is_refused_in_words) {
  for (const auto& [version, name] :
       {std::pair{0x20000u, "2.0"}, {0x40000u, "4.0"}, {0u, "0.0"}, {0x10005u, "1.5"}}) {
    std::string answer;
    fails(with_length(12, with_length(version, "\1\2\3\4")), &answer);
    EXPECT_EQ(answer,
              "E 0A000 unsupported frontend protocol " + std::string(name) + ": server supports 3.0 to 3.2");
  }
}

TEST_F(startup_test, of_a_later_minor_version_is_negotiated_down_once) {
  const std::string packet = startup(0x3270f, {{"user", "bob"}, {"_pq_.a", "1"}, {"_pq_.b", "2"}});
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    co_await client.send(packet);
    const auto message = co_await client.channel.read(1000, client.until);
    EXPECT_TRUE(message);
    if (!message) co_return;
    const auto negotiate = protocol::decode_negotiate_protocol_version(message->body);
    EXPECT_EQ(message->type, 'v');
    EXPECT_EQ(negotiate->newest, protocol::protocol_3_2);
    EXPECT_EQ(negotiate->unknown_options, (std::vector<std::string_view>{"_pq_.a", "_pq_.b"}));
  });
  const auto& client = std::get<accepted_client>(outcome);
  EXPECT_EQ(client.version, protocol::protocol_3_2);
  EXPECT_TRUE(client.parameters.empty());
}

TEST_F(startup_test, of_3_2_is_taken_as_it_is) {
  EXPECT_EQ(accepts(startup(0x30002, {{"user", "bob"}})).version, protocol::protocol_3_2);
}

TEST_F(startup_test, a_cancel_request_gives_its_key) {
  auto outcome = send(bytes_of(protocol::cancel_request{77, as_bytes("0123456789abcdef")}));
  const auto& cancel = std::get<cancel_request>(outcome);
  EXPECT_EQ(cancel.pid, 77);
  EXPECT_EQ(as_text(cancel.key), "0123456789abcdef");
}

TEST_F(startup_test, that_never_comes_ends_at_the_deadline_with_a_word) {
  std::string answer;
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    co_await client.send(bob.substr(0, 9));
    until.expire();
    answer = co_await client.receive();
  });
  EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::timed_out);
  EXPECT_EQ(answer, "E 08P01 canceling authentication due to timeout");
}

// ---- encryption ----

struct encryption_test : handshake_test {
  testing::temporary_folder folder;
  testing::authority authority{folder.path(), "authority"};
  net::tls::context_ptr connector = *net::tls::make_server_context({tls_mode::require, {}, {}, {}, false});

  void listen_with(tls_mode mode) {
    const auto files = authority.issue("gateway", true);
    settings->listen[0].tls = {mode, files.certificate, files.key, authority.certificate(),
                               config::tls_version::tls_1_2};
    environment->tls = *net::tls::make_listen_context(settings->listen[0].tls);
  }
  net::tls::context_ptr with_certificate(const std::string& name) {
    const auto files = authority.issue(name, false);
    return *net::tls::make_server_context({tls_mode::require, {}, files.certificate, files.key, false});
  }
  awaitable<void> begin_tls(peer& client, net::tls::context_ptr with) {
    co_await client.send(bytes_of(protocol::ssl_request{}));
    EXPECT_EQ(co_await client.receive_byte(), "S");
    const auto failure =
        co_await client.channel.transport().connect_tls(with, "localhost", tls_mode::require, client.until);
    EXPECT_EQ(failure.why, "");
  }
};

TEST_F(encryption_test, is_refused_with_n_when_there_is_none) {
  const auto outcome = play([](peer& client) -> awaitable<void> {
    co_await client.send(bytes_of(protocol::gssenc_request{}));
    EXPECT_EQ(co_await client.receive_byte(), "N");
    co_await client.send(bytes_of(protocol::ssl_request{}));
    EXPECT_EQ(co_await client.receive_byte(), "N");
    co_await client.send(bob);
  });
  EXPECT_TRUE(std::holds_alternative<accepted_client>(outcome));
}

TEST_F(encryption_test, is_asked_for_once) {
  for (const std::string& request :
       {bytes_of(protocol::ssl_request{}), bytes_of(protocol::gssenc_request{})}) {
    const auto outcome = play([&](peer& client) -> awaitable<void> {
      co_await client.send(request);
      EXPECT_EQ(co_await client.receive_byte(), "N");
      co_await client.send(request);
      EXPECT_EQ((co_await client.receive()).substr(0, 7), "E 08P01");
    });
    EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::violation);
  }
}

TEST_F(encryption_test, bytes_behind_the_request_are_refused) {
  listen_with(tls_mode::allow);
  for (const std::string& request :
       {bytes_of(protocol::ssl_request{}), bytes_of(protocol::gssenc_request{})}) {
    std::string answer;
    EXPECT_EQ(fails(request + bob, &answer).why, reason::violation);
    EXPECT_EQ(answer, "E 08P01 received unencrypted data after a request for encryption");
  }
}

TEST_F(encryption_test, carries_the_startup_packet) {
  listen_with(tls_mode::require);
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    co_await begin_tls(client, connector);
    co_await client.send(bob);
  });
  EXPECT_TRUE(std::get<accepted_client>(outcome).channel.transport().is_tls());
}

TEST_F(encryption_test, is_not_begun_twice) {
  listen_with(tls_mode::require);
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    co_await begin_tls(client, connector);
    co_await client.send(bytes_of(protocol::ssl_request{}));
    EXPECT_EQ((co_await client.receive()).substr(0, 7), "E 08P01");
  });
  EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::violation);
}

TEST_F(encryption_test, may_begin_with_the_first_byte) {
  listen_with(tls_mode::require);
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    EXPECT_FALSE(co_await client.channel.transport().connect_tls(connector, "localhost", tls_mode::require,
                                                                 client.until));
    co_await client.send(bob);
  });
  EXPECT_TRUE(std::get<accepted_client>(outcome).channel.transport().is_tls());
}

TEST_F(encryption_test, that_begins_with_the_first_byte_needs_alpn) {
  listen_with(tls_mode::require);
  const auto without_alpn = std::make_shared<const net::tls::context>(SSL_CTX_new(TLS_client_method()));
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    EXPECT_FALSE(co_await client.channel.transport().connect_tls(without_alpn, "localhost", tls_mode::require,
                                                                 client.until));
    EXPECT_EQ((co_await client.receive()).substr(0, 7), "E 08P01");
  });
  EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::tls);
}

TEST_F(encryption_test, with_another_alpn_is_refused) {
  listen_with(tls_mode::require);
  SSL_CTX* native = SSL_CTX_new(TLS_client_method());
  const std::string http = "\x02h2";
  SSL_CTX_set_alpn_protos(native, reinterpret_cast<const unsigned char*>(http.data()), 3);
  const auto for_http = std::make_shared<const net::tls::context>(native);
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    EXPECT_TRUE(co_await client.channel.transport().connect_tls(for_http, "localhost", tls_mode::require,
                                                                client.until));
  });
  EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::tls);
}

TEST_F(encryption_test, that_is_required_refuses_those_without) {
  listen_with(tls_mode::require);
  std::string answer;
  EXPECT_EQ(fails(bob, &answer).why, reason::tls_required);
  EXPECT_EQ(answer.substr(0, 7), "E 28000");
}

TEST_F(encryption_test, with_verify_full_takes_only_the_user_of_the_certificate) {
  listen_with(tls_mode::verify_full);
  for (const auto& [name, is_in] : {std::pair{"bob", true}, {"eve", false}}) {
    const auto outcome = play([&](peer& client) -> awaitable<void> {
      co_await begin_tls(client, with_certificate(name));
      co_await client.send(bob);
    });
    EXPECT_EQ(std::holds_alternative<accepted_client>(outcome), is_in) << name;
  }
}

TEST_F(encryption_test, method_cert_takes_whom_the_certificate_names) {
  listen_with(tls_mode::require);
  use(auth_method::cert);
  for (const auto& [name, is_in] : {std::pair{"bob", true}, {"eve", false}}) {
    const auto outcome = play([&](peer& client) -> awaitable<void> {
      co_await begin_tls(client, with_certificate(name));
      co_await client.send(bob);
    });
    ASSERT_EQ(std::holds_alternative<accepted_client>(outcome), is_in) << name;
    if (is_in) {
      EXPECT_EQ(std::get<accepted_client>(outcome).identity, "CN=bob");
    }
  }
  const auto outcome = play([&](peer& client) -> awaitable<void> {
    co_await begin_tls(client, connector);
    co_await client.send(bob);
  });
  EXPECT_EQ(std::get<handshake_failure>(outcome).message, "connection requires a valid client certificate");
}

// ---- proofs ----

struct proof_test : encryption_test {
  std::string scram_secret;
  protocol::scram_keys keys;

  proof_test() {
    protocol::scram_challenge challenge;
    challenge.salt.assign(16, std::byte{7});
    challenge.iterations = 4096;
    keys = protocol::derive_scram_keys("secret", challenge);
    scram_secret = protocol::format_scram_secret(protocol::make_scram_secret(keys, challenge));
    use(auth_method::scram_sha_256);
    settings->auth.users["bob"] = scram_secret;
  }

  // A client that knows SCRAM; `stop_after` messages it closes (0: never).
  awaitable<void> scram(peer& client, std::string password, protocol::client_channel_binding binding = {},
                        int stop_after = 0) {
    co_await client.send(bob);
    if (stop_after == 1) co_return client.channel.transport().close();
    if (co_await client.receive() != "R") co_return;
    protocol::scram_client exchange("c2NyYW0gdGVzdCBub25jZQ==", std::move(binding));
    const std::string first = exchange.first_message();
    co_await client.send(bytes_of(protocol::sasl_initial_response{exchange.mechanism(), as_bytes(first)}));
    if (stop_after == 2) co_return client.channel.transport().close();
    const auto message = co_await client.channel.read(10'000, client.until);
    if (!message || message->type != 'R') co_return;
    const auto request = protocol::decode_authentication_request(message->body);
    const auto challenge =
        exchange.on_server_first(as_text(std::get<protocol::authentication_sasl_continue>(*request).data));
    const auto last = exchange.final_message(protocol::derive_scram_keys(password, *challenge));
    co_await client.send(bytes_of(protocol::sasl_response{as_bytes(*last)}));
    if (stop_after == 3) client.channel.transport().close();
  }

  handshake_outcome play_scram(const std::string& password) {
    return play([&](peer& client) { return scram(client, password); });
  }
};

TEST_F(proof_test, scram_leaves_the_keys_of_the_client) {
  const auto outcome = play_scram("secret");
  const auto& client = std::get<accepted_client>(outcome);
  ASSERT_TRUE(client.scram);
  EXPECT_EQ(client.scram->keys.client_key, keys.client_key);
  EXPECT_EQ(client.scram->keys.server_key, keys.server_key);
  EXPECT_EQ(client.secret, "");
  EXPECT_FALSE(client.welcome.empty());
}

TEST_F(proof_test, scram_refuses_a_wrong_password_and_an_unknown_user_alike) {
  const auto wrong = play_scram("Secret");
  settings->auth.users.clear();
  const auto unknown = play_scram("secret");
  EXPECT_EQ(std::get<handshake_failure>(wrong).message, "password authentication failed for user \"bob\"");
  EXPECT_EQ(std::get<handshake_failure>(unknown).message, std::get<handshake_failure>(wrong).message);
  EXPECT_EQ(std::get<handshake_failure>(unknown).sqlstate, "28P01");
}

TEST_F(proof_test, scram_works_with_a_plain_password_and_keeps_it_for_the_server) {
  settings->auth.users["bob"] = "secret";
  const auto outcome = play_scram("secret");
  EXPECT_EQ(std::get<accepted_client>(outcome).secret, "secret");
  EXPECT_FALSE(std::get<accepted_client>(outcome).scram) << "keys with a salt of our own";
}

TEST_F(proof_test, scram_does_not_work_with_an_md5_hash) {
  settings->auth.users["bob"] = protocol::hash_md5("secret", "bob")->text;
  EXPECT_EQ(std::get<handshake_failure>(play_scram("secret")).why, reason::authentication);
}

TEST_F(proof_test, scram_asks_the_lookup_and_honours_what_it_says) {
  settings->auth.users.clear();
  bool may_log_in = true;
  std::string asked;
  environment->lookup =
      [&](std::string user,
          std::string database) -> awaitable<boost::system::result<std::optional<user_secret>>> {
    asked = user + "@" + database;
    co_return std::optional(user_secret{scram_secret, may_log_in});
  };
  EXPECT_TRUE(std::holds_alternative<accepted_client>(play_scram("secret")));
  EXPECT_EQ(asked, "bob@shop");
  may_log_in = false;
  EXPECT_EQ(std::get<handshake_failure>(play_scram("secret")).sqlstate, "28P01");
}

TEST_F(proof_test, a_lookup_that_fails_refuses_everybody) {
  settings->auth.users.clear();
  environment->lookup = [](std::string,
                           std::string) -> awaitable<boost::system::result<std::optional<user_secret>>> {
    co_return boost::system::errc::make_error_code(boost::system::errc::timed_out);
  };
  EXPECT_EQ(std::get<handshake_failure>(play_scram("secret")).why, reason::unavailable);
}

TEST_F(proof_test, scram_ends_when_the_client_goes_at_any_step) {
  for (const int step : {1, 2}) {
    const auto outcome = play([&](peer& client) { return scram(client, "secret", {}, step); });
    EXPECT_EQ(std::get<handshake_failure>(outcome).why, reason::gone) << step;
  }
}

TEST_F(proof_test, scram_binds_to_the_certificate_under_tls) {
  listen_with(tls_mode::require);
  const auto bound = [&](bool is_honest, protocol::client_channel_binding::flag kind) {
    return play([&, is_honest, kind](peer& client) -> awaitable<void> {
      co_await begin_tls(client, connector);
      protocol::client_channel_binding binding;
      binding.kind = kind;
      if (kind == protocol::client_channel_binding::flag::bound) {
        binding.data = *net::tls::server_end_point(client.channel.transport().ssl(), false);
        if (!is_honest) binding.data[0] ^= std::byte{1};
      }
      co_await scram(client, "secret", std::move(binding));
    });
  };
  using flag = protocol::client_channel_binding::flag;
  EXPECT_TRUE(std::holds_alternative<accepted_client>(bound(true, flag::bound)));
  EXPECT_EQ(std::get<handshake_failure>(bound(false, flag::bound)).why, reason::authentication);
  EXPECT_TRUE(std::holds_alternative<accepted_client>(bound(true, flag::none)));
  // The client believes that the gateway cannot bind, though it offered to: somebody took the offer away.
  EXPECT_EQ(std::get<handshake_failure>(bound(true, flag::refused)).why, reason::authentication);
}

TEST_F(proof_test, bad_messages_in_the_exchange_are_refused) {
  const std::string gs2 = "n,,n=,r=abc";
  const std::vector<std::pair<std::string, std::string>> bad{
      {"a query", std::string("Q\0\0\0\x0bselect\0", 12)},
      {"too long", "p" + with_length(70'000)},
      {"negative", "p" + with_length(0xffffffff)},
      {"too short", "p" + with_length(3)},
      {"no mechanism", "p" + with_length(4)},
      {"other mechanism", bytes_of(protocol::sasl_initial_response{"PLAIN", as_bytes(gs2)})},
      {"plus without tls", bytes_of(protocol::sasl_initial_response{"SCRAM-SHA-256-PLUS", as_bytes(gs2)})},
      {"no gs2 header", bytes_of(protocol::sasl_initial_response{"SCRAM-SHA-256", as_bytes("r=abc")})},
      {"bad gs2 flag", bytes_of(protocol::sasl_initial_response{"SCRAM-SHA-256", as_bytes("x,,n=,r=abc")})},
      {"no nonce", bytes_of(protocol::sasl_initial_response{"SCRAM-SHA-256", as_bytes("n,,n=")})},
  };
  for (const auto& [name, message] : bad) {
    std::string last;
    const auto outcome = play([&](peer& client) -> awaitable<void> {
      co_await client.send(bob);
      EXPECT_EQ(co_await client.receive(), "R");
      co_await client.send(message);
      last = co_await client.receive();
    });
    EXPECT_TRUE(std::holds_alternative<handshake_failure>(outcome)) << name;
    EXPECT_EQ(last.substr(0, 7), "E 08P01") << name << ": " << last;
  }
}

TEST_F(proof_test, a_nonce_that_was_not_given_is_refused) {
  std::string last;
  play([&](peer& client) -> awaitable<void> {
    co_await client.send(bob);
    co_await client.receive();
    co_await client.send(bytes_of(protocol::sasl_initial_response{"SCRAM-SHA-256", as_bytes("n,,n=,r=abc")}));
    co_await client.receive();
    co_await client.send(
        bytes_of(protocol::sasl_response{as_bytes("c=biws,r=abcdef,p=" + std::string(44, 'A'))}));
    last = co_await client.receive();
  });
  EXPECT_EQ(last.substr(0, 7), "E 08P01") << last;
}

TEST_F(proof_test, md5_takes_the_hash_of_the_salt) {
  use(auth_method::md5);
  const auto stored = *protocol::hash_md5("secret", "bob");
  const auto answer = [&](protocol::md5_hash hash) {
    return play([&, hash](peer& client) -> awaitable<void> {
      co_await client.send(bob);
      const auto message = co_await client.channel.read(1000, client.until);
      const auto request = protocol::decode_authentication_request(message->body);
      const auto& asked = std::get<protocol::authentication_md5_password>(*request);
      const std::string response = *protocol::md5_response(hash, asked.salt);
      co_await client.send(bytes_of(protocol::password_message{response}));
    });
  };
  for (const std::string& secret : {stored.text, std::string("secret")}) {
    settings->auth.users["bob"] = secret;
    const auto outcome = answer(stored);
    ASSERT_TRUE(std::holds_alternative<accepted_client>(outcome));
    EXPECT_EQ(std::get<accepted_client>(outcome).secret, secret);
    EXPECT_EQ(std::get<handshake_failure>(answer(*protocol::hash_md5("wrong", "bob"))).sqlstate, "28P01");
  }
  settings->auth.users.clear();
  EXPECT_EQ(std::get<handshake_failure>(answer(*protocol::hash_md5("nobody", "bob"))).sqlstate, "28P01");
}

TEST_F(proof_test, reject_and_no_rule_say_so) {
  use(auth_method::reject);
  std::string answer;
  EXPECT_EQ(fails(bob, &answer).why, reason::not_allowed);
  EXPECT_EQ(answer, "E 28000 a rule of auth.rules rejects connections of user \"bob\" to database \"shop\"");
  settings->auth.rules.clear();
  fails(bob, &answer);
  EXPECT_EQ(
      answer,
      "E 28000 no rule of auth.rules allows user \"bob\" from 127.0.0.1 to database \"shop\", without TLS");
}

}  // namespace
}  // namespace tidegate::session
