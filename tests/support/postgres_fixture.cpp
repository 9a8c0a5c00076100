#include "tests/support/postgres_fixture.hpp"

#include "tests/support/coroutines.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tidegate::testing {
namespace {

namespace files = std::filesystem;

// PostgreSQL refuses to run as root: the account that its package makes is used then.
const passwd* account() {
  return ::getuid() == 0 ? ::getpwnam("postgres") : nullptr;
}

files::path programs() {
  std::vector<files::path> found;
  const files::path root = "/usr/lib/postgresql";
  if (files::exists(root)) {
    for (const auto& version : files::directory_iterator(root)) {
      if (files::exists(version.path() / "bin/initdb")) found.push_back(version.path() / "bin");
    }
  }
  if (found.empty()) throw std::runtime_error("these tests need PostgreSQL's server programs");
  return *std::max_element(found.begin(), found.end());
}

void hand_over(const files::path& path) {
  if (const passwd* owner = account()) {
    if (::chown(path.c_str(), owner->pw_uid, owner->pw_gid) != 0) throw std::runtime_error("chown failed");
  }
}

// Starts a program with `input` as its standard input and `output` as its standard output and error.
pid_t spawn(const std::vector<std::string>& arguments, int input, int output) {
  const passwd* user = account();
  std::vector<char*> raw;
  for (const auto& each : arguments) raw.push_back(const_cast<char*>(each.c_str()));
  raw.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGINT);
  ::dup2(input, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  if (user != nullptr &&
      (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
    ::_exit(126);
  if (::chdir("/") != 0) ::_exit(126);
  ::execv(raw[0], raw.data());
  ::_exit(127);
}

struct pipe_ends {
  int read = -1;
  int write = -1;
  pipe_ends() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
    read = ends[0];
    write = ends[1];
  }
  ~pipe_ends() {
    close(read);
    close(write);
  }
  static void close(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
};

void run_program(const std::vector<std::string>& arguments, std::string_view input, const std::string& log) {
  pipe_ends in;
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t child = spawn(arguments, in.read, out);
  ::close(out);
  if (::write(in.write, input.data(), input.size()) != static_cast<ssize_t>(input.size()))
    throw std::runtime_error("write to " + arguments[0] + " failed");
  pipe_ends::close(in.write);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status == 0) return;
  std::ifstream text(log);
  throw std::runtime_error(
      arguments[0] + " failed:\n" +
      std::string(std::istreambuf_iterator<char>(text), std::istreambuf_iterator<char>()));
}

constexpr std::string_view roles = R"(CREATE ROLE trusted LOGIN
CREATE ROLE plain_only LOGIN
CREATE ROLE tls_only LOGIN
CREATE ROLE cert_user LOGIN
CREATE ROLE rejected LOGIN
SET password_encryption = 'md5'
CREATE ROLE md5_user LOGIN PASSWORD 'secret'
CREATE ROLE clear_user LOGIN PASSWORD 'secret'
SET password_encryption = 'scram-sha-256'
CREATE ROLE scram_user LOGIN PASSWORD 'secret'
CREATE ROLE expired LOGIN PASSWORD 'secret' VALID UNTIL '2000-01-01'
)";

constexpr std::string_view hba = R"(local all postgres trust
local all trusted trust
local all scram_user scram-sha-256
local all clear_user password
host all postgres 127.0.0.1/32 trust
host all trusted 127.0.0.1/32 trust
host all md5_user 127.0.0.1/32 md5
host all scram_user,expired 127.0.0.1/32 scram-sha-256
host all clear_user 127.0.0.1/32 password
hostnossl all plain_only 127.0.0.1/32 trust
hostssl all tls_only 127.0.0.1/32 trust
hostssl all cert_user 127.0.0.1/32 cert
host all rejected 127.0.0.1/32 reject
)";

}  // namespace

postgres& postgres::shared() {
  static postgres one;
  return one;
}

postgres::postgres() {
  files::permissions(folder_.path(), files::perms::owner_all | files::perms::group_exec |
                                         files::perms::others_exec | files::perms::others_read);
  authority_ = std::make_unique<authority>(folder_.path(), "authority");
  cert_user_ = authority_->issue("cert_user", false);
  make_cluster();
  start();
}

void postgres::make_cluster() {
  const std::string log = folder_.file("setup.log");
  const std::string data = folder_.file("data");
  files::create_directory(data);
  hand_over(data);
  hand_over(folder_.path());
  run_program({programs() / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
               "-N", "--no-instructions"},
              "", log);
  run_program({programs() / "postgres", "--single", "-D", data, "-c", "fsync=off", "postgres"}, roles, log);
  std::ofstream(data + "/pg_hba.conf") << hba;
  const certificate_files server = authority_->issue("server", true);
  hand_over(server.certificate);
  hand_over(server.key);
  std::ofstream(data + "/postgresql.auto.conf")
      << "fsync = off\nssl = on\nssl_cert_file = '" << server.certificate << "'\nssl_key_file = '"
      << server.key << "'\nssl_ca_file = '" << authority_->certificate() << "'\nunix_socket_directories = '"
      << folder_.path().string() << "'\nlisten_addresses = '127.0.0.1'\n";
}

void postgres::start() {
  // The port is free when it is looked up; whoever takes it in between makes the start fail, and another is
  // tried.
  for (int attempt = 0; attempt < 5; ++attempt) {
    port_ = listening().port;
    pipe_ends out;
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_ = spawn({programs() / "postgres", "-D", folder_.file("data"), "-p", std::to_string(port_)}, nothing,
                 out.write);
    ::close(nothing);
    pipe_ends::close(out.write);
    std::string seen;
    std::array<char, 512> buffer;
    for (ssize_t n = 0; (n = ::read(out.read, buffer.data(), buffer.size())) > 0;) {
      seen.append(buffer.data(), static_cast<std::size_t>(n));
      if (seen.find("ready to accept connections") != std::string::npos) {
        log_reader_ = std::thread([log = std::exchange(out.read, -1)]() mutable {
          std::array<char, 512> unread;
          while (::read(log, unread.data(), unread.size()) > 0) {
          }
          pipe_ends::close(log);
        });
        return;
      }
    }
    ::waitpid(pid_, nullptr, 0);
    if (attempt == 4) throw std::runtime_error("PostgreSQL did not start:\n" + seen);
  }
}

postgres::~postgres() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGQUIT);
  ::waitpid(pid_, nullptr, 0);
  log_reader_.join();
}

}  // namespace tidegate::testing
