#include "protocol/scram.hpp"

#include "protocol/base64.hpp"
#include "protocol/saslprep.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

namespace tidegate::protocol {
namespace {

constexpr std::string_view bound_flag = "p=tls-server-end-point";

const unsigned char* raw(bytes data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}

struct release {
  void operator()(EVP_MD* one) const { EVP_MD_free(one); }
  void operator()(EVP_MD_CTX* one) const { EVP_MD_CTX_free(one); }
  void operator()(EVP_MAC* one) const { EVP_MAC_free(one); }
  void operator()(EVP_MAC_CTX* one) const { EVP_MAC_CTX_free(one); }
};

// One thread's SHA-256. Since OpenSSL 3 finding an algorithm by its name costs more than hashing a message of
// SCRAM with it: it is found once. Throws std::runtime_error where memory or the library is broken.
class hasher {
 public:
  hasher()
      : digest_(EVP_MD_fetch(nullptr, "SHA256", nullptr)),
        digesting_(EVP_MD_CTX_new()),
        mac_(EVP_MAC_fetch(nullptr, "HMAC", nullptr)),
        authenticating_(EVP_MAC_CTX_new(mac_.get())) {
    std::string name = "SHA256";
    const std::array parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                OSSL_PARAM_construct_end()};
    check(digest_ && digesting_ && authenticating_ &&
          EVP_MAC_CTX_set_params(authenticating_.get(), parameters.data()) == 1);
  }

  scram_key digest(bytes message) {
    scram_key out;
    check(EVP_DigestInit_ex2(digesting_.get(), digest_.get(), nullptr) == 1 &&
          EVP_DigestUpdate(digesting_.get(), message.data(), message.size()) == 1 &&
          EVP_DigestFinal_ex(digesting_.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) == 1);
    return out;
  }

  scram_key authenticate(bytes key, bytes message) {
    scram_key out;
    std::size_t size = 0;
    check(EVP_MAC_init(authenticating_.get(), raw(key), key.size(), nullptr) == 1 &&
          EVP_MAC_update(authenticating_.get(), raw(message), message.size()) == 1 &&
          EVP_MAC_final(authenticating_.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                        out.size()) == 1 &&
          size == out.size());
    return out;
  }

 private:
  static void check(bool done) {
    if (!done) throw std::runtime_error("SHA-256 failed");
  }

  std::unique_ptr<EVP_MD, release> digest_;
  std::unique_ptr<EVP_MD_CTX, release> digesting_;
  std::unique_ptr<EVP_MAC, release> mac_;
  std::unique_ptr<EVP_MAC_CTX, release> authenticating_;
};

hasher& of_this_thread() {
  thread_local hasher one;
  return one;
}

scram_key hmac_sha256(bytes key, bytes message) {
  return of_this_thread().authenticate(key, message);
}

scram_key sha256(bytes message) {
  return of_this_thread().digest(message);
}

scram_key exclusive_or(const scram_key& left, const scram_key& right) {
  scram_key out;
  std::transform(left.begin(), left.end(), right.begin(), out.begin(), std::bit_xor<>{});
  return out;
}

// The attributes of a SCRAM message, `a=value` with commas between, taken from the front.
class attributes {
 public:
  explicit attributes(std::string_view text) noexcept : rest_(text) {}

