#pragma once
// A connection of the gateway itself, by libpq driven strictly non-blocking on Asio: names are resolved by
// Asio's resolver and handed over as addresses, waiting is done by the executor, nothing here ever sleeps in
// libpq. Used by one coroutine at a time, on the executor it was made with.
//
// A deadline that passes closes the connection. libpq gives out no cancel key and PQcancel blocks, so what
// was left behind on the server is ended there by statement_timeout, which is always set and shorter than the
// deadline.

#include "proxy/control/control_settings.hpp"
#include "proxy/control/querier.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

struct pg_conn;    // libpq's
struct pg_result;  // libpq's

namespace tidegate::control {

class pg_connection final : public querier {
 public:
  using clock = std::chrono::steady_clock;

  explicit pg_connection(boost::asio::any_io_executor executor);
  ~pg_connection() override;
  pg_connection(const pg_connection&) = delete;
  pg_connection& operator=(const pg_connection&) = delete;

  // Connects and logs in within settings.connect_timeout. The session then has the application_name of the
  // settings, client_encoding UTF8, search_path pg_catalog (unless own_search_path), the lock and statement
  // timeouts of the settings, and is read-only. On failure the connection is closed; the error has the
  // server's SQLSTATE where it sent one (28P01, 3D000, …), else 08006.
  boost::asio::awaitable<outcome<void>> connect(control_target target);

  // See querier. The deadline is statement_timeout per command and two seconds. A broken connection or the
  // deadline fails what has no answer yet, with 08006 or 57014, and closes.
  boost::asio::awaitable<std::vector<outcome<query_result>>> run(std::vector<command> commands) override;

  struct notification {
    std::string payload;
    std::int32_t sender = 0;  // pid of the backend that sent it, by the server's word
  };
  // What was sent to the channels that the session listens on, also while a command ran. Waits for the first
  // for `at_most`; empty: none came. A broken connection fails with 08006 and closes.
  boost::asio::awaitable<outcome<std::vector<notification>>> notifications(std::chrono::milliseconds at_most);

  // Makes the wait in progress, and every later one, fail at once with 57P01. From the same thread.
  void interrupt();

  bool is_open() const { return connection_ != nullptr; }
  int server_version() const;  // 150020; 0 when closed
  std::int32_t backend_pid() const;
  bool uses_tls() const;
  // Whom it is connected to, and as whom, with what libpq found out by itself (environment, password file).
  // Of several hosts the one that was taken.
  control_target effective_target() const;
  void close();

 private:
  struct connection_closer {
    void operator()(pg_conn* connection) const;
  };
  struct result_closer {
    void operator()(pg_result* result) const;
  };
  using result_ptr = std::unique_ptr<pg_result, result_closer>;

  struct addresses {
    std::string hosts,
        numeric;  // comma-separated lists of equal length; `numeric` empty: libpq knows what to do
  };

  struct prepared_text {
    std::string name;
    bool confirmed = false;  // the server has answered that it is prepared
  };

  enum class readiness { readable, writable, either };
  // True when ready, false when the deadline of this operation (timer_) passed or interrupt() was called.
  boost::asio::awaitable<bool> wait(readiness what);
  boost::asio::awaitable<outcome<addresses>> resolve(const control_settings& settings);
  boost::asio::awaitable<outcome<void>> flush();
  // The next result, or nullptr where libpq marks the end of one command's results.
  boost::asio::awaitable<outcome<result_ptr>> next_result();
  outcome<void> send(const command& what);
  boost::asio::awaitable<outcome<query_result>> receive(const command& what);

  sql_error connection_error() const;
  sql_error not_in_time() const;

  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer timer_;
  std::unique_ptr<pg_conn, connection_closer> connection_;
  control_target target_;
  std::chrono::milliseconds statement_timeout_{3000};
  std::unordered_map<std::string, prepared_text> prepared_;  // by text
  std::uint64_t names_given_ = 0;
  bool interrupted_ = false;
};

}  // namespace tidegate::control
