#include "proxy/admin/snapshot.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tidegate::admin {
namespace {

template <typename Row>
void append(std::vector<Row>& to, std::vector<Row>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

void worker_snapshot::add(worker_snapshot&& other) {
  append(clients, other.clients);
  append(servers, other.servers);
  append(logins, other.logins);
  logging_in += other.logging_in;
  session_bytes = std::max(session_bytes, other.session_bytes);
  buffered_bytes += other.buffered_bytes;
}

}  // namespace tidegate::admin
