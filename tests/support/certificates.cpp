#include "tests/support/certificates.hpp"

#include <cstdio>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

namespace tidegate::testing {
namespace {

template <auto Free>
struct deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, deleter<X509_free>>;
using file_ptr = std::unique_ptr<std::FILE, deleter<std::fclose>>;

void check(bool done) {
  if (!done) throw std::runtime_error("could not make a certificate for the test");
}

key_ptr make_key() {
  return key_ptr(EVP_EC_gen("prime256v1"));
}

certificate_ptr make_certificate(EVP_PKEY* key, const std::string& common_name, X509* issuer,
                                 EVP_PKEY* issuer_key, const std::string& alternative_names) {
  certificate_ptr made(X509_new());
  check(made != nullptr && X509_set_version(made.get(), 2) == 1);
  std::uint32_t serial = 0;
  check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 86400);
  X509_set_pubkey(made.get(), key);
  X509_NAME* name = X509_get_subject_name(made.get());
  check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(common_name.data()),
                                   static_cast<int>(common_name.size()), -1, 0) == 1);
  X509* signer = issuer == nullptr ? made.get() : issuer;
  X509_set_issuer_name(made.get(), X509_get_subject_name(signer));
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, signer, made.get(), nullptr, nullptr, 0);
  const auto extend = [&](int id, const std::string& value) {
    std::unique_ptr<X509_EXTENSION, deleter<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
    check(extension != nullptr && X509_add_ext(made.get(), extension.get(), -1) == 1);
  };
  extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (!alternative_names.empty()) extend(NID_subject_alt_name, alternative_names);
  check(X509_sign(made.get(), issuer_key, EVP_sha256()) != 0);
  return made;
}

void write_certificate(const std::string& path, X509* certificate) {
  const file_ptr file(std::fopen(path.c_str(), "w"));
  check(file != nullptr && PEM_write_X509(file.get(), certificate) == 1);
}

void write_key(const std::string& path, EVP_PKEY* key) {
  const file_ptr file(std::fopen(path.c_str(), "w"));
  check(file != nullptr && PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  std::filesystem::permissions(path,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace

temporary_folder::temporary_folder() {
  std::string pattern = std::filesystem::temp_directory_path() / "tidegate-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("could not make a folder for the test");
  path_ = pattern;
}

temporary_folder::~temporary_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

struct authority::state {
  key_ptr key;
  certificate_ptr certificate;
};

authority::authority(const std::filesystem::path& folder, const std::string& name)
    : folder_(folder), certificate_(folder / (name + ".crt")), state_(std::make_unique<state>()) {
  state_->key = make_key();
  state_->certificate = make_certificate(state_->key.get(), name, nullptr, state_->key.get(), "");
  write_certificate(certificate_, state_->certificate.get());
}

authority::~authority() = default;

certificate_files authority::issue(const std::string& common_name, bool is_server) const {
  const key_ptr key = make_key();
  const certificate_ptr made =
      make_certificate(key.get(), common_name, state_->certificate.get(), state_->key.get(),
                       is_server ? "DNS:" + common_name + ",DNS:localhost,IP:127.0.0.1" : "");
  const certificate_files files{folder_ / (common_name + ".crt"), folder_ / (common_name + ".key")};
  write_certificate(files.certificate, made.get());
  write_key(files.key, key.get());
  return files;
}

}  // namespace tidegate::testing
