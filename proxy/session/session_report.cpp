// What the admin console shows of a session.

#include "proxy/net/connection_ends.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/lending.hpp"

namespace tidegate::session {
namespace {

using steady = std::chrono::steady_clock;

admin::wall_clock::time_point wall_time(steady::time_point at) {
  if (at == steady::time_point{}) return {};
  return admin::wall_clock::now() -
         std::chrono::duration_cast<admin::wall_clock::duration>(steady::now() - at);
}

}  // namespace

bool client_session::busy() const {
  if (ended_ || who_.replication) return false;
  return phase_ == phase::relaying || phase_ == phase::held ? !core_.pipeline().at_rest() : true;
}

void client_session::report(admin::worker_snapshot& to) const {
  using admin::client_state;
  const bool paused = (phase_ == phase::held && held_by_pause_) || phase_ == phase::waiting;
  admin::client_row client;
  client.id = id_;
  client.user = who_.user;
  client.database = who_.database;
  client.application = core_.application_name();
  client.state = paused ? client_state::waiting : busy() ? client_state::active : client_state::idle;
  const auto doing = phase_ == phase::held ? metrics::client_state::waiting : counted_as_;
  client.doing = metrics::words_of<metrics::client_state>[static_cast<std::size_t>(doing)];
  client.replication = who_.replication;
  client.ends = net::ends_of(client_.stream());
  client.connected = connected_at_;
  client.asked = wall_time(query_since_);
  if (paused)
    client.waits = std::chrono::duration_cast<std::chrono::microseconds>(
        steady::now() - (held_since_ ? *held_since_ : lent_->waits_since));
  to.session_bytes = sizeof(client_session);
  to.buffered_bytes +=
      client_.unsent() + client_pending_.size() + server_pending_.size() + (inbox_.size() - inbox_begin_);
  client.server = server_ ? server_->id : 0;
  for (std::size_t i = 0; lent_ && i < pin_count; ++i) {
    if (!lent_->pinned.has(static_cast<pin>(i))) continue;
    client.pins += client.pins.empty() ? "" : ", ";
    client.pins += metrics::words_of<pin>[i];
  }
  to.clients.push_back(client);
  if (!server_) return;
  to.buffered_bytes += server_->channel.unsent();
  admin::server_row server;
  server.id = server_->id;
  server.user = who_.user;
  server.database = who_.database;
  server.application = client.application;
  server.replication = who_.replication;
  server.close_needed = end_at_rest_ || server_->close_needed;
  server.ends = net::ends_of(server_->channel.stream());
  server.connected = server_->made_at;
  server.asked = client.asked;
  server.backend_pid = server_->backend_pid;
  server.client = id_;

  to.servers.push_back(std::move(server));
}

}  // namespace tidegate::session
