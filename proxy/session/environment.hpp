#pragma once
// What a session finds around it: the worker it lives on, and the services that all workers share.

#include "config/settings.hpp"
#include "proxy/admin/console_state.hpp"
#include "proxy/audit/audit_log.hpp"
#include "proxy/control/control_plane.hpp"
#include "proxy/control/ledger_writer.hpp"
#include "proxy/core/gate.hpp"
#include "proxy/core/new_relations.hpp"
#include "proxy/core/schema_epochs.hpp"
#include "proxy/core/shared_statements.hpp"
#include "proxy/metrics/registry.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/pool/server_pool.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

namespace tidegate::session {

class client_session;
struct background_statement;

// One per gateway; thread-safe each in its own way.
struct shared_services {
  std::atomic<std::shared_ptr<const config::settings>> settings;
  control::control_plane& control;
  core::gate& gate;
  core::new_relations& new_relations;
  pool::cancel_registry& cancels;
  audit::audit_log& audit;
  control::ledger_writer& ledger;
  metrics::registry& metrics;
  admin::console_state& admin;
  core::statement_registry statements{};  // of transaction pools
  core::schema_epochs schemas{};
  pool::server_pools pools{};
};

// One per worker; its thread only.
struct environment {
  boost::asio::io_context& context;
  net::poller& poller;
  shared_services& shared;
  metrics::thread_metrics& counters;
  boost::asio::thread_pool* slow_work;  // for what would hold up the worker's other clients
  std::mt19937_64 random;
  std::function<void(client_session&)> session_ended;  // the worker forgets it, after the current call
  std::function<void(client_session&)> session_held;   // the worker wakes it when the gate opens
  // The gateway carries it out by itself. False: too many wait.
  std::function<bool(background_statement&&)> run_in_background;
  std::vector<std::byte> batch{};  // of the messages that a session is about to send; empty between its calls
};

}  // namespace tidegate::session
