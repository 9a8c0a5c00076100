#include "protocol/channel_binding.hpp"

#include <limits>
#include <memory>

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

namespace tidegate::protocol {
namespace {

struct free_certificate {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};

const EVP_MD* hash_of_signature(const X509& certificate) {
  int hash = NID_undef;
  if (X509_get_signature_info(const_cast<X509*>(&certificate), &hash, nullptr, nullptr, nullptr) != 1)
    return nullptr;
  if (hash == NID_md5 || hash == NID_sha1) return EVP_sha256();
  return hash == NID_undef ? nullptr : EVP_get_digestbynid(hash);
}

}  // namespace

result<byte_buffer> tls_server_end_point(bytes certificate) {
  const auto unsupported = make_error_code(authentication_errc::unsupported_channel_binding);
  if (certificate.size() > static_cast<std::size_t>(std::numeric_limits<long>::max())) return unsupported;
  const auto* at = reinterpret_cast<const unsigned char*>(certificate.data());
  const std::unique_ptr<X509, free_certificate> x509(
      d2i_X509(nullptr, &at, static_cast<long>(certificate.size())));
  if (!x509) return unsupported;
  const EVP_MD* hash = hash_of_signature(*x509);
  if (hash == nullptr) return unsupported;
  byte_buffer digest(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  if (EVP_Digest(certificate.data(), certificate.size(), reinterpret_cast<unsigned char*>(digest.data()),
                 &size, hash, nullptr) != 1) {
    return unsupported;
  }
  digest.resize(size);
  return digest;
}

}  // namespace tidegate::protocol
