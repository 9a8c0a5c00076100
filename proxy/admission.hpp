#pragma once
// Places for clients: in total, per database, per user (limits.max_clients and its kin). A place is taken
// once a client has proved who it is and is given back when its session ends; until then it has one among
// those that log in. Any thread.

#include "config/settings.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tidegate {

class admission {
 public:
  enum class refusal : std::uint8_t {
    too_many_clients,
    too_many_for_database,
    too_many_for_user,
    pool_full,  // pool.size server connections of this database and user are taken: a place may become free
  };
  using place = std::shared_ptr<void>;

  // A place for a connection that has not logged in yet; null when limits.max_clients of them are at it.
  // Together with enter() it bounds the descriptors that clients can take.
  place arrive(const config::settings& settings);
  std::variant<place, refusal> enter(const config::settings& settings, const std::string& database,
                                     const std::string& user);
  // Of a session of the gateway's own: counted, whatever the limits.
  place enter_by_right();
  unsigned clients() const;
  // Those that have clients, by the clients' names.
  std::vector<std::string> databases() const;

 private:
  using counts = std::map<std::string, unsigned, std::less<>>;
  using pool_counts = std::map<std::pair<std::string, std::string>, unsigned>;
  // What one client is counted in. The counts stay where they are while they are not 0.
  struct counted {
    counts::iterator database, user;
    pool_counts::iterator pool;
  };
  void leave(counted where);

  mutable std::mutex mutex_;
  unsigned arriving_ = 0;
  unsigned total_ = 0;
  counts by_database_, by_user_;
  pool_counts by_pool_;
};

}  // namespace tidegate