  // The value of the next attribute if it has this name.
  std::optional<std::string_view> take(char name) noexcept {
    if (done_ || rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') return std::nullopt;
    const std::size_t comma = rest_.find(',');
    const std::string_view value = rest_.substr(2, comma == std::string_view::npos ? comma : comma - 2);
    done_ = comma == std::string_view::npos;
    rest_ = done_ ? std::string_view{} : rest_.substr(comma + 1);
    return value;
  }

  bool next_is(char name) const noexcept { return rest_.size() >= 2 && rest_[0] == name && rest_[1] == '='; }
  bool at_end() const noexcept { return done_; }

 private:
  std::string_view rest_;
  bool done_ = false;
};

// printable = %x21-2B / %x2D-7E
bool is_nonce(std::string_view text) {
  return !text.empty() && text.size() <= max_scram_nonce_size &&
         std::all_of(text.begin(), text.end(),
                     [](char letter) { return letter >= 0x21 && letter <= 0x7e && letter != ','; });
}

std::optional<scram_key> decode_key(std::string_view text) {
  const auto data = decode_base64(text);
  scram_key key;
  if (!data || data->size() != key.size()) return std::nullopt;
  std::copy(data->begin(), data->end(), key.begin());
  return key;
}

std::string auth_message(std::string_view client_first_bare, std::string_view server_first,
                         std::string_view client_final_without_proof) {
  std::string text;
  text.reserve(client_first_bare.size() + server_first.size() + client_final_without_proof.size() + 2);
  text.append(client_first_bare)
      .append(1, ',')
      .append(server_first)
      .append(1, ',')
      .append(client_final_without_proof);
  return text;
}

std::string encode_binding(std::string_view gs2_header, bytes data) {
  byte_buffer input(as_bytes(gs2_header).begin(), as_bytes(gs2_header).end());
  input.insert(input.end(), data.begin(), data.end());
  return encode_base64(input);
}

}  // namespace

// ---- keys ----

bool scram_challenge::fits(const scram_secret& secret) const noexcept {
  return salt == secret.salt && iterations == secret.iterations;
}

scram_keys derive_scram_keys(std::string_view password, const scram_challenge& challenge) {
  std::string prepared = saslprep(password);
  scram_key salted;
  const int done = PKCS5_PBKDF2_HMAC(
      prepared.data(), static_cast<int>(prepared.size()), raw(challenge.salt),
      static_cast<int>(challenge.salt.size()), static_cast<int>(challenge.iterations), EVP_sha256(),
      static_cast<int>(salted.size()), reinterpret_cast<unsigned char*>(salted.data()));
  OPENSSL_cleanse(prepared.data(), prepared.size());
  if (done != 1) throw std::runtime_error("PBKDF2 failed");
  const scram_keys keys{hmac_sha256(salted, as_bytes("Client Key")),
                        hmac_sha256(salted, as_bytes("Server Key"))};
  OPENSSL_cleanse(salted.data(), salted.size());
  return keys;
}

scram_secret make_scram_secret(const scram_keys& keys, scram_challenge challenge) {
  return {challenge.iterations, std::move(challenge.salt), sha256(keys.client_key), keys.server_key};
}

bool belongs_to(const scram_key& client_key, const scram_secret& secret) noexcept {
  return equal_in_constant_time(sha256(client_key), secret.stored_key);
}

scram_secret mock_scram_secret(bytes process_key, std::string_view user, std::uint32_t iterations) {
  const auto derive = [&](std::string_view purpose) {
    return hmac_sha256(process_key, as_bytes(std::string(purpose) + std::string(user)));
  };
  constexpr std::size_t salt_size = 16;  // SCRAM_DEFAULT_SALT_LEN
  const scram_key salt = derive("salt:");
  return {iterations, byte_buffer(salt.begin(), salt.begin() + salt_size), derive("stored key:"),
          derive("server key:")};
}

// ---- server role ----

scram_server::scram_server(scram_secret secret, bool known_user, std::string nonce,
                           server_channel_binding binding)
    : known_user_(known_user),
      secret_(std::move(secret)),
      binding_(std::move(binding)),
      nonce_(std::move(nonce)) {}

result<std::string> scram_server::on_client_first(std::string_view mechanism, std::string_view message) {
  const bool in_turn = step_ == step::client_first;
  step_ = step::done;
  if (!in_turn) return make_error_code(authentication_errc::out_of_order);
  const bool plus = mechanism == scram_sha_256_plus && binding_.offered;
  if (!plus && mechanism != scram_sha_256) return make_error_code(authentication_errc::unsupported_mechanism);

  // gs2-header = gs2-cbind-flag "," [ authzid ] ","
  const std::size_t flag_end = message.find(',');
  const std::size_t header_end =
      flag_end == std::string_view::npos ? flag_end : message.find(',', flag_end + 1);
  if (header_end == std::string_view::npos) return make_error_code(authentication_errc::malformed_message);
  const std::string_view flag = message.substr(0, flag_end);
  if (flag != "n" && flag != "y" && !flag.starts_with("p=")) {
    return make_error_code(authentication_errc::malformed_message);
  }
  if (header_end != flag_end + 1) return make_error_code(authentication_errc::unsupported_extension);
  if (plus ? flag != bound_flag : flag.starts_with("p=")) {
    return make_error_code(authentication_errc::unsupported_channel_binding);
  }
  if (flag == "y" && binding_.offered) return make_error_code(authentication_errc::channel_binding_downgrade);

  // client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
  const std::string_view bare = message.substr(header_end + 1);
  attributes parts(bare);
  if (parts.next_is('m')) return make_error_code(authentication_errc::unsupported_extension);
  const auto user = parts.take('n');
  const auto nonce = parts.take('r');
  if (!user || !nonce) return make_error_code(authentication_errc::malformed_message);
  if (!is_nonce(*nonce)) return make_error_code(authentication_errc::bad_nonce);

  gs2_header_ = message.substr(0, header_end + 1);
  client_first_bare_ = bare;
  nonce_.insert(0, *nonce);
  server_first_ =
      "r=" + nonce_ + ",s=" + encode_base64(secret_.salt) + ",i=" + std::to_string(secret_.iterations);
  step_ = step::client_final;
  return server_first_;
}

result<scram_success> scram_server::on_client_final(std::string_view message) {
  const bool in_turn = step_ == step::client_final;
  step_ = step::done;
  if (!in_turn) return make_error_code(authentication_errc::out_of_order);

  // client-final-message = channel-binding "," nonce ["," extensions] "," proof
  const std::size_t proof_at = message.rfind(",p=");
  if (proof_at == std::string_view::npos) return make_error_code(authentication_errc::malformed_message);
  const std::string_view without_proof = message.substr(0, proof_at);
  attributes parts(without_proof);
  const auto binding = parts.take('c');
  if (parts.next_is('m')) return make_error_code(authentication_errc::unsupported_extension);
  const auto nonce = parts.take('r');
  const auto proof = decode_key(message.substr(proof_at + 3));
  if (!binding || !nonce || !proof) return make_error_code(authentication_errc::malformed_message);

  const bool bound = gs2_header_.starts_with("p=");
  if (*binding != encode_binding(gs2_header_, bound ? bytes(binding_.data) : bytes{})) {
    return make_error_code(authentication_errc::channel_binding_mismatch);
  }
  if (*nonce != nonce_) return make_error_code(authentication_errc::nonce_mismatch);
  return verify(without_proof, *proof);
}

result<scram_success> scram_server::verify(std::string_view without_proof, const scram_key& proof) const {
  const std::string signed_text = auth_message(client_first_bare_, server_first_, without_proof);
  const scram_key client_key = exclusive_or(proof, hmac_sha256(secret_.stored_key, as_bytes(signed_text)));
  const scram_key server_signature = hmac_sha256(secret_.server_key, as_bytes(signed_text));
  // Whether the user exists is looked at last, so that both take the same time.
  const bool proved = belongs_to(client_key, secret_);
  if (!proved || !known_user_) return make_error_code(authentication_errc::wrong_proof);
  return scram_success{"v=" + encode_base64(server_signature), client_key};
}

// ---- client role ----

scram_client::scram_client(std::string nonce, client_channel_binding binding)
    : binding_(std::move(binding)), nonce_(std::move(nonce)) {}

std::string_view scram_client::mechanism() const noexcept {
  return binding_.kind == client_channel_binding::flag::bound ? scram_sha_256_plus : scram_sha_256;
}

std::string scram_client::gs2_header() const {
  switch (binding_.kind) {
    case client_channel_binding::flag::none:
      break;
    case client_channel_binding::flag::refused:
      return "y,,";
    case client_channel_binding::flag::bound:
      return std::string(bound_flag) + ",,";
  }
  return "n,,";
}

boost::system::error_code scram_client::fail(authentication_errc why) noexcept {
  step_ = step::failed;
  return why;
}

std::string scram_client::first_message() {
  client_first_bare_ = "n=,r=" + nonce_;  // PostgreSQL takes the user from the StartupMessage
  step_ = step::server_first;
  return gs2_header() + client_first_bare_;
}

result<scram_challenge> scram_client::on_server_first(std::string_view message) {
  if (step_ != step::server_first) return fail(authentication_errc::out_of_order);
  // server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
  attributes parts(message);
  if (parts.next_is('m')) return fail(authentication_errc::unsupported_extension);
  const auto nonce = parts.take('r');
  const auto salt = parts.take('s');
  const auto iterations = parts.take('i');
  if (!nonce || !salt || !iterations) return fail(authentication_errc::malformed_message);
  if (!is_nonce(*nonce)) return fail(authentication_errc::bad_nonce);
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size())
    return fail(authentication_errc::nonce_mismatch);

