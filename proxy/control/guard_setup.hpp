#pragma once
// Makes the server guard (docs/guard.md), takes it away, and looks whether it is as it was made: for
// `tidegate guard`. A gateway that runs needs server_guard.hpp only.
//
// It lives in a schema of its own, tidegate_guard, which belongs to whoever installs it. Schema tidegate is
// the control role's, and what is trusted there is trusted because nobody else may write to it.

#include "proxy/control/querier.hpp"

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

struct guard_options {
  // Of an installed guard, what is not given stays as it is.
  std::optional<std::vector<std::string>> allowed_roles;  // whose sessions the guard lets pass
  std::optional<std::vector<std::string>> control_roles;  // that may have tokens, beside superusers
  std::optional<std::string> mode;                        // enforce | observe
};

struct guard_examination {
  std::string database, server_version;
  std::string role;  // that looks
  bool in_recovery = false;
  bool installed = false;                // an event trigger of its name is there
  bool enabled = false;                  // one of them fires
  std::string schema_owner;              // empty: there is no schema
  bool schema_owner_is_trusted = false;  // a superuser, or the one who looks
  std::optional<std::string> mode;       // none: the one who looks may not read it
  std::vector<std::string> allowed_roles, control_roles;
  std::vector<std::string> problems;  // why it does not do what it should, one line each

  bool in_force() const { return installed && enabled && mode == "enforce" && problems.empty(); }
};

boost::asio::awaitable<outcome<guard_examination>> examine_guard(querier& source);

// Makes the guard anew, in one transaction, whatever was there before: with a new secret. `source` must be
// one connection, since the transaction spans commands. Errors: 42501 without the rights, 42704 for a role
// that is not there, 55000 where the schema is somebody else's, 25006 on a standby.
boost::asio::awaitable<outcome<guard_examination>> install_guard(querier& source, guard_options options);

// What was there before.
boost::asio::awaitable<outcome<guard_examination>> remove_guard(querier& source);

}  // namespace tidegate::control
