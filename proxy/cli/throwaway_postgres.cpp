#include "proxy/cli/throwaway_postgres.hpp"

#include "proxy/cli/sql_client.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <deque>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

namespace tidegate::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

constexpr auto look_again = std::chrono::milliseconds(20);
constexpr auto start_within = std::chrono::seconds(60);
constexpr auto end_within = std::chrono::seconds(5);
constexpr std::size_t log_lines_shown = 10;

bool holds_postgres(const fs::path& folder) {
  return ::access((folder / "initdb").c_str(), X_OK) == 0 &&
         ::access((folder / "postgres").c_str(), X_OK) == 0;
}

std::optional<int> as_major(const std::string& name) {
  int major = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), major);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return major;
}

// Free at this moment; should somebody take it before the server does, the start fails and says so.
std::uint16_t free_port() {
  asio::io_context context;
  const asio::ip::tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
  return asio::ip::tcp::acceptor(context, any).local_endpoint().port();
}

asio::awaitable<void> pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

std::optional<fs::path> find_postgres(const fs::path& installed, std::string_view search_path) {
  std::vector<std::pair<int, fs::path>> found;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(installed, none)) {
    const auto major = as_major(entry.path().filename().string());
    if (major && holds_postgres(entry.path() / "bin")) found.emplace_back(*major, entry.path() / "bin");
  }
  if (!found.empty()) return std::ranges::max_element(found)->second;
  while (!search_path.empty()) {
    const std::string_view folder = search_path.substr(0, search_path.find(':'));
    search_path.remove_prefix(std::min(search_path.size(), folder.size() + 1));
    if (folder.starts_with('/') && holds_postgres(folder)) return fs::path(folder);
  }
  return std::nullopt;
}

throwaway_postgres::throwaway_postgres(fs::path binaries, fs::path folder, std::vector<std::string> tcp_roles)
    : binaries_(std::move(binaries)),
      log_(folder / "postgresql.log"),
      own_folder_(folder / "server"),
      data_(own_folder_ / "data"),
      tcp_roles_(std::move(tcp_roles)),
      run_as_(unprivileged_account()) {
  fs::create_directory(own_folder_);
  fs::permissions(own_folder_, fs::perms::owner_all);
  if (run_as_ && ::chown(own_folder_.c_str(), run_as_->user, run_as_->group) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot give away " + own_folder_.string());
}

throwaway_postgres::~throwaway_postgres() {
  // Immediate shutdown: nothing is written back, shared memory is given back all the same.
  if (server_) server_->end(SIGQUIT, end_within);
}

asio::awaitable<void> throwaway_postgres::start() {
  co_await make_cluster();
  port_ = free_port();
  const std::vector<std::pair<std::string, std::string>> settings = {
      {"listen_addresses", "127.0.0.1"},
      {"port", std::to_string(port_)},
      {"unix_socket_directories", own_folder_.string()},
      {"hba_file", (own_folder_ / "hba.conf").string()},
      {"max_connections", "60"},
      {"shared_buffers", "128MB"},
      {"max_wal_size", "4GB"},  // no checkpoint in the middle of the story
      {"fsync", "off"},
      {"synchronous_commit", "off"},
      {"full_page_writes", "off"},
      {"autovacuum", "off"},
      {"jit", "off"},
  };
  std::vector<std::string> words = {(binaries_ / "postgres").string(), "-D", data_.string()};
  for (const auto& [name, value] : settings) words.insert(words.end(), {"-c", name + "=" + value});
  server_ = run(std::move(words));
  co_await wait_until_ready();
}

asio::awaitable<void> throwaway_postgres::make_cluster() {
  std::ofstream rights(own_folder_ / "hba.conf");
  rights << "local all all trust\n";
  for (const std::string& role : tcp_roles_) rights << "host all " << role << " 127.0.0.1/32 trust\n";
  rights.close();
  if (!rights) fail("cannot write in " + own_folder_.string());
  const auto initdb =
      run({(binaries_ / "initdb").string(), "-D", data_.string(), "-U", std::string(superuser), "-A", "trust",
           "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"});
  while (!initdb->status()) co_await pause(look_again);
  if (*initdb->status() != 0) fail("initdb failed");
}

asio::awaitable<void> throwaway_postgres::wait_until_ready() {
  const auto until = std::chrono::steady_clock::now() + start_within;
  while (std::chrono::steady_clock::now() < until) {
    if (server_->status()) fail("PostgreSQL did not start");
    sql_client client(co_await asio::this_coro::executor);
    const sql_address where{.host = own_folder_.string(),
                            .port = port_,
                            .user = std::string(superuser),
                            .database = "postgres",
                            .application = "tidegate demo"};
    if (co_await client.try_connect(where)) co_return;
    co_await pause(look_again);
  }
  fail("PostgreSQL was not ready in time");
}

std::unique_ptr<child_process> throwaway_postgres::run(std::vector<std::string> words) const {
  const child_process::command what{
      .words = std::move(words), .folder = own_folder_, .log = log_, .run_as = run_as_};
  return std::make_unique<child_process>(what);
}

void throwaway_postgres::fail(const std::string& what) const {
  std::deque<std::string> last;
  std::ifstream log(log_);
  for (std::string line; std::getline(log, line); last.push_back(line)) {
    if (last.size() == log_lines_shown) last.pop_front();
  }
  std::string text = what + " (" + binaries_.string() + ")";
  for (const std::string& line : last) text += "\n  " + line;
  throw std::runtime_error(text);
}

}  // namespace tidegate::cli
