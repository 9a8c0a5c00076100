#pragma once
// A PostgreSQL of the tests' own: a fresh cluster in a temporary folder on a port of 127.0.0.1 that the
// kernel chose, stopped and removed at the end. TIDEGATE_TEST_PG_BIN names the folder of another major's
// programs.

#include "proxy/control/control_settings.hpp"
#include "proxy/control/pg_connection.hpp"

#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <sys/types.h>

namespace tidegate::test {

class test_server {
 public:
  // The one server of this process, started at the first call.
  static test_server& instance();

  // As superuser `postgres`; the database defaults to `postgres`.
  control::control_target target(const std::string& database = "postgres") const;
  // The same for a session that may write, with its own search_path and no timeouts.
  control::control_target writer(const std::string& database = "postgres") const;
  std::string conninfo(const std::string& database = "postgres") const;
  std::uint16_t port() const { return port_; }

  // A new database with these statements run in it.
  std::string create_database(const std::string& name, const std::vector<std::string>& statements);

  ~test_server();

 private:
  test_server();

  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

// Runs one coroutine to its end on a context.
template <class T>
T wait_for(boost::asio::io_context& context, boost::asio::awaitable<T> work) {
  std::optional<T> result;
  std::exception_ptr failed;
  boost::asio::co_spawn(context, std::move(work), [&](std::exception_ptr thrown, T value) {
    failed = thrown;
    if (!thrown) result.emplace(std::move(value));
  });
  context.restart();
  while (!result && !failed && context.run_one() > 0) {
  }
  if (failed) std::rethrow_exception(failed);
  return std::move(result).value();
}

// A session of the tests' own that may write, one statement at a time.
class test_session {
 public:
  explicit test_session(const control::control_target& target);

  // Throws std::runtime_error on an error of the server.
  control::text_rows execute(const std::string& sql, std::vector<control::text_cell> parameters = {});
  // The SQLSTATE; empty: no error.
  std::string try_execute(const std::string& sql);
  // Sends it on a thread of this session's own and returns at once; finish() waits for its SQLSTATE.
  std::int32_t pid() const { return connection_.backend_pid(); }
  control::pg_connection& connection() { return connection_; }
  boost::asio::io_context& context() { return context_; }

 private:
  boost::asio::io_context context_;
  control::pg_connection connection_{context_.get_executor()};
};

}  // namespace tidegate::test
