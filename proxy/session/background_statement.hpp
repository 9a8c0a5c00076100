#pragma once
// A statement that the gateway carries out by itself once its client has been answered: at once
// (policies.ddl_mode async), or when its transaction is committed (defer). It gets a session of its own,
// logged in as the client was and with the client's settings (proxy/background_runner.hpp).

#include "proxy/control/background_ledger.hpp"
#include "proxy/session/client_session.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::session {

struct background_statement {
  std::int64_t id = 0;           // in tidegate.background
  std::int64_t transaction = 0;  // whose COMMIT it waits for, as txid_current() has it; 0: none
  std::string text;              // one statement, as the client wrote it
  std::string shown;             // without literals
  pool::login_request login;     // with the role and the settings of the client's session
  client_identity who;
  std::string application;
  control::control_target_ptr control;
  metrics::session_metrics metrics;
};

// Why it is not taken.
inline constexpr std::string_view too_many_in_background =
    "too many statements wait to be carried out in the background, or the gateway is shutting down";

control::background_news not_taken();

// Writes to tidegate.background. Nothing but the news is lost when it fails, which is logged.
boost::asio::awaitable<void> write_background_news(environment& on, control::control_target_ptr control,
                                                   std::int64_t id, control::background_news news);
// The same without being waited for.
void tell_of_background(environment& on, control::control_target_ptr control, std::int64_t id,
                        control::background_news news);

}  // namespace tidegate::session
