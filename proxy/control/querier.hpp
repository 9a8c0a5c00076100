#pragma once
// Where queries of the gateway's own go: a control connection, a pool of them, or (for whoever wants to read
// facts inside a client's transaction) a client's server connection. The readers of this folder speak to this
// interface only.

#include "proxy/control/query_result.hpp"

#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

struct command {
  std::string sql;  // one statement; parameters are $1…, text format, types by casts in the text
  std::vector<text_cell> parameters = {};
  bool reused = false;  // the text comes again and again: prepared once per connection
};

class querier {
 public:
  virtual ~querier() = default;

  // Sends all commands at once (one round trip), each its own transaction, and returns their outcomes in
  // order: as many as there were commands. One that fails does not stop the next.
  virtual boost::asio::awaitable<std::vector<outcome<query_result>>> run(std::vector<command> commands) = 0;
};

}  // namespace tidegate::control
