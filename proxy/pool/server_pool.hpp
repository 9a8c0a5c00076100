#pragma once
// The servers of one kind of clients (transaction mode): how many there are over all workers, and who waits
// for one. Each worker keeps its own idle servers (worker_pools.hpp); what is here is shared.
//
// Clients are of one kind when a server that served one may serve the other: same entry of the
// configuration, database, user, proof of identity, and startup parameters (but for application_name), so
// that RESET on the server means what it meant to the client.

#include "config/settings.hpp"
#include "proxy/core/schema_epochs.hpp"
#include "proxy/pool/pooled_server.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/pool/waiting_queue.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tidegate::pool {

// Who gets a server, or hears that there is none. Called on its own thread.
class server_taker {
 public:
  virtual void server_ready(pooled_server_ptr server) = 0;
  virtual void server_failed(const login_failure& why) = 0;

 protected:
  ~server_taker() = default;
};

class server_pool {
 public:
  server_pool(std::string of_database, std::string of_user, std::string of_entry,
              core::schema_epoch_ptr of_schema)
      : database(std::move(of_database)),
        user(std::move(of_user)),
        entry(std::move(of_entry)),
        schema(std::move(of_schema)) {}

  const std::string database, user;  // as the clients ask for them
  const std::string entry;           // the configuration's name, for metrics
  const core::schema_epoch_ptr schema;

  // How the next server is logged in, and the bounds. Each client's login brings the latest.
  struct terms {
    login_request request;
    config::pool_settings bounds;
    config::milliseconds connect_timeout{15'000};
  };
  void set_terms(terms now);
  std::shared_ptr<const terms> current() const;

  // What a client is greeted with. Null: no server has logged in yet.
  value_set greeting() const;
  void set_greeting(value_set parameters);

  // A place for one more server; false: all are taken. Each is given back by leave().
  bool enter(bool with_reserve = false);
  void leave() { open_.fetch_sub(1); }
  unsigned open() const { return open_.load(); }

  waiting_queue queue;

  // Idle servers over all workers. Counted before a waiter is looked for, as a waiter is before an idle
  // server is: one of two that come at the same time sees the other.
  std::atomic<unsigned> idle{0};
  std::atomic<unsigned> connecting{0};
  std::atomic<bool> reads_sequences{false};  // a client has named currval() or lastval()
  std::atomic<unsigned> pinned{0};           // clients that keep their server between transactions

 private:
  mutable std::mutex guard_;
  std::shared_ptr<const terms> terms_;
  value_set greeting_;
  std::atomic<unsigned> open_{0};
  std::atomic<unsigned> size_{0}, reserve_{0};  // of the terms
};
using server_pool_ptr = std::shared_ptr<server_pool>;

// All pools of the gateway. Any thread; asked at logins only.
class server_pools {
 public:
  server_pool_ptr find_or_make(const std::string& key, const std::string& database, const std::string& user,
                               const std::string& entry, core::schema_epoch_ptr schema);
  // After a reload: the bounds of pools that are there.
  void set_bounds(const config::settings& settings);

 private:
  std::mutex guard_;
  std::map<std::string, std::weak_ptr<server_pool>> by_key_;
};

}  // namespace tidegate::pool
