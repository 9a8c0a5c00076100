#pragma once
// A PostgreSQL server of its own for `tidegate demo`: a new cluster in a folder, reachable there by unix
// socket (every role; only its owner and root can enter) and on 127.0.0.1 (only the roles of the demo, none
// of them a superuser, without a password). Made for speed: what it holds would not survive a crash of the
// machine, and is not meant to survive the demo. One thread.

#include "proxy/cli/child_process.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::cli {

// The folder that holds `initdb` and `postgres`: the newest of `installed`/<major>/bin, else the first in
// `search_path` (as $PATH). None: PostgreSQL is not installed.
std::optional<std::filesystem::path> find_postgres(const std::filesystem::path& installed,
                                                   std::string_view search_path);

class throwaway_postgres {
 public:
  // `folder` exists, can be entered by others, and is the caller's to remove. `tcp_roles` may log in by TCP.
  throwaway_postgres(std::filesystem::path binaries, std::filesystem::path folder,
                     std::vector<std::string> tcp_roles);
  // Ends the server at once.
  ~throwaway_postgres();

  // Makes the cluster and starts the server; it takes connections afterwards. Throws std::runtime_error with
  // the last lines of the log.
  boost::asio::awaitable<void> start();

  std::uint16_t port() const { return port_; }
  const std::filesystem::path& socket_folder() const { return own_folder_; }
  static constexpr std::string_view superuser = "postgres";

 private:
  boost::asio::awaitable<void> make_cluster();
  boost::asio::awaitable<void> wait_until_ready();
  std::unique_ptr<child_process> run(std::vector<std::string> words) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::filesystem::path binaries_, log_, own_folder_, data_;
  std::vector<std::string> tcp_roles_;
  std::optional<account> run_as_;
  std::uint16_t port_ = 0;
  std::unique_ptr<child_process> server_;
};

}  // namespace tidegate::cli
