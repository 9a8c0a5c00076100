#pragma once
// An application as the demo plays it: clients that read one order by its key and update another, over and
// over, with a short pause for thinking. What counts is how long its slowest statement waited. On the thread
// of its executor.

#include "proxy/cli/sql_client.hpp"

#include <chrono>
#include <cstdint>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace tidegate::cli {

class application_load {
 public:
  struct sample {
    std::uint64_t statements = 0;            // that were answered
    std::uint64_t errors = 0;                // of them, or connections that broke
    std::chrono::nanoseconds worst_wait{0};  // the longest that one took, or is taking
  };

  // `rows` orders with the keys 1 to rows.
  application_load(boost::asio::any_io_executor executor, sql_address where, std::uint64_t rows);
  ~application_load();  // each client ends behind its statement

  // All clients are logged in and working afterwards. Throws std::runtime_error when one can't.
  boost::asio::awaitable<void> start();

  // What happened since the last time.
  sample take();

  static constexpr unsigned clients = 8;

 private:
  struct state;
  static boost::asio::awaitable<void> work(std::shared_ptr<state> shared, std::unique_ptr<sql_client> client,
                                           unsigned number);

  boost::asio::any_io_executor executor_;
  sql_address where_;
  std::shared_ptr<state> shared_;
};

}  // namespace tidegate::cli
