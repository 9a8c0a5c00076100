#pragma once
// A PostgreSQL of its own for the tests of a binary: made at first use in a temporary folder, gone at exit.
// It listens on a free port of 127.0.0.1 and on a unix socket, has TLS, and a role for each way to log in
// (password "secret"):
//   trusted, md5_user, scram_user, clear_user, cert_user (TLS with a certificate of that name), rejected
//   plain_only (no TLS), tls_only (TLS only): trusted both
// Databases: postgres.

#include "tests/support/certificates.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include <sys/types.h>

namespace tidegate::testing {

class postgres {
 public:
  static postgres& shared();
  ~postgres();
  postgres(const postgres&) = delete;
  postgres& operator=(const postgres&) = delete;

  std::uint16_t port() const { return port_; }
  std::string socket_folder() const { return folder_.path(); }
  const authority& certificates() const { return *authority_; }
  const certificate_files& cert_user() const { return cert_user_; }

 private:
  postgres();
  void make_cluster();
  void start();

  temporary_folder folder_;
  std::unique_ptr<authority> authority_;
  certificate_files cert_user_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  std::thread log_reader_;  // so that the server never waits for its log to be read
};

}  // namespace tidegate::testing
