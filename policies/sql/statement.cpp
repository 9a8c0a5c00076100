#include "policies/sql/statement.hpp"

#include <algorithm>

namespace tidegate::sql {

std::string_view text_range::in(std::string_view text) const {
  const auto size = static_cast<position>(text.size());
  const auto from = std::clamp(begin, 0, size);
  const auto to = std::clamp(end, from, size);
  return text.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from));
}

bool column_definition::is_serial() const {
  // Only the bare word is: a schema in front makes it an ordinary type's name.
  static constexpr std::string_view serials[] = {"smallserial", "serial2",   "serial",
                                                 "serial4",     "bigserial", "serial8"};
  return type.schema.empty() && type.array_dimensions == 0 &&
         std::find(std::begin(serials), std::end(serials), type.name) != std::end(serials);
}

const constraint_definition* column_definition::find(constraint_kind kind) const {
  const auto found =
      std::find_if(constraints.begin(), constraints.end(),
                   [kind](const constraint_definition& constraint) { return constraint.kind == kind; });
  return found == constraints.end() ? nullptr : &*found;
}

}  // namespace tidegate::sql
