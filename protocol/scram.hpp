#pragma once
// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) for both roles, as machines without I/O: texts go
// in, texts come out. The gateway is the server of its clients and a client of its servers.
//
// Nonces come from the caller (18 random bytes in base64 will do), so that tests are repeatable. The one slow
// step, deriving keys from a password (milliseconds), stands alone: derive_scram_keys() may run on any thread
// while the machine waits. A machine belongs to one exchange and one thread at a time.

#include "protocol/authentication_errc.hpp"
#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/stored_password.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::protocol {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";

// Limits on what a peer may make us do or hold: servers are untrusted input too (CVE-2026-6665,
// CVE-2026-42198).
inline constexpr std::uint32_t max_scram_iterations = 1'000'000;
inline constexpr std::size_t max_scram_nonce_size = 1024;
inline constexpr std::size_t max_scram_salt_size = 1024;

inline constexpr std::uint32_t default_scram_iterations = 4096;  // PostgreSQL's

// ---- keys ----

// What lets a client log in. From a password, or the ClientKey that an earlier exchange recovered together
// with the ServerKey of the stored secret.
struct scram_keys {
  scram_key client_key{};
  scram_key server_key{};
  bool operator==(const scram_keys&) const = default;
};

// What the server wants the password to be derived with.
struct scram_challenge {
  byte_buffer salt;
  std::uint32_t iterations = 0;

  // True when keys that belong to this secret answer the challenge: they do only for the same salt and
  // iterations.
  bool fits(const scram_secret& secret) const noexcept;
};

// The slow step: PBKDF2 over the password as saslprep() leaves it. Thread-safe.
scram_keys derive_scram_keys(std::string_view password, const scram_challenge& challenge);

// The secret to store for these keys.
scram_secret make_scram_secret(const scram_keys& keys, scram_challenge challenge);

// True when the ClientKey is the one that the secret's StoredKey was made from.
bool belongs_to(const scram_key& client_key, const scram_secret& secret) noexcept;

// A secret for a user who does not exist: the same for the same name during the life of the process, so that
// nobody can tell by the salt who exists. `process_key` is random. To be used with scram_server's known_user
// = false.
scram_secret mock_scram_secret(bytes process_key, std::string_view user,
                               std::uint32_t iterations = default_scram_iterations);

// ---- server role ----

// How the server saw the connection. Without TLS: offered false.
struct server_channel_binding {
  bool offered = false;  // SCRAM-SHA-256-PLUS was in AuthenticationSASL
  byte_buffer data;      // tls-server-end-point of our certificate (channel_binding.hpp)
};

struct scram_success {
  std::string message;   // server-final: goes out in AuthenticationSASLFinal
  scram_key client_key;  // recovered from the proof: lets us log in to the server as this client
};

class scram_server {
 public:
  // With known_user false the exchange runs to its end and fails there whatever the client proves.
  scram_server(scram_secret secret, bool known_user, std::string nonce, server_channel_binding binding);

  // Takes the mechanism and data of SASLInitialResponse; gives the text of AuthenticationSASLContinue. The
  // user name in it is ignored, as in PostgreSQL: the one of the StartupMessage counts.
  [[nodiscard]] result<std::string> on_client_first(std::string_view mechanism, std::string_view message);

  // Takes the data of SASLResponse. On success the client knows the password.
  [[nodiscard]] result<scram_success> on_client_final(std::string_view message);

 private:
  // Where the exchange stands: an error ends it.
  enum class step { client_first, client_final, done };

  result<scram_success> verify(std::string_view without_proof, const scram_key& proof) const;

  step step_ = step::client_first;
  bool known_user_;
  scram_secret secret_;
  server_channel_binding binding_;
  std::string nonce_;       // ours, then the client's and ours
  std::string gs2_header_;  // of the client-first-message
  std::string client_first_bare_;
  std::string server_first_;
};

// ---- client role ----

// How the client saw the connection, and which flag of RFC 5802 §6 that gives.
struct client_channel_binding {
  enum class flag : char {
    none = 'n',  // no TLS here, or we don't want to bind
    refused =
        'y',  // we could, but the server did not offer it: the server notices if somebody removed its offer
    bound = 'p',  // SCRAM-SHA-256-PLUS with tls-server-end-point
  };
  flag kind = flag::none;
  byte_buffer data;  // tls-server-end-point of the server's certificate; for `bound`
};

class scram_client {
 public:
  scram_client(std::string nonce, client_channel_binding binding);

  // Name for SASLInitialResponse; fits the channel binding.
  std::string_view mechanism() const noexcept;

  // client-first: the data of SASLInitialResponse. Once, at the beginning.
  [[nodiscard]] std::string first_message();

  // Takes the data of AuthenticationSASLContinue.
  [[nodiscard]] result<scram_challenge> on_server_first(std::string_view message);

  // client-final: the data of SASLResponse. Needs the keys for the challenge just given.
  [[nodiscard]] result<std::string> final_message(const scram_keys& keys);

  // Takes the data of AuthenticationSASLFinal. No error: the server knows the secret too. Only then may an
  // AuthenticationOk be believed.
  [[nodiscard]] boost::system::error_code on_server_final(std::string_view message);

  // True after on_server_final() gave no error.
  bool server_is_proved() const noexcept { return step_ == step::proved; }

 private:
  enum class step { first, server_first, final, server_final, proved, failed };

  boost::system::error_code fail(authentication_errc why) noexcept;
  std::string gs2_header() const;

  step step_ = step::first;
  client_channel_binding binding_;
  std::string nonce_;
  std::string full_nonce_;
  std::string client_first_bare_;
  std::string server_first_;
  scram_key server_signature_{};  // what the server has to show
};

}  // namespace tidegate::protocol
