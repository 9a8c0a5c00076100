#pragma once
// What an application would feel: one client that over and over asks for what a reader of some tables needs,
// and one for what a writer needs, and how long they had to wait. They ask for plans (EXPLAIN), which takes
// the lock of the statement and touches no row. On the thread of its executor.

#include "proxy/cli/sql_client.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace tidegate::cli {

class stall_probe {
 public:
  struct sample {
    std::chrono::nanoseconds reader{0}, writer{0};  // the longest that one took, or is taking
  };

  stall_probe(boost::asio::any_io_executor executor, sql_address where);
  ~stall_probe();  // each client ends behind its statement

  // Both are logged in afterwards. Throws std::runtime_error when one can't.
  boost::asio::awaitable<void> start();

  // Names as they stand in a statement, quoted where they need it. A table that is not there is passed over.
  void watch(std::vector<std::string> tables);

  // What happened since the last time; what took as long as it usually does without anybody in the way as
  // well.
  sample take();

 private:
  struct state;
  static boost::asio::awaitable<void> ask(std::shared_ptr<state> shared, std::unique_ptr<sql_client> client,
                                          bool writes);

  boost::asio::any_io_executor executor_;
  sql_address where_;
  std::shared_ptr<state> shared_;
};

}  // namespace tidegate::cli
