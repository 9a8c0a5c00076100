#pragma once
// A logged-in server connection, with everything the gateway knows of its session. In session mode it belongs
// to one client; in transaction mode it is lent, and idle in between. One thread at a time.

#include "proxy/core/shared_statements.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/pool/waiting_queue.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::pool {

// Names and values, immutable and shared, so that most comparisons are of two pointers. Null: none.
using value_set = std::shared_ptr<const std::vector<parameter>>;

bool same_values(const value_set& a, const value_set& b);
// The same; equal ones become one and the same, so that it is seen by the pointers the next time.
bool unify(value_set& a, value_set& b);
// A copy in which one name has another value; the same set when it has that value already.
value_set with_value(const value_set& set, std::string_view name, std::string_view value);

struct pooled_server {
  explicit pooled_server(net::released_stream stream) : channel(std::move(stream)) {}

  net::channel channel;
  std::shared_ptr<const cancel_target> cancel;
  std::int32_t backend_pid = 0;  // 0: the server sent no BackendKeyData
  std::uint64_t id = 0;          // unique in the process

  // Transaction mode:
  value_set parameters;  // ParameterStatus, with the latest values
  value_set settings;    // what clients have set beyond what the login gave it
  bool bounded = false;  // locks.clamp has been applied since the settings were made
  core::server_statements statements;
  std::uint64_t last_client = 0;  // whom it was lent to; 0: nobody yet
  std::uint64_t last_drew = 0;    // who ran something on it that may have called nextval()
  std::chrono::steady_clock::time_point made, idle_since, checked;
  std::chrono::system_clock::time_point made_at;
  std::uint64_t made_epoch = 0;   // schema_epochs.hpp: when it logged in
  bool close_needed = false;      // at the next rest
  application_share_ptr lent_to;  // whose share it is counted in; null: in none
  protocol::byte_buffer unread;   // while idle: an incomplete message
};
using pooled_server_ptr = std::unique_ptr<pooled_server>;

// Of a login. The channel needs a handler before it is added to a poller.
pooled_server_ptr make_server(logged_in_server&& login, const server_endpoint_ptr& endpoint);

}  // namespace tidegate::pool
