#include "protocol/stored_password.hpp"

#include "protocol/base64.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace tidegate::protocol {
namespace {

constexpr std::string_view scram_prefix = "SCRAM-SHA-256$";
constexpr std::string_view md5_prefix = "md5";
constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::size_t md5_digits = 32;

// Cuts `text` at the separator and gives what was in front of it.
std::optional<std::string_view> take_until(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view front = text.substr(0, end);
  text.remove_prefix(end + 1);
  return front;
}

std::optional<std::uint32_t> parse_positive(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::optional<scram_key> parse_key(std::string_view text) {
  const auto data = decode_base64(text);
  scram_key key;
  if (!data || data->size() != key.size()) return std::nullopt;
  std::copy(data->begin(), data->end(), key.begin());
  return key;
}

bool is_md5_hash(std::string_view text) {
  return text.size() == md5_prefix.size() + md5_digits && text.starts_with(md5_prefix) &&
         text.find_first_not_of(hex_digits, md5_prefix.size()) == std::string_view::npos;
}

result<std::string> md5_text(bytes first, bytes second) {
  byte_buffer input(first.begin(), first.end());
  input.insert(input.end(), second.begin(), second.end());
  std::array<unsigned char, md5_digits / 2> digest;
  const int done = EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_md5(), nullptr);
  OPENSSL_cleanse(input.data(), input.size());
  if (done != 1) return make_error_code(authentication_errc::unavailable_algorithm);
  std::string text(md5_prefix);
  for (const unsigned char byte : digest) {
    text.push_back(hex_digits[byte >> 4]);
    text.push_back(hex_digits[byte & 15]);
  }
  return text;
}

}  // namespace

result<stored_password> parse_stored_password(std::string_view text) {
  if (is_md5_hash(text)) return stored_password{md5_hash{std::string(text)}};
  if (!text.starts_with(scram_prefix)) return stored_password{plain_password{std::string(text)}};
  auto secret = parse_scram_secret(text);
  if (!secret) return secret.error();
  return stored_password{std::move(*secret)};
}

result<scram_secret> parse_scram_secret(std::string_view text) {
  const auto malformed = make_error_code(authentication_errc::malformed_secret);
  if (!text.starts_with(scram_prefix)) return malformed;
  text.remove_prefix(scram_prefix.size());
  const auto iterations = take_until(text, ':');
  const auto salt = take_until(text, '$');
  const auto stored_key = take_until(text, ':');
  if (!iterations || !salt || !stored_key) return malformed;

  const auto count = parse_positive(*iterations);
  auto salt_bytes = decode_base64(*salt);
  const auto stored = parse_key(*stored_key);
  const auto server = parse_key(text);
  if (!count || !salt_bytes || salt_bytes->empty() || !stored || !server) return malformed;
  return scram_secret{*count, std::move(*salt_bytes), *stored, *server};
}

std::string format_scram_secret(const scram_secret& secret) {
  std::string text(scram_prefix);
  text += std::to_string(secret.iterations);
  text += ':' + encode_base64(secret.salt);
  text += '$' + encode_base64(secret.stored_key);
  text += ':' + encode_base64(secret.server_key);
  return text;
}

result<md5_hash> hash_md5(std::string_view password, std::string_view user) {
  auto text = md5_text(as_bytes(password), as_bytes(user));
  if (!text) return text.error();
  return md5_hash{std::move(*text)};
}

result<std::string> md5_response(const md5_hash& stored, bytes salt) {
  return md5_text(as_bytes(stored.text).subspan(std::min(md5_prefix.size(), stored.text.size())), salt);
}

bool equal_in_constant_time(bytes left, bytes right) noexcept {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace tidegate::protocol
