#pragma once
// The settings in force with what was made of them: TLS contexts, endpoints. A reload makes a new one or,
// when its files are bad, none; sessions keep the one they began with. Immutable, shared by all threads.

#include "config/settings.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/pool/server_endpoint.hpp"
#include "proxy/session/authentication.hpp"
#include "proxy/session/client_handshake.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/thread_pool.hpp>
#include <boost/system/result.hpp>

namespace tidegate {

struct runtime_settings {
  std::shared_ptr<const config::settings> settings;
  std::vector<std::shared_ptr<const session::handshake_environment>>
      listeners;  // one per entry of settings->listen
  std::map<const config::database_settings*, pool::server_endpoint_ptr> endpoints;
  std::map<unsigned, pool::server_endpoint_ptr> peers;  // by their ids
};

using runtime_slot = std::atomic<std::shared_ptr<const runtime_settings>>;

// The failure names the file and what is wrong with it.
net::tls::result<std::shared_ptr<const runtime_settings>> make_runtime(
    std::shared_ptr<const config::settings> settings, session::secret_lookup lookup,
    boost::asio::thread_pool& slow_work, const std::array<std::byte, 32>& mock_key);

}  // namespace tidegate
