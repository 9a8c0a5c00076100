// peers: the other gateways in front of the same databases.

#include "config/sections.hpp"

namespace tidegate::config {
namespace {

void read_peer(section_reader& entry, const peers_settings& all, peer_settings& out) {
  entry.number("id", out.id, {1, most_peer_id});
  entry.text("host", out.host);
  entry.number("port", out.port, {1, 65535});
  entry.section("tls", [&](section_reader& tls) { read_server_tls(tls, out.tls); });
  if (!entry.has("id")) entry.refuse("id", "is needed", "write the peers.id of that gateway");
  if (out.host.empty()) entry.refuse("host", "is needed", "write where that gateway listens");
  if (out.id != 0 && out.id == all.id)
    entry.refuse("id", "is this gateway's own", "leave this gateway out of its list");
  for (const peer_settings& earlier : all.gateways) {
    if (out.id != 0 && earlier.id == out.id)
      entry.refuse("id", "is in the list already", "give each gateway an id of its own");
  }
}

}  // namespace

void read_peers(section_reader& root, peers_settings& out) {
  root.section("peers", [&](section_reader& peers) {
    peers.number("id", out.id, {1, most_peer_id});
    if (!peers.has("id")) peers.refuse("id", "is needed", "give each gateway an id of its own, from 1 to 63");
    peers.sections("gateways", [&](section_reader& entry) {
      peer_settings peer;
      read_peer(entry, out, peer);
      out.gateways.push_back(std::move(peer));
    });
  });
}

}  // namespace tidegate::config
