// SHOW CLIENTS, SHOW SERVERS.

#include "proxy/admin/topics.hpp"

#include <array>

namespace tidegate::admin {
namespace {

constexpr auto client_words = std::to_array<std::string_view>({"idle", "active", "waiting"});
constexpr auto server_words = std::to_array<std::string_view>({"active", "idle", "new"});

// Names of our own instead of addresses in memory: they tell two rows apart and which belong together.
std::string handle(char kind, std::uint64_t id) {
  return id == 0 ? std::string() : kind + number(id);
}

row begin_row(char type, const connection_ends& ends, const std::string& user, const std::string& database,
              bool replication, std::string_view state, wall_clock::time_point connected,
              wall_clock::time_point asked) {
  return make_row(std::string(1, type), user, database, replication ? "physical" : "none", std::string(state),
                  ends.address, number(ends.port), ends.local_address, number(ends.local_port),
                  time_text(connected), time_text(asked));
}

void end_row(row& out, std::string ptr, std::string link, std::int32_t pid, const std::string& tls,
             const std::string& application, std::uint64_t id) {
  for (auto& cell : make_row(std::move(ptr), std::move(link), number(pid), tls, application, "0", number(id)))
    out.push_back(std::move(cell));
}

}  // namespace

rows make_clients(const overview& all) {
  rows out;
  for (const client_row& c : all.sessions.clients) {
    row made = begin_row('C', c.ends, c.user, c.database, c.replication,
                         client_words[static_cast<std::size_t>(c.state)], c.connected, c.asked);
    made.emplace_back(number(c.waits.count() / 1'000'000));
    made.emplace_back(number(c.waits.count() % 1'000'000));
    made.emplace_back("0");
    end_row(made, handle('c', c.id), handle('s', c.server), c.ends.process_id, c.ends.tls, c.application,
            c.id);
    made.emplace_back(std::string(c.doing));
    out.push_back(std::move(made));
  }
  return out;
}

rows make_servers(const overview& all) {
  rows out;
  for (const server_row& s : all.sessions.servers) {
    row made = begin_row('S', s.ends, s.user, s.database, s.replication,
                         server_words[static_cast<std::size_t>(s.state)], s.connected, s.asked);
    made.emplace_back("0");
    made.emplace_back("0");
    made.emplace_back(flag(s.close_needed));
    end_row(made, handle('s', s.id), handle('c', s.client), s.backend_pid, s.ends.tls, s.application, s.id);
    out.push_back(std::move(made));
  }
  return out;
}

rows make_pins(const overview& all) {
  rows out;
  for (const client_row& c : all.sessions.clients) {
    if (c.pins.empty()) continue;
    out.push_back(make_row(number(c.id), c.database, c.user, c.application, number(c.server), c.pins,
                           time_text(c.asked)));
  }
  return out;
}

rows make_prepared_statements(const overview& all) {
  rows out;
  for (const auto& each : all.statements) out.push_back(make_row(each.name, each.text, number(each.uses)));
  return out;
}

}  // namespace tidegate::admin
