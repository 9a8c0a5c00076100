#include "proxy/cli/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tidegate::cli {
namespace {

constexpr int cannot_run = 127;  // as shells say it

// Between fork and exec: only what signal handlers may call, since other threads may have held locks.
[[noreturn]] void become(char* const* words, const char* folder, int log,
                         const std::optional<account>& run_as, pid_t parent) {
  const bool ready =
      ::setsid() != -1 && ::dup2(log, STDOUT_FILENO) != -1 && ::dup2(log, STDERR_FILENO) != -1 &&
      (!run_as ||
       (::setgroups(0, nullptr) == 0 && ::setgid(run_as->group) == 0 && ::setuid(run_as->user) == 0)) &&
      ::chdir(folder) == 0;
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (!ready || nothing == -1 || ::dup2(nothing, STDIN_FILENO) == -1) ::_exit(cannot_run);
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  // After the change of user, which would take it back. A parent that died before it is seen here.
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (::getppid() != parent) ::_exit(cannot_run);
  constexpr std::array environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"};
  std::array<char*, environment.size() + 1> variables{};
  for (std::size_t i = 0; i < environment.size(); ++i) variables[i] = const_cast<char*>(environment[i]);
  ::execve(words[0], words, variables.data());
  ::_exit(cannot_run);
}

}  // namespace

std::optional<account> unprivileged_account() {
  if (::geteuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* const found = ::getpwnam(name)) return account{found->pw_uid, found->pw_gid};
  }
  throw std::runtime_error(
      "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as");
}

child_process::child_process(const command& what) {
  std::vector<std::string> words = what.words;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int log = ::open(what.log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (log == -1) throw std::system_error(errno, std::generic_category(), "cannot write " + what.log.string());
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  const int error = errno;
  if (pid_ == 0) become(pointers.data(), what.folder.c_str(), log, what.run_as, parent);
  ::close(log);
  if (pid_ == -1)
    throw std::system_error(error, std::generic_category(), "cannot start " + what.words.front());
}

child_process::~child_process() {
  end(SIGKILL, {});
}

std::optional<int> child_process::status() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

void child_process::end(int signal, std::chrono::milliseconds patience) {
  if (status()) return;
  ::kill(pid_, signal);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!status() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (status_) return;
  // The process alone until setsid has made its group.
  ::kill(pid_, SIGKILL);
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
  }
  status_ = status;
}

}  // namespace tidegate::cli
