#include "proxy/cli/explain.hpp"

#include "policies/registry.hpp"
#include "policies/rule.hpp"
#include "policies/rule_pages.hpp"

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string_view>

namespace tidegate::cli {
namespace {

void list_rules(std::ostream& out, std::string_view mentioning) {
  std::size_t width = 0;
  const auto chosen = [mentioning](const policies::rule& rule) {
    return rule.id.find(mentioning) != std::string_view::npos;
  };
  for (const policies::rule* rule : policies::all_rules()) {
    if (chosen(*rule)) width = std::max(width, rule->id.size());
  }
  for (const policies::rule* rule : policies::all_rules()) {
    if (chosen(*rule))
      out << rule->id << std::string(width - rule->id.size() + 2, ' ') << rule->summary << '\n';
  }
}

}  // namespace

int run_explain(const std::string& rule, std::ostream& out, std::ostream& err) {
  if (rule.empty()) {
    list_rules(out, {});
    return 0;
  }
  const std::string_view page = policies::page_of(rule);
  if (!page.empty()) {
    out << page;
    return 0;
  }
  err << "tidegate explain: no rule \"" << rule << "\"; without a name it lists them all\n";
  list_rules(err, rule);
  return 2;
}

}  // namespace tidegate::cli
