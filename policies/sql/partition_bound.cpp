#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

bound_value read_value(const conversion& c, tree_node node, std::string spelling) {
  tree_node inside = node;
  while (const tree_node cast = inside.as("TypeCast")) inside = cast["arg"];
  if (inside.as("A_Const")["isnull"].boolean()) return {bound_kind::null, {}};
  if (auto value = signed_constant_value(c, node)) return {bound_kind::value, std::move(*value)};
  const auto words = read_strings(node.as("ColumnRef")["fields"]);
  if (words.size() == 1 && words.front() == "minvalue") return {bound_kind::minvalue, {}};
  if (words.size() == 1 && words.front() == "maxvalue") return {bound_kind::maxvalue, {}};
  return {bound_kind::expression, std::move(spelling)};
}

// The list in the brackets that open at the token `open`; the result is the token behind them.
std::size_t read_values(const conversion& c, tree_node list, std::size_t open,
                        std::vector<bound_value>& out) {
  std::size_t from = open + 1;
  for (const tree_node item : list) {
    const std::size_t end = c.tokens.element_end(from);
    out.push_back(read_value(c, item, c.tokens.text(c.tokens.range(from, end))));
    from = end + 1;
  }
  return c.tokens.closing(open) + 1;
}

}  // namespace

partition_bound read_partition_bound(const conversion& c, tree_node bound, std::size_t from,
                                     std::size_t& behind) {
  partition_bound result;
  behind = from + 1;
  if (!bound["is_default"].boolean()) {
    const std::string strategy = bound["strategy"].string();
    if (!strategy.empty()) result.strategy = strategy.front();
    const std::size_t open = from + 3;  // FOR VALUES FROM|IN|WITH (
    if (result.strategy == 'r') {
      const std::size_t to = read_values(c, bound["lowerdatums"], open, result.lower);
      behind = read_values(c, bound["upperdatums"], to + 1, result.upper);
    } else {
      behind = read_values(c, bound["listdatums"], open, result.values);
    }
  }
  result.text = c.tokens.text(c.tokens.range(from, behind));
  return result;
}

}  // namespace tidegate::sql
