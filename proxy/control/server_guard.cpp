#include "proxy/control/server_guard.hpp"

#include <span>
#include <utility>
#include <vector>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

// The token function runs with its owner's rights or, if somebody else could replace it, with ours: it is
// called only where schema and functions belong to whoever made the event triggers, and nobody else may put
// functions there.
constexpr std::string_view find = R"sql(
SELECT pg_catalog.bool_or(t.evtenabled <> 'D'),
       pg_catalog.bool_and(n.nspowner = t.evtowner AND f.proowner = t.evtowner
         AND COALESCE(k.proowner = t.evtowner AND k.prosecdef, false)
         AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) AS a
                          WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner)),
       pg_catalog.bool_and(COALESCE(pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                                    AND pg_catalog.has_function_privilege(k.oid, 'EXECUTE'), false))
  FROM pg_catalog.pg_event_trigger AS t
  JOIN pg_catalog.pg_proc AS f ON f.oid = t.evtfoid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname = 'tidegate_guard'
  LEFT JOIN pg_catalog.pg_proc AS k ON k.pronamespace = n.oid AND k.proname = 'token'
                                   AND k.proargtypes = '23 25 17'::pg_catalog.oidvector
 WHERE t.evtname IN ('tidegate_guard_start', 'tidegate_guard_end', 'tidegate_guard_drop'))sql";

constexpr std::string_view token =
    "SELECT tidegate_guard.token($1::pg_catalog.int4, $2, $3::pg_catalog.bytea)";

}  // namespace

asio::awaitable<outcome<guard_state>> find_guard(querier& source) {
  std::vector<command> commands;
  commands.push_back({std::string(find), {}, true});
  const auto outcomes = co_await source.run(std::move(commands));
  const auto& found = outcomes.front();
  if (!found) co_return found.error();
  if (found->rows.empty() || !found->rows.front().front()) co_return guard_state::absent;
  const text_row& row = found->rows.front();
  if (!truth(row, 0)) co_return guard_state::disabled;
  if (!truth(row, 1)) co_return guard_state::untrusted;
  co_return truth(row, 2) ? guard_state::in_force : guard_state::closed;
}

asio::awaitable<outcome<std::string>> vouch_for(querier& source, std::int32_t backend_pid,
                                                vouch_covers covers, std::string_view text) {
  std::vector<command> commands;
  commands.push_back(
      {std::string(token),
       {std::to_string(backend_pid), std::string(name(covers)), bytea(std::as_bytes(std::span(text)))}});
  const auto outcomes = co_await source.run(std::move(commands));
  const auto& made = outcomes.front();
  if (!made) co_return made.error();
  if (made->rows.empty() || !made->rows.front().front())
    co_return sql_error("55000", "the server guard knows no backend with pid " + std::to_string(backend_pid));
  co_return control::text(made->rows.front(), 0);
}

std::string_view name(vouch_covers covers) {
  return covers == vouch_covers::own ? "own" : "all";
}

}  // namespace tidegate::control
