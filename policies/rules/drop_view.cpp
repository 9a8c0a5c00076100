// A dropped view breaks the queries over it at once. It holds no rows, so it can be made again.
#include "policies/subject.hpp"

#include <string>
#include <utility>

namespace tidegate::policies {

const rule& drop_view_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || (drop->kind != sql::object_kind::view && drop->kind != sql::object_kind::materialized_view))
    return;
  const bool materialized = drop->kind == sql::object_kind::materialized_view;
  const std::string kind = materialized ? "MATERIALIZED VIEW " : "VIEW ";
  for (const auto& name : drop->objects) {
    const subject view = subject_of(input, name);
    if (view.certainly_missing || is_its_own(input, view)) continue;
    finding f = finding_on(drop_view_rule(), view);
    f.message = std::string("dropping ") + (materialized ? "materialized view " : "view ") + view.sql +
                " breaks the queries that read it";
    f.detail = lock_in_words(f.lock, view) + " for a moment; then they fail with 42P01.";
    if (materialized) f.detail += " Its indexes go along; " + size_in_words(view) + ".";
    advise(f, {"BEGIN; DROP " + kind + view.sql + "; CREATE " + kind + view.sql +
               " AS …; COMMIT;  -- to change it; to drop it, first the code that reads it"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_view_rule() {
  static constexpr rule r{"drop-view", "a dropped view breaks the queries over it", hazard::advice,
                          verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
