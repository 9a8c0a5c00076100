#include "proxy/runtime_settings.hpp"

#include <utility>

namespace tidegate {

net::tls::result<std::shared_ptr<const runtime_settings>> make_runtime(
    std::shared_ptr<const config::settings> settings, session::secret_lookup lookup,
    boost::asio::thread_pool& slow_work, const std::array<std::byte, 32>& mock_key) {
  auto made = std::make_shared<runtime_settings>();
  made->settings = settings;
  for (std::size_t i = 0; i < settings->listen.size(); ++i) {
    auto context = net::tls::make_listen_context(settings->listen[i].tls);
    if (!context) return context.error();
    auto environment = std::make_shared<session::handshake_environment>();
    environment->settings = settings;
    environment->listen_index = i;
    environment->tls = *context;
    environment->lookup = lookup;
    environment->slow_work = &slow_work;
    environment->mock_key = mock_key;
    made->listeners.push_back(std::move(environment));
  }
  for (const config::database_settings& database : settings->databases) {
    auto context = net::tls::make_server_context(database.server_tls);
    if (!context) return context.error();
    made->endpoints.emplace(&database, pool::make_endpoint(database, *context));
  }
  for (const config::peer_settings& peer : settings->peers.gateways) {
    auto context = net::tls::make_server_context(peer.tls);
    if (!context) return context.error();
    made->peers.emplace(peer.id, pool::make_endpoint(peer, *context));
  }
  return std::shared_ptr<const runtime_settings>(std::move(made));
}

}  // namespace tidegate
