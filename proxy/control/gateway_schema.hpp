#pragma once
// Schema `tidegate` of a database, where the gateway writes what has to outlive it: plan_ledger.hpp,
// ddl_ledger.hpp. Its tables are made on first use, which needs CREATE on the database once, and count only
// where nobody but the control role can have written them.

#include "proxy/control/querier.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

enum class standing : std::uint8_t {
  ours,     // the schema and all of these tables are there
  absent,   // some are missing
  foreign,  // the schema or one of the tables belongs to another role, or is granted to one
};

// Of tables of the schema, each name once.
boost::asio::awaitable<outcome<standing>> find_standing(querier& source, std::vector<std::string> tables);

// The same for whoever is about to write there: where tables are missing, `definitions` (statements of
// PL/pgSQL that make each IF NOT EXISTS) are run, one gateway at a time. Why nothing can be written there;
// foreign ones are 55000.
boost::asio::awaitable<std::optional<sql_error>> make_ready(querier& source, std::vector<std::string> tables,
                                                            std::string definitions);

// One query.
boost::asio::awaitable<outcome<query_result>> ask(querier& source, std::string_view sql,
                                                  std::vector<text_cell> parameters);
boost::asio::awaitable<outcome<query_result>> ask(querier& source, std::string_view sql);

// Statements that write, in order, each its own transaction; control connections are read-only but for them.
// As many outcomes.
boost::asio::awaitable<std::vector<outcome<query_result>>> write(querier& source,
                                                                 std::vector<command> commands);
boost::asio::awaitable<outcome<query_result>> write(querier& source, std::string_view sql,
                                                    std::vector<text_cell> parameters);

}  // namespace tidegate::control
