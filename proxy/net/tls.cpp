#include "proxy/net/tls.hpp"

#include "protocol/channel_binding.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <system_error>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

namespace tidegate::net::tls {
namespace {

constexpr std::string_view alpn = "\x0apostgresql";  // RFC 7301: length, name

struct x509_deleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using x509_ptr = std::unique_ptr<X509, x509_deleter>;

void ignore_broken_pipes() {
  static const bool done = [] { return std::signal(SIGPIPE, SIG_IGN) != SIG_ERR; }();
  static_cast<void>(done);
}

failure fail(std::string what) {
  std::string errors = take_errors();
  if (!errors.empty()) what += ": " + errors;
  return {std::move(what)};
}

// A key that is locked by a passphrase is an error, not a question on the terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

int choose_postgresql(SSL*, const unsigned char** out, unsigned char* out_length,
                      const unsigned char* offered, unsigned offered_length, void*) {
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, out_length, reinterpret_cast<const unsigned char*>(alpn.data()),
                            static_cast<unsigned>(alpn.size()), offered, offered_length);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

result<std::shared_ptr<context>> make_context(const SSL_METHOD* method) {
  ignore_broken_pipes();
  ERR_clear_error();
  SSL_CTX* native = SSL_CTX_new(method);
  if (native == nullptr) return fail("cannot make a TLS context");
  auto made = std::make_shared<context>(native);
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(
      native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(native, no_passphrase);
  return made;
}

result<void> load_identity(SSL_CTX* native, const std::string& certificate, const std::string& key) {
  if (SSL_CTX_use_certificate_chain_file(native, certificate.c_str()) != 1)
    return fail("cannot load the certificate \"" + certificate + "\"");
  struct ::stat info {};
  if (::stat(key.c_str(), &info) != 0)
    return failure{"cannot read the key \"" + key + "\": " + std::generic_category().message(errno)};
  if ((info.st_mode & S_IRWXO) != 0)
    return failure{"the key \"" + key + "\" is open to everybody; its mode should be 0600 or 0640"};
  // OpenSSL compares it with the certificate loaded before.
  if (SSL_CTX_use_PrivateKey_file(native, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return fail("cannot use the key \"" + key + "\" with the certificate \"" + certificate + "\"");
  return {};
}

result<void> load_authorities(SSL_CTX* native, const std::string& ca) {
  if (SSL_CTX_load_verify_file(native, ca.c_str()) != 1)
    return fail("cannot load the certificates of \"" + ca + "\"");
  return {};
}

template <typename Settings>
result<void> reload_into(std::atomic<context_ptr>& current, result<context_ptr> (*make)(const Settings&),
                         const Settings& settings) {
  result<context_ptr> made = make(settings);
  if (!made) return made.error();
  current.store(*made);
  return {};
}

std::string name_text(X509_NAME* name) {
  std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free(bio); })> out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string common_name(X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text.find('\0') == std::string::npos ? text : std::string();
}

}  // namespace

result<context_ptr> make_listen_context(const config::listen_tls_settings& settings) {
  if (settings.mode == config::tls_mode::disable) return context_ptr();
  auto made = make_context(TLS_server_method());
  if (!made) return made.error();
  SSL_CTX* native = (*made)->native();
  if (settings.min_version == config::tls_version::tls_1_3)
    SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  if (auto loaded = load_identity(native, settings.certificate, settings.key); !loaded) return loaded.error();

  int verify = SSL_VERIFY_NONE;
  if (!settings.ca.empty()) {
    if (auto loaded = load_authorities(native, settings.ca); !loaded) return loaded.error();
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(settings.ca.c_str());
    if (names == nullptr) return fail("cannot load the certificates of \"" + settings.ca + "\"");
    SSL_CTX_set_client_CA_list(native, names);
    verify = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
  }
  if (settings.mode == config::tls_mode::verify_ca || settings.mode == config::tls_mode::verify_full)
    verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE;
  SSL_CTX_set_verify(native, verify, nullptr);

  SSL_CTX_set_options(native, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_dh_auto(native, 1);
  SSL_CTX_set_alpn_select_cb(native, choose_postgresql, nullptr);
  // Tickets hold a session's state at the client, so that no cache grows here. They are good for this context
  // only: after a reload everybody's certificate is checked anew.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 1);
  std::array<unsigned char, 16> mark{};
  if (RAND_bytes(mark.data(), mark.size()) != 1) return fail("cannot make a TLS context");
  SSL_CTX_set_session_id_context(native, mark.data(), mark.size());
  return context_ptr(*made);
}

result<context_ptr> make_server_context(const config::server_tls_settings& settings) {
  if (settings.mode == config::tls_mode::disable) return context_ptr();
  auto made = make_context(TLS_client_method());
  if (!made) return made.error();
  SSL_CTX* native = (*made)->native();
  if (!settings.certificate.empty()) {
    if (auto loaded = load_identity(native, settings.certificate, settings.key); !loaded)
      return loaded.error();
  }
  if (!settings.ca.empty()) {
    if (auto loaded = load_authorities(native, settings.ca); !loaded) return loaded.error();
  }
  // Whether the certificate is checked is the mode's affair: stream::connect_tls.
  SSL_CTX_set_verify(native, SSL_VERIFY_NONE, nullptr);
  if (SSL_CTX_set_alpn_protos(native, reinterpret_cast<const unsigned char*>(alpn.data()),
                              static_cast<unsigned>(alpn.size())) != 0)
    return fail("cannot make a TLS context");
  return context_ptr(*made);
}

result<void> context_slot::reload(const config::listen_tls_settings& settings) {
  return reload_into(current_, make_listen_context, settings);
}

result<void> context_slot::reload(const config::server_tls_settings& settings) {
  return reload_into(current_, make_server_context, settings);
}

std::optional<protocol::byte_buffer> server_end_point(SSL* ssl, bool we_are_server) {
  x509_ptr fetched;
  X509* certificate = nullptr;
  if (we_are_server) {
    certificate = SSL_get_certificate(ssl);
  } else {
    fetched.reset(SSL_get1_peer_certificate(ssl));
    certificate = fetched.get();
  }
  if (certificate == nullptr) return std::nullopt;
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size < 0) return std::nullopt;
  auto hash = protocol::tls_server_end_point(
      {reinterpret_cast<const std::byte*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  if (!hash) return std::nullopt;
  return std::move(*hash);
}

std::optional<certificate_names> peer_certificate(SSL* ssl) {
  const x509_ptr certificate(SSL_get1_peer_certificate(ssl));
  if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return std::nullopt;
  X509_NAME* name = X509_get_subject_name(certificate.get());
  return certificate_names{common_name(name), name_text(name)};
}

bool negotiated_postgresql(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &name, &length);
  return std::string_view(reinterpret_cast<const char*>(name), length) == alpn.substr(1);
}

std::string describe(const SSL* ssl) {
  return std::string(SSL_get_version(ssl)) + " " + SSL_get_cipher_name(ssl);
}

std::string take_errors() {
  std::string text;
  while (const unsigned long error = ERR_get_error()) {
    if (!text.empty()) text += "; ";
    const char* reason = ERR_reason_error_string(error);
    if (reason != nullptr) {
      text += reason;
    } else if (ERR_SYSTEM_ERROR(error)) {
      text += std::generic_category().message(ERR_GET_REASON(error));
    } else {
      text += "OpenSSL error " + std::to_string(error);
    }
  }
  return text;
}

}  // namespace tidegate::net::tls
