#pragma once
// What a client of a transaction pool is and has between its transactions: its place in the pool, its
// settings, and why it keeps its server when it does.

#include "proxy/core/session.hpp"
#include "proxy/pool/worker_pools.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidegate::session {

// Why a client keeps its server between transactions.
using pin = metrics::pin_reason;
inline constexpr std::size_t pin_count = metrics::words_of<pin>.size();

class pins {
 public:
  bool any() const { return bits_ != 0; }
  bool has(pin one) const { return (bits_ >> static_cast<unsigned>(one) & 1) != 0; }
  void set(pin one, bool on) {
    const auto bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(one));
    bits_ = static_cast<std::uint8_t>(on ? bits_ | bit : bits_ & ~bit);
  }
  friend bool operator==(pins, pins) = default;

 private:
  std::uint8_t bits_ = 0;
};

// What a name of the client's stands for on the server.
enum class standing : std::uint8_t {
  statement,    // the client's
  placeholder,  // something that does nothing, in its place
  unsure,       // one or the other or nothing: it was put with others, one of which the server refused
};

struct lending {
  lending(pool::worker_pools& of, pool::worker_pools::part& mine) : pools(of), part(mine) {}

  pool::worker_pools& pools;
  pool::worker_pools::part& part;
  pool::application_share_ptr share;  // by the name that it came with
  pool::waiter_ptr waiting;           // in the queue; null: not
  std::chrono::steady_clock::time_point waits_since;
  bool told_of_waiting = false;

  pool::value_set known;              // parameters, as the client has been told
  pool::value_set settings;           // that it has set; "role" is one of them
  pool::value_set parameters_before;  // of the server, when it was lent
  std::string application_name;       // of the startup packet: RESET returns to it
  std::string login_user;             // on the server
  pins pinned;
  pins counted;  // of those, what the metrics show: a client may end while the server is asked
  std::optional<std::uint64_t> asked_at;  // client_session::transactions() when it was asked last
  std::map<std::string, standing, std::less<>> names_there;  // on the server under the client's own names
  // What statements that name the client's find there.
  void tell_names(core::sharing& to) const {
    const auto none = [this](standing one) {
      return std::none_of(names_there.begin(), names_there.end(),
                          [one](const auto& each) { return each.second == one; });
    };
    to.names_stand = !names_there.empty() && none(standing::unsure);
    to.names_put = to.names_stand && none(standing::placeholder);
  }
  std::uint64_t last_server = 0;   // that it had, and …
  std::uint64_t drew_on = 0;       // … the last one on which it may have called nextval()
  std::uint64_t seen_retired = 0;  // RECONNECT: servers lent before are closed when they come back
  bool restoring = false;  // settings are being put on a server: what it reports is compared afterwards
};

}  // namespace tidegate::session
