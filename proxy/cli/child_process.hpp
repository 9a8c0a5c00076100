#pragma once
// A program that `tidegate demo` starts and ends: in a process group of its own, so that a Ctrl-C meant for
// us does not reach it, and ended by the kernel should we die. As root it runs under another account, since
// PostgreSQL refuses root. From one thread.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tidegate::cli {

struct account {
  uid_t user;
  gid_t group;
};

// Whom to run a server as: none when we are not root; otherwise `postgres`, else `nobody`. Throws
// std::runtime_error when root has neither.
std::optional<account> unprivileged_account();

class child_process {
 public:
  struct command {
    std::vector<std::string> words;  // the program's path first
    std::filesystem::path folder;    // where it runs
    std::filesystem::path log;       // what it says is appended there; opened with our own rights
    std::optional<account> run_as;
  };

  // Throws std::system_error when no process can be made; a program that can't be run exits with 127.
  explicit child_process(const command& what);
  // Kills it and everything in its group.
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  // As waitpid gives it, once the process has ended; asks, never waits.
  std::optional<int> status();
  // Sends the signal, waits up to `patience`, then kills the group. Blocks. Nothing when it has ended.
  void end(int signal, std::chrono::milliseconds patience);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace tidegate::cli