  scram_challenge challenge;
  auto salt_bytes = decode_base64(*salt);
  if (!salt_bytes) return fail(authentication_errc::malformed_message);
  if (salt_bytes->empty() || salt_bytes->size() > max_scram_salt_size)
    return fail(authentication_errc::bad_salt);
  challenge.salt = std::move(*salt_bytes);
  const char* end = iterations->data() + iterations->size();
  const auto [read_to, ec] = std::from_chars(iterations->data(), end, challenge.iterations);
  if (ec == std::errc::invalid_argument || read_to != end)
    return fail(authentication_errc::malformed_message);
  if (ec != std::errc{} || challenge.iterations == 0 || challenge.iterations > max_scram_iterations) {
    return fail(authentication_errc::bad_iterations);
  }

  full_nonce_ = *nonce;
  server_first_ = message;
  step_ = step::final;
  return challenge;
}

result<std::string> scram_client::final_message(const scram_keys& keys) {
  if (step_ != step::final) return fail(authentication_errc::out_of_order);
  const bool bound = binding_.kind == client_channel_binding::flag::bound;
  std::string message =
      "c=" + encode_binding(gs2_header(), bound ? bytes(binding_.data) : bytes{}) + ",r=" + full_nonce_;
  const std::string signed_text = auth_message(client_first_bare_, server_first_, message);
  const scram_key signature = hmac_sha256(sha256(keys.client_key), as_bytes(signed_text));
  server_signature_ = hmac_sha256(keys.server_key, as_bytes(signed_text));
  message += ",p=" + encode_base64(exclusive_or(keys.client_key, signature));
  step_ = step::server_final;
  return message;
}

boost::system::error_code scram_client::on_server_final(std::string_view message) {
  if (step_ != step::server_final) return fail(authentication_errc::out_of_order);
  // server-final-message = (server-error / verifier) ["," extensions]
  attributes parts(message);
  if (parts.next_is('e')) return fail(authentication_errc::server_error);
  const auto verifier = parts.take('v');
  if (!verifier) return fail(authentication_errc::malformed_message);
  const auto signature = decode_key(*verifier);
  if (!signature) return fail(authentication_errc::malformed_message);
  if (!equal_in_constant_time(*signature, server_signature_))
    return fail(authentication_errc::wrong_server_signature);
  step_ = step::proved;
  return {};
}

}  // namespace tidegate::protocol
