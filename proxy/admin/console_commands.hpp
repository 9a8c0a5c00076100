#pragma once
// Carries out the console's commands, one at a time, for one console. Every call checks whether the user may;
// every change is logged and audited.

#include "proxy/admin/command.hpp"
#include "proxy/admin/gateway_access.hpp"
#include "proxy/admin/table.hpp"
#include "proxy/admin/topics.hpp"
#include "proxy/session/environment.hpp"
#include "proxy/session/replies.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::admin {

enum class rights : std::uint8_t { none, look, change };

// By the settings of the moment: who is taken off the list may do nothing more.
rights rights_of(const config::settings& settings, const std::string& user);

struct command_result {
  std::optional<session::report> error;
  std::vector<session::report> notices;
  rows table;
  std::string tag;
  std::optional<shutdown_kind> shut_down;  // once the client has its answer
};

class console_commands {
 public:
  struct caller {
    std::string user, database, application, client;
  };

  // `interrupted` says whether the client has gone or has sent a cancel request.
  console_commands(session::shared_services& shared, gateway_access& gateway, caller who,
                   std::function<bool()> interrupted);

  // What is wrong with a command before it runs: a topic or a key that does not exist.
  std::optional<session::report> check(const command& c) const;
  // Its columns; none: it returns no rows. Names point into the command.
  std::vector<column> shape_of(const command& c) const;
  boost::asio::awaitable<command_result> run(command c);

 private:
  using outcome = std::optional<session::report>;

  boost::asio::awaitable<command_result> carry_out(const command& c);
  boost::asio::awaitable<command_result> show(const command& c);
  boost::asio::awaitable<outcome> pause(const std::string& database);
  boost::asio::awaitable<outcome> kill_client(const std::string& id);
  boost::asio::awaitable<outcome> reload();
  boost::asio::awaitable<outcome> set(const command& c, std::vector<session::report>& notices);
  boost::asio::awaitable<outcome> end_sessions(const std::string& database, bool at_rest);
  boost::asio::awaitable<std::optional<unsigned>> count_busy(const std::string& database);
  boost::asio::awaitable<bool> gather(overview& into);
  boost::asio::awaitable<void> gather_ledgers(const std::string& only, overview& into,
                                              std::vector<session::report>& notices);
  outcome unknown_database(const std::string& database) const;
  std::string select(const command& c) const;
  void tell(const command& c, const command_result& result,
            std::chrono::steady_clock::time_point began) const;

  session::shared_services& shared_;
  gateway_access& gateway_;
  caller who_;
  std::function<bool()> interrupted_;
};

}  // namespace tidegate::admin
