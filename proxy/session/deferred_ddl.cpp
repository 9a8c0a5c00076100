#include "proxy/session/deferred_ddl.hpp"

#include "proxy/session/ddl_trail.hpp"

namespace tidegate::session {

deferred_ddl::settled deferred_ddl::settle(const std::string& marks) {
  settled out;
  for (one& each : std::exchange(waiting_, {}))
    (ddl_trail::is_marked(marks, each.number) ? out.standing : out.withdrawn)
        .push_back(std::move(each.statement));
  return out;
}

std::vector<background_statement> deferred_ddl::abandon() {
  std::vector<background_statement> out;
  for (one& each : std::exchange(waiting_, {})) out.push_back(std::move(each.statement));
  return out;
}

}  // namespace tidegate::session
