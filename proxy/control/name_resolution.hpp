#pragma once
// What the names of a statement mean to the client's own session: the SQL and the decoding of one query that
// the session machine injects on the client's server connection (extended protocol, unnamed statement, all
// parameters and results in text format). There search_path, temporary and uncommitted objects are the right
// ones. Pure; knows no libpq.
//
// The query only reads catalogs (every name is qualified and every operator is pg_catalog's, whatever
// search_path says), takes no lock on any relation it asks about, and raises no error of its own for any
// names. It works on PostgreSQL 12 to 18 and costs one round trip. It can fail only by what surrounds it: an
// aborted transaction, the client's statement_timeout, a lost connection. It does take the transaction's
// snapshot, so it is not to be injected before SET TRANSACTION.

#include "policies/fact_request.hpp"
#include "proxy/control/query_result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tidegate::control {

struct resolution_query {
  std::string sql;
  std::vector<std::string> parameters;  // $1…, in the client's encoding as written; declare no types (oid 0)
};

resolution_query make_resolution_query(const policies::fact_request& request);

struct session_facts {
  std::string database;
  std::string current_user, session_user;
  std::int32_t backend_pid = 0;
  std::int32_t server_version = 0;
  std::string time_zone;
  std::vector<std::string>
      search_path;             // current_schemas(true): as it takes effect, pg_temp_n and pg_catalog in place
  std::string transaction_id;  // empty: this transaction has written nothing so far
  std::string isolation;       // "read committed", …
  std::int64_t lock_timeout_ms = 0;       // 0: off
  std::int64_t statement_timeout_ms = 0;  // 0: off
  std::int64_t idle_in_transaction_timeout_ms = 0;
  std::int64_t deadlock_timeout_ms = 1000;
};

// A check as the session sees it.
struct resolved_check {
  std::string name;
  bool validated = true;
  bool no_inherit = false;
  std::vector<std::string> columns;
  std::string definition;  // pg_get_constraintdef
};

struct resolved_relation {
  std::uint32_t oid = 0;
  std::string schema, name;
  char kind = 'r';                             // pg_class.relkind
  char persistence = 'p';                      // pg_class.relpersistence
  bool visible = true;                         // found by its bare name
  bool exclusively_locked_by_session = false;  // this transaction holds ACCESS EXCLUSIVE on it already
  bool hides_rows = false;                     // row security holds for the session's role
  // Read here only under that lock of its own, since nobody else can read them then.
  std::optional<std::int64_t> bytes;  // of the heap
  std::vector<resolved_check> checks;
};

struct resolved_type {
  std::uint32_t oid = 0;
  std::string schema, name;
  char kind = 'b';  // pg_type.typtype
  std::string base_schema, base;
  std::int32_t base_modifier = -1;
  bool domain_constrained = false;
  bool volatile_default = false;  // of a domain
};

struct resolved_function {
  std::string schema, name;
  char volatility = 'v';
  bool inlines_to_constant = false;
};

struct resolved_names {
  session_facts session;
  // Parallel to the request; none: there is no such object for this session.
  std::vector<std::optional<resolved_relation>> relations;
  std::vector<std::optional<resolved_type>> types;
  std::vector<std::optional<resolved_function>> functions;
};

// None when the rows are not what the query returns.
std::optional<resolved_names> decode_resolution(const policies::fact_request& request, const text_rows& rows);

}  // namespace tidegate::control
