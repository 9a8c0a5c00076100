#include "proxy/session/deferred_ddl.hpp"

#include "proxy/session/ddl_trail.hpp"

namespace tidegate::session {

std::string deferred_ddl::ask_committed() const {
  std::string ids;
  for (const one& each : waiting_)
    ids += (ids.empty() ? "" : ", ") + std::to_string(each.statement.transaction);
  return "SELECT pg_catalog.string_agg(t.id::pg_catalog.text, ' ') FROM pg_catalog.unnest(ARRAY[" + ids +
         "]::pg_catalog.int8[]) AS t(id) WHERE pg_catalog.txid_status(t.id) OPERATOR(pg_catalog.=) "
         "'committed'";
}

deferred_ddl::settled deferred_ddl::settle(const std::optional<std::string>& marks,
                                           const std::optional<std::string>& committed) {
  settled out;
  for (one& each : std::exchange(waiting_, {})) {
    const bool rolled_back = marks && !ddl_trail::is_marked(*marks, each.number);
    const bool stands =
        marks && committed &&
        ddl_trail::is_marked(*committed, static_cast<std::uint64_t>(each.statement.transaction));
    (rolled_back ? out.withdrawn
     : stands    ? out.standing
                 : out.unsettled)
        .push_back(std::move(each.statement));
  }
  return out;
}

}  // namespace tidegate::session
