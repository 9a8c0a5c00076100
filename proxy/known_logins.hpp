#pragma once
// What the login of a client at a transaction pool has found out, kept for the next one that says and proves
// the same: among short connections nearly each. One worker's; its thread only.

#include "proxy/control/control_settings.hpp"
#include "proxy/metrics/thread_metrics.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/runtime_settings.hpp"
#include "proxy/session/client_handshake.hpp"

#include <memory>
#include <string>
#include <unordered_map>

namespace tidegate {

struct known_login {
  std::shared_ptr<const runtime_settings> runtime;  // that it holds under
  pool::credentials proof;                          // and that the client gave
  std::weak_ptr<pool::server_pool> pool;
  std::string user_on_server;
  control::control_target_ptr control;
  metrics::session_metrics metrics;
  pool::application_share_ptr share;
  // What the client is greeted with. It holds while the pool greets so.
  pool::value_set greeting;
  pool::value_set parameters;     // with the client's application_name
  pool::value_set settings;       // that its startup packet has set
  protocol::byte_buffer encoded;  // the parameters as messages
};
using known_login_ptr = std::shared_ptr<known_login>;

class known_logins {
 public:
  // Everything that the client has said and that was found of it, but for its credentials.
  static std::string key_of(const session::accepted_client& client);

  // Null: nobody has been here with this, under these settings.
  known_login_ptr find(const std::string& key, const std::shared_ptr<const runtime_settings>& runtime,
                       const pool::credentials& proof) const;
  void remember(std::string key, known_login_ptr login);
  // Called now and then: what older settings were found with is forgotten.
  void forget_others(const std::shared_ptr<const runtime_settings>& runtime);

 private:
  static constexpr std::size_t most = 256;
  static constexpr std::size_t longest_key = 1024;

  std::unordered_map<std::string, known_login_ptr> by_key_;
};

}  // namespace tidegate
