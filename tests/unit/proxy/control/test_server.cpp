#include "tests/unit/proxy/control/test_server.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tidegate::test {

namespace fs = std::filesystem;

namespace {

std::string bin_folder() {
  if (const char* const given = getenv("TIDEGATE_TEST_PG_BIN")) return given;
  std::vector<fs::path> found;
  const fs::path root = "/usr/lib/postgresql";
  if (fs::exists(root))
    for (const auto& entry : fs::directory_iterator(root))
      if (fs::exists(entry.path() / "bin/initdb")) found.push_back(entry.path() / "bin");
  if (found.empty()) throw std::runtime_error("no PostgreSQL server programs found");
  return std::ranges::max(found).string();
}

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// Starts a program, as user postgres when this is root (PostgreSQL refuses to run as root).
pid_t start(const std::vector<std::string>& words, const std::string& output) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  if (geteuid() == 0) {
    const passwd* const user = getpwnam("postgres");
    if (!user || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) _exit(126);
  }
  prctl(PR_SET_PDEATHSIG, SIGINT);  // a test that crashes leaves no server behind
  if (!freopen(output.c_str(), "a", stdout) || dup2(1, 2) < 0) _exit(126);
  execv(argv[0], argv.data());
  _exit(127);
}

int wait_exit(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

test_server& test_server::instance() {
  static test_server server;
  return server;
}

test_server::test_server() {
  std::string pattern = (fs::temp_directory_path() / "tidegate-test-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  if (geteuid() == 0) {
    const passwd* const user = getpwnam("postgres");
    if (!user || chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0)
      throw std::runtime_error("no user postgres to run a server as");
  }
  const std::string data = folder_ + "/data", log = folder_ + "/log", bin = bin_folder();
  if (wait_exit(start(
          {bin + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"},
          log)) != 0)
    throw std::runtime_error("initdb failed, see " + log);
  port_ = free_port();
  pid_ = start({bin + "/postgres",
                "-D",
                data,
                "-p",
                std::to_string(port_),
                "-h",
                "127.0.0.1",
                "-k",
                folder_,
                "-c",
                "fsync=off",
                "-c",
                "max_prepared_transactions=5",
                "-c",
                "wal_level=logical",
                "-c",
                "autovacuum=off",
                "-c",
                "max_connections=50",
                "-c",
                "shared_buffers=16MB"},
               log);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {  // the server tells nobody that it is ready, except in this file
    std::ifstream file(data + "/postmaster.pid");
    std::string line, last;
    for (int i = 0; std::getline(file, line) && i < 8; ++i) last = line;
    if (last.starts_with("ready")) return;
    if (std::chrono::steady_clock::now() > give_up)
      throw std::runtime_error("the server did not start: " + log);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

test_server::~test_server() {
  kill(pid_, SIGINT);
  wait_exit(pid_);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

control::control_target test_server::target(const std::string& database) const {
  control::control_target target;
  target.settings.host = "127.0.0.1";
  target.settings.port = port_;
  target.settings.user = "postgres";
  target.settings.tls_mode = "disable";
  target.database = database;
  return target;
}

control::control_target test_server::writer(const std::string& database) const {
  control::control_target to = target(database);
  to.settings.own_search_path = true;
  to.settings.lock_timeout = std::chrono::milliseconds(0);
  to.settings.statement_timeout = std::chrono::milliseconds(20'000);
  to.settings.more["options"] = "-c default_transaction_read_only=off";
  return to;
}

std::string test_server::conninfo(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string test_server::create_database(const std::string& name,
                                         const std::vector<std::string>& statements) {
  test_session(writer()).execute("CREATE DATABASE " + name);
  test_session session(writer(name));
  for (const std::string& statement : statements) session.execute(statement);
  return name;
}

test_session::test_session(const control::control_target& target) {
  const auto connected = wait_for(context_, connection_.connect(target));
  if (!connected) throw std::runtime_error(connected.error().message);
}

control::text_rows test_session::execute(const std::string& sql, std::vector<control::text_cell> parameters) {
  std::vector<control::command> commands;
  commands.push_back({sql, std::move(parameters), false});
  auto outcomes = wait_for(context_, connection_.run(std::move(commands)));
  if (!outcomes.front())
    throw std::runtime_error(outcomes.front().error().sqlstate + ": " + outcomes.front().error().message +
                             " in " + sql);
  return std::move(outcomes.front()->rows);
}

std::string test_session::try_execute(const std::string& sql) {
  std::vector<control::command> commands;
  commands.push_back({sql, {}, false});
  const auto outcomes = wait_for(context_, connection_.run(std::move(commands)));
  return outcomes.front() ? std::string() : outcomes.front().error().sqlstate;
}

}  // namespace tidegate::test
