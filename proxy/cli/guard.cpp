#include "proxy/cli/guard.hpp"

#include "policies/sql/quote.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/cli/judging.hpp"
#include "proxy/control/pg_connection.hpp"
#include "proxy/control/wait_for.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <boost/asio/this_coro.hpp>

namespace tidegate::cli {
namespace {

namespace asio = boost::asio;
using control::guard_examination;
using control::outcome;
using control::sql_error;

std::string list_of(const std::vector<std::string>& roles) {
  std::string text;
  for (const std::string& role : roles) text += (text.empty() ? "" : ", ") + sql::quote_identifier(role);
  return text.empty() ? "none" : text;
}

std::optional<std::vector<std::string>> given(std::vector<std::string> names) {
  if (names.empty()) return std::nullopt;
  std::erase(names, std::string());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

asio::awaitable<outcome<guard_examination>> carry_out(guard_action action, control::control_target target,
                                                      control::guard_options options) {
  control::pg_connection connection(co_await asio::this_coro::executor);
  const auto connected = co_await connection.connect(std::move(target));
  if (!connected) co_return connected.error();
  switch (action) {
    case guard_action::install:
      co_return co_await control::install_guard(connection, std::move(options));
    case guard_action::remove:
      co_return co_await control::remove_guard(connection);
    case guard_action::status:
      break;
  }
  co_return co_await control::examine_guard(connection);
}

std::string_view advice_on(const sql_error& error) {
  if (error.sqlstate == protocol::sqlstate::insufficient_privilege)
    return "event triggers are made by superusers: give the URI of one, or of the role that your platform "
           "lets make "
           "them";
  if (error.sqlstate == protocol::sqlstate::object_not_in_prerequisite_state)
    return "somebody else made that schema: look what is in it, and rename or drop it";
  return {};
}

}  // namespace

std::string describe(const guard_examination& guard) {
  const std::string where =
      "database " + sql::quote_identifier(guard.database) + " (PostgreSQL " + guard.server_version + ")";
  if (!guard.installed) return where + ": no server guard\n";
  std::string text = where + ": server guard ";
  if (!guard.enabled)
    text += "disabled: its event triggers fire for nobody";
  else if (!guard.problems.empty())
    text += "not as it was made";
  else if (!guard.mode)
    text += "as it was made; whether it refuses or only warns is not to be seen by role " +
            sql::quote_identifier(guard.role);
  else
    text += guard.mode == "observe" ? "observing: it warns and refuses nothing" : "in force";
  text += "\n  may ask for vouches: superusers" +
          (guard.control_roles.empty() ? std::string() : ", " + list_of(guard.control_roles)) + "\n";
  if (guard.mode) text += "  pass without a vouch: " + list_of(guard.allowed_roles) + "\n";
  for (const std::string& problem : guard.problems) text += "  problem: " + problem + "\n";
  if (!guard.problems.empty()) text += "  -> tidegate guard install makes it anew, with the same roles\n";
  return text;
}

int run_guard(guard_action action, const guard_command_options& options, std::ostream& out,
              std::ostream& err) {
  if (!options.mode.empty() && options.mode != "enforce" && options.mode != "observe") {
    err << "tidegate guard: --mode " << options.mode << ": expected enforce or observe\n";
    return bad_usage;
  }
  control::control_target target;
  try {
    target = control::parse_conninfo(options.database);
  } catch (const std::invalid_argument& problem) {
    err << "tidegate guard: --database: " << problem.what() << '\n';
    return bad_usage;
  }
  target.settings.lock_timeout = std::chrono::seconds(5);
  target.settings.statement_timeout = std::chrono::seconds(15);
  control::guard_options wanted;
  wanted.allowed_roles = given(options.allowed_roles);
  wanted.control_roles = given(options.control_roles);
  if (!options.mode.empty()) wanted.mode = options.mode;
  try {
    const auto done = control::wait_for(carry_out(action, std::move(target), std::move(wanted)));
    if (!done) {
      err << "tidegate guard: " << done.error().message << " (" << done.error().sqlstate << ")\n";
      if (const auto advice = advice_on(done.error()); !advice.empty()) err << "  -> " << advice << '\n';
      return failed;
    }
    if (action == guard_action::remove) {
      out << "database " << sql::quote_identifier(done->database)
          << (done->installed ? ": server guard removed\n" : ": no server guard\n");
      return nothing_to_say;
    }
    out << describe(*done);
    return action == guard_action::install || done->in_force() ? nothing_to_say : objections;
  } catch (const std::exception& problem) {
    err << "tidegate guard: " << problem.what() << '\n';
    return failed;
  }
}

}  // namespace tidegate::cli
