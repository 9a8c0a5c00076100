#include "protocol/scram.hpp"

#include "protocol/base64.hpp"

#include <gtest/gtest.h>

namespace tidegate::protocol {
namespace {

using binding_flag = client_channel_binding::flag;

// RFC 7677 §3: user "user", password "pencil".
constexpr std::string_view rfc_client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view rfc_server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view rfc_client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view rfc_server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

scram_challenge rfc_challenge() {
  return {*decode_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096};
}

scram_secret rfc_secret() {
  return make_scram_secret(derive_scram_keys("pencil", rfc_challenge()), rfc_challenge());
}

scram_server rfc_server() {
  return {rfc_secret(), true, std::string(rfc_server_nonce), {}};
}

// A cheap secret for everything but the vectors.
const scram_challenge& cheap_challenge() {
  static const scram_challenge challenge{byte_buffer(16, std::byte{7}), 2};
  return challenge;
}

scram_secret cheap_secret(std::string_view password = "secret") {
  return make_scram_secret(derive_scram_keys(password, cheap_challenge()), cheap_challenge());
}

TEST(scram_server, gives_the_messages_of_rfc_7677) {
  scram_server server = rfc_server();
  const auto first = server.on_client_first(scram_sha_256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, rfc_server_first);
  const auto success = server.on_client_final(rfc_client_final);
  ASSERT_TRUE(success);
  EXPECT_EQ(success->message, rfc_server_final);
  EXPECT_EQ(success->client_key, derive_scram_keys("pencil", rfc_challenge()).client_key);
  EXPECT_TRUE(belongs_to(success->client_key, rfc_secret()));
}

// The vector has a user name in client-first, which enters the proof; the gateway, as libpq, sends an empty
// one. So the client is held against a server that has passed the vector, and against the stored form of the
// same password.
TEST(scram_client, and_server_agree_on_the_password_of_rfc_7677) {
  scram_client client(std::string(rfc_client_nonce), {});
  scram_server server = rfc_server();
  EXPECT_EQ(client.mechanism(), scram_sha_256);
  const std::string first = client.first_message();
  EXPECT_EQ(first, "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
  const auto server_first = server.on_client_first(client.mechanism(), first);
  ASSERT_TRUE(server_first);
  EXPECT_EQ(*server_first, rfc_server_first);
  const auto challenge = client.on_server_first(*server_first);
  ASSERT_TRUE(challenge);
  EXPECT_TRUE(challenge->fits(rfc_secret()));
  const auto final = client.final_message(derive_scram_keys("pencil", *challenge));
  ASSERT_TRUE(final);
  EXPECT_TRUE(final->starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="));
  const auto success = server.on_client_final(*final);
  ASSERT_TRUE(success);
  EXPECT_FALSE(client.server_is_proved());
  EXPECT_FALSE(client.on_server_final(success->message));
  EXPECT_TRUE(client.server_is_proved());
}

TEST(scram_keys, of_rfc_7677_give_the_known_secret) {
  EXPECT_EQ(format_scram_secret(rfc_secret()),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

// One exchange between both roles.
struct outcome {
  boost::system::error_code server_error;
  boost::system::error_code client_error;
  scram_key client_key{};
};

outcome exchange_with(scram_server server, scram_client client, const scram_keys& keys) {
  const auto server_first = server.on_client_first(client.mechanism(), client.first_message());
  if (!server_first) return {server_first.error(), {}};
  const auto challenge = client.on_server_first(*server_first);
  if (!challenge) return {{}, challenge.error()};
  const auto final = client.final_message(keys);
  if (!final) return {{}, final.error()};
  const auto success = server.on_client_final(*final);
  if (!success) return {success.error(), {}};
  return {{}, client.on_server_final(success->message), success->client_key};
}

scram_server cheap_server(server_channel_binding binding = {}, bool known = true) {
  return {cheap_secret(), known, "server-nonce", std::move(binding)};
}

scram_keys keys_of(std::string_view password) {
  return derive_scram_keys(password, cheap_challenge());
}

TEST(scram, wrong_password_is_refused) {
  const auto end = exchange_with(cheap_server(), scram_client("abc", {}), keys_of("guess"));
  EXPECT_EQ(end.server_error, authentication_errc::wrong_proof);
}

TEST(scram, unknown_user_is_refused_like_a_wrong_password) {
  const auto end = exchange_with(cheap_server({}, false), scram_client("abc", {}), keys_of("secret"));
  EXPECT_EQ(end.server_error, authentication_errc::wrong_proof);
}

TEST(scram, recovered_client_key_logs_in_without_the_password) {
  const auto first = exchange_with(cheap_server(), scram_client("abc", {}), keys_of("secret"));
  ASSERT_FALSE(first.server_error);
  const scram_keys passed_through{first.client_key, cheap_secret().server_key};
  const auto second = exchange_with(cheap_server(), scram_client("def", {}), passed_through);
  EXPECT_FALSE(second.server_error);
  EXPECT_FALSE(second.client_error);
}

TEST(scram, client_key_of_another_password_does_not_belong_to_the_secret) {
  EXPECT_TRUE(belongs_to(keys_of("secret").client_key, cheap_secret()));
  EXPECT_FALSE(belongs_to(keys_of("other").client_key, cheap_secret()));
  EXPECT_FALSE(scram_challenge({byte_buffer(16), 2}).fits(cheap_secret()));
  EXPECT_FALSE(scram_challenge({cheap_challenge().salt, 3}).fits(cheap_secret()));
}

// ---- channel binding ----

const byte_buffer certificate_hash(32, std::byte{0xcb});
const byte_buffer other_hash(32, std::byte{0xcc});

TEST(scram_channel_binding, binds_to_the_same_certificate) {
  const scram_client client("abc", {binding_flag::bound, certificate_hash});
  EXPECT_EQ(client.mechanism(), scram_sha_256_plus);
  const auto end = exchange_with(cheap_server({true, certificate_hash}), client, keys_of("secret"));
  EXPECT_FALSE(end.server_error);
  EXPECT_FALSE(end.client_error);
}

TEST(scram_channel_binding, another_certificate_is_noticed) {
  const auto end = exchange_with(cheap_server({true, certificate_hash}),
                                 scram_client("abc", {binding_flag::bound, other_hash}), keys_of("secret"));
  EXPECT_EQ(end.server_error, authentication_errc::channel_binding_mismatch);
}

TEST(scram_channel_binding, removed_offer_is_noticed) {
  const scram_client client("abc", {binding_flag::refused, {}});
  EXPECT_EQ(client.mechanism(), scram_sha_256);
  EXPECT_EQ(exchange_with(cheap_server({true, certificate_hash}), client, keys_of("secret")).server_error,
            authentication_errc::channel_binding_downgrade);
  EXPECT_FALSE(exchange_with(cheap_server(), client, keys_of("secret")).server_error);
}

TEST(scram_channel_binding, client_may_do_without) {
  EXPECT_FALSE(
      exchange_with(cheap_server({true, certificate_hash}), scram_client("abc", {}), keys_of("secret"))
          .server_error);
}

TEST(scram_channel_binding, mechanism_and_flag_must_agree) {
  const auto first = [](bool offered, std::string_view mechanism, std::string_view message) {
    scram_server server = cheap_server({offered, certificate_hash});
    return server.on_client_first(mechanism, message).error();
  };
  EXPECT_EQ(first(false, scram_sha_256_plus, "p=tls-server-end-point,,n=,r=a"),
            authentication_errc::unsupported_mechanism);
  EXPECT_EQ(first(false, scram_sha_256, "p=tls-server-end-point,,n=,r=a"),
            authentication_errc::unsupported_channel_binding);
  EXPECT_EQ(first(true, scram_sha_256, "p=tls-server-end-point,,n=,r=a"),
            authentication_errc::unsupported_channel_binding);
  EXPECT_EQ(first(true, scram_sha_256_plus, "p=tls-unique,,n=,r=a"),
            authentication_errc::unsupported_channel_binding);
  EXPECT_EQ(first(true, scram_sha_256_plus, "n,,n=,r=a"), authentication_errc::unsupported_channel_binding);
  EXPECT_EQ(first(true, "SCRAM-SHA-1", "n,,n=,r=a"), authentication_errc::unsupported_mechanism);
  EXPECT_EQ(first(true, "", "n,,n=,r=a"), authentication_errc::unsupported_mechanism);
}

TEST(scram_channel_binding, flag_can_not_be_changed_on_the_way) {
  scram_server server = cheap_server();
  ASSERT_TRUE(server.on_client_first(scram_sha_256, "n,,n=,r=abc"));
  const auto end = server.on_client_final("c=eSws,r=abcserver-nonce,p=" + encode_base64(scram_key{}));
  EXPECT_EQ(end.error(), authentication_errc::channel_binding_mismatch);
}

// ---- bad input to the server ----

boost::system::error_code client_first_error(std::string_view message) {
  scram_server server = cheap_server();
  const auto answer = server.on_client_first(scram_sha_256, message);
  return answer ? boost::system::error_code{} : answer.error();
}

TEST(scram_server, refuses_malformed_client_first) {
  for (const std::string_view message :
       {"", "n", "n,", "x,,n=,r=a", "n,,", "n,,n=", "n,,n=,", "n,,n=,r", "n,,r=a", "n,,r=a,n=", "n,,n,r=a",
        "p,,n=,r=a", ",,n=,r=a", "n=,r=a", "nn,,n=,r=a"}) {
    EXPECT_EQ(client_first_error(message), authentication_errc::malformed_message) << message;
  }
  EXPECT_EQ(client_first_error("n,a=admin,n=,r=a"), authentication_errc::unsupported_extension);
  EXPECT_EQ(client_first_error("n,,m=x,n=,r=a"), authentication_errc::unsupported_extension);
  EXPECT_EQ(client_first_error("n,,n=,r="), authentication_errc::bad_nonce);
  EXPECT_EQ(client_first_error("n,,n=,r=a b"), authentication_errc::bad_nonce);
  EXPECT_EQ(client_first_error("n,,n=,r=a\x7f"), authentication_errc::bad_nonce);
  EXPECT_EQ(client_first_error(std::string_view("n,,n=,r=a\0b", 11)), authentication_errc::bad_nonce);
  EXPECT_EQ(client_first_error("n,,n=,r=" + std::string(max_scram_nonce_size + 1, 'a')),
            authentication_errc::bad_nonce);
  EXPECT_FALSE(client_first_error("n,,n=,r=" + std::string(max_scram_nonce_size, 'a')));
  EXPECT_FALSE(client_first_error("n,,n=whoever,r=a,x=extension"));
}

boost::system::error_code client_final_error(std::string_view message) {
  scram_server server = cheap_server();
  EXPECT_TRUE(server.on_client_first(scram_sha_256, "n,,n=,r=abc"));
  const auto answer = server.on_client_final(message);
  return answer ? boost::system::error_code{} : answer.error();
}

TEST(scram_server, refuses_malformed_client_final) {
  const std::string good_proof = ",p=" + encode_base64(scram_key{});
  const std::string good_front = "c=biws,r=abcserver-nonce";
  for (const std::string& message :
       {std::string(), std::string(","), std::string("p="), good_front,
        good_front + ",p=", good_front + ",p=AAAA", good_front + good_proof + "=",
        good_front + good_proof + ",x=1", "c=biws" + good_proof, "r=abcserver-nonce" + good_proof,
        "r=abcserver-nonce,c=biws" + good_proof, good_proof, good_front + ",p=" + std::string(60000, 'A')}) {
    EXPECT_EQ(client_final_error(message), authentication_errc::malformed_message) << message;
  }
  EXPECT_EQ(client_final_error("c=biws,m=x,r=abcserver-nonce" + good_proof),
            authentication_errc::unsupported_extension);
  for (const std::string nonce : {"abc", "server-nonce", "abcserver-noncex", "xbcserver-nonce", ""}) {
    EXPECT_EQ(client_final_error("c=biws,r=" + nonce + good_proof), authentication_errc::nonce_mismatch)
        << nonce;
  }
  EXPECT_EQ(client_final_error("c=,r=abcserver-nonce" + good_proof),
            authentication_errc::channel_binding_mismatch);
  EXPECT_EQ(client_final_error(good_front + good_proof), authentication_errc::wrong_proof);
}

TEST(scram_server, has_one_try) {
  scram_server server = cheap_server();
  EXPECT_EQ(server.on_client_final("c=biws,r=abc,p=").error(), authentication_errc::out_of_order);
  EXPECT_EQ(server.on_client_first(scram_sha_256, "n,,n=,r=abc").error(), authentication_errc::out_of_order);

  scram_server guessed = cheap_server();
  ASSERT_TRUE(guessed.on_client_first(scram_sha_256, "n,,n=,r=abc"));
  const std::string guess = "c=biws,r=abcserver-nonce,p=" + encode_base64(scram_key{});
  EXPECT_EQ(guessed.on_client_final(guess).error(), authentication_errc::wrong_proof);
  EXPECT_EQ(guessed.on_client_final(guess).error(), authentication_errc::out_of_order);
}

// ---- bad input to the client ----

boost::system::error_code server_first_error(std::string_view message) {
  scram_client client("abc", {});
  EXPECT_FALSE(client.first_message().empty());
  const auto answer = client.on_server_first(message);
  if (answer) return {};
  EXPECT_EQ(client.final_message({}).error(), authentication_errc::out_of_order);
  return answer.error();
}

TEST(scram_client, refuses_a_bad_server_first) {
  for (const std::string_view message :
       {"", ",", "r=abcdef", "r=abcdef,s=AAAA", "s=AAAA,i=1,r=abcdef",
        "r=abcdef,s=AAAA,i=", "r=abcdef,s=AAAA,i=x", "r=abcdef,s=AAAA,i=1x", "r=abcdef,s=AAAA,i=-1",
        "r=abcdef,s=AA,i=1", "r=abcdef,s=A A=,i=1", "e=other-error"}) {
    EXPECT_EQ(server_first_error(message), authentication_errc::malformed_message) << message;
  }
  EXPECT_EQ(server_first_error("m=x,r=abcdef,s=AAAA,i=1"), authentication_errc::unsupported_extension);
  EXPECT_EQ(server_first_error("r=abc,s=AAAA,i=1"), authentication_errc::nonce_mismatch);
  EXPECT_EQ(server_first_error("r=ab,s=AAAA,i=1"), authentication_errc::nonce_mismatch);
  EXPECT_EQ(server_first_error("r=xabcdef,s=AAAA,i=1"), authentication_errc::nonce_mismatch);
  EXPECT_EQ(server_first_error("r=abc" + std::string(max_scram_nonce_size, 'x') + ",s=AAAA,i=1"),
            authentication_errc::bad_nonce);
  EXPECT_EQ(server_first_error("r=abcdef,s=,i=1"), authentication_errc::bad_salt);
  EXPECT_EQ(server_first_error("r=abcdef,s=" + encode_base64(byte_buffer(max_scram_salt_size + 1)) + ",i=1"),
            authentication_errc::bad_salt);
  for (const std::string count : {"0", "1000001", "2147483648", "4294967296", "99999999999999999999"}) {
    EXPECT_EQ(server_first_error("r=abcdef,s=AAAA,i=" + count), authentication_errc::bad_iterations) << count;
  }
  EXPECT_FALSE(server_first_error("r=abcdef,s=AAAA,i=1000000"));
  EXPECT_FALSE(server_first_error("r=abcdef,s=AAAA,i=1,x=extension"));
}

TEST(scram_client, believes_only_a_server_that_knows_the_secret) {
  const auto ask = [](std::string_view server_final) {
    scram_client client("abc", {});
    EXPECT_FALSE(client.first_message().empty());
    EXPECT_TRUE(client.on_server_first("r=abcdef,s=AAAA,i=1"));
    EXPECT_TRUE(client.final_message({}));
    const auto ec = client.on_server_final(server_final);
    EXPECT_FALSE(client.server_is_proved());
    return ec;
  };
  EXPECT_EQ(ask(""), authentication_errc::malformed_message);
  EXPECT_EQ(ask("v="), authentication_errc::malformed_message);
  EXPECT_EQ(ask("v=AAAA"), authentication_errc::malformed_message);
  EXPECT_EQ(ask("x=" + encode_base64(scram_key{})), authentication_errc::malformed_message);
  EXPECT_EQ(ask("e=invalid-proof"), authentication_errc::server_error);
  EXPECT_EQ(ask("v=" + encode_base64(scram_key{})), authentication_errc::wrong_server_signature);
}

TEST(scram_client, refuses_what_comes_out_of_order) {
  scram_client client("abc", {});
  EXPECT_EQ(client.on_server_final("v="), authentication_errc::out_of_order);
  scram_client early("abc", {});
  EXPECT_EQ(early.on_server_first("r=abcdef,s=AAAA,i=1").error(), authentication_errc::out_of_order);
}

// ---- mock secrets ----

TEST(mock_scram_secret, is_stable_for_a_name_and_differs_between_names_and_processes) {
  const byte_buffer key(32, std::byte{1});
  const byte_buffer other_key(32, std::byte{2});
  const auto secret = mock_scram_secret(key, "nobody");
  EXPECT_EQ(secret, mock_scram_secret(key, "nobody"));
  EXPECT_NE(secret.salt, mock_scram_secret(key, "nobody2").salt);
  EXPECT_NE(secret.salt, mock_scram_secret(other_key, "nobody").salt);
  EXPECT_EQ(secret.salt.size(), 16u);
  EXPECT_EQ(secret.iterations, default_scram_iterations);
  EXPECT_NE(secret.stored_key, secret.server_key);
}

}  // namespace
}  // namespace tidegate::protocol
