#include "config/load.hpp"
#include "policies/registry.hpp"
#include "policies/rule.hpp"
#include "policies/sql/parse.hpp"

namespace tidegate::config {

load_options default_load_options() {
  static const std::vector<std::string_view> ids = [] {
    std::vector<std::string_view> all;
    for (const policies::rule* rule : policies::all_rules()) all.push_back(rule->id);
    return all;
  }();
  return {.rule_ids = ids, .parse_limit_bytes = sql::parse_limit_bytes};
}

}  // namespace tidegate::config
