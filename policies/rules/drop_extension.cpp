// DROP EXTENSION takes types, functions and operators away; with CASCADE the columns, indexes and defaults
// that use them.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_extension_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || drop->kind != sql::object_kind::extension) return;
  for (const auto& name : drop->objects) {
    const subject extension = subject_of(input, name);
    finding f = finding_on(drop_extension_rule(), extension);
    f.relations.clear();  // an extension is none
    f.table.clear();
    f.lock = drop->cascade ? lock_level::access_exclusive : lock_level::none;
    f.at = input.statement.range.begin;
    f.message =
        "dropping extension " + extension.sql + " breaks every statement that uses its types and functions";
    f.detail =
        drop->cascade
            ? "Columns of its types are dropped with their values, indexes and defaults that use it too, "
              "under ACCESS EXCLUSIVE on their tables."
            : "PostgreSQL refuses while a column, an index or a default uses it; code that does fails.";
    advise(f, {"-- first what uses " + extension.sql + ", then:",
               "DROP EXTENSION " + extension.sql + ";  -- by a role that may override this rule"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_extension_rule() {
  static constexpr rule r{"drop-extension",
                          "DROP EXTENSION breaks what uses it, and with CASCADE loses columns",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
