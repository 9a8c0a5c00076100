#pragma once
// Facts of resolved relations and types, by oid, in two round trips. Read fresh for every decision: size,
// validity and constraints are what the decision hangs on and change without notice, and measured cost is a
// few milliseconds on a path that is about to run DDL. The only thing kept between decisions is what can't
// change: each connection's prepared statements and its server's version.
//
// Sizes and the text of checks take ACCESS SHARE on the table for a moment: tables on which somebody holds or
// awaits ACCESS EXCLUSIVE are left out, and lock_timeout bounds the rest. A size that was not to be had stays
// empty and counts as big; a check without text proves nothing. Everything else is read without locks. Of a
// table that the session itself holds under ACCESS EXCLUSIVE, size and checks are those that it sees
// (name_resolution.hpp).

#include "policies/catalog.hpp"
#include "policies/fact_request.hpp"
#include "proxy/control/name_resolution.hpp"
#include "proxy/control/querier.hpp"

#include <cstddef>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

struct facts {
  policies::catalog_snapshot snapshot;
  std::string lacked;  // why some facts are missing, for DETAIL; empty: nothing is
};

// Beyond this many partitions and foreign-key partners of the named relations, the rest is counted in sizes
// but has no facts of its own.
inline constexpr std::size_t related_relations_limit = 1000;

// Binds every name of the request. The snapshot also knows the table of a named index, the partitions and the
// parent of a named table, and its foreign-key partners in both directions, by full name. A relation that the
// session sees and `source` does not is new_in_transaction. If `source` fails, relations stay unknown (new
// ones excepted where the session could tell), and `lacked` says why.
boost::asio::awaitable<facts> read_facts(querier& source, const policies::fact_request& request,
                                         const resolved_names& names);

}  // namespace tidegate::control
