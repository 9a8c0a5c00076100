#include "protocol/channel_binding.hpp"

#include <memory>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace tidegate::protocol {
namespace {

// A self-signed certificate in DER.
byte_buffer make_certificate(const char* key_type, const EVP_MD* hash) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      std::string_view(key_type) == "EC" ? EVP_EC_gen("P-256")
                                         : EVP_PKEY_Q_keygen(nullptr, nullptr, key_type),
      &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  EXPECT_GT(X509_sign(certificate.get(), key.get(), hash), 0);
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  EXPECT_GT(size, 0);
  const auto* begin = reinterpret_cast<const std::byte*>(der);
  byte_buffer out(begin, begin + size);
  OPENSSL_free(der);
  return out;
}

byte_buffer digest(bytes data, const EVP_MD* hash) {
  byte_buffer out(static_cast<std::size_t>(EVP_MD_get_size(hash)));
  EXPECT_EQ(EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr, hash,
                       nullptr),
            1);
  return out;
}

TEST(tls_server_end_point, hashes_with_the_hash_of_the_signature) {
  for (const EVP_MD* hash : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
    const byte_buffer certificate = make_certificate("EC", hash);
    EXPECT_EQ(tls_server_end_point(certificate).value(), digest(certificate, hash));
  }
}

TEST(tls_server_end_point, replaces_weak_hashes) {
  const byte_buffer certificate = make_certificate("EC", EVP_sha1());
  EXPECT_EQ(tls_server_end_point(certificate).value(), digest(certificate, EVP_sha256()));
}

TEST(tls_server_end_point, is_not_defined_for_a_signature_without_a_hash) {
  EXPECT_EQ(tls_server_end_point(make_certificate("ED25519", nullptr)).error(),
            authentication_errc::unsupported_channel_binding);
}

TEST(tls_server_end_point, refuses_what_is_no_certificate) {
  EXPECT_FALSE(tls_server_end_point({}));
  EXPECT_FALSE(tls_server_end_point(as_bytes("not a certificate")));
}

}  // namespace
}  // namespace tidegate::protocol
