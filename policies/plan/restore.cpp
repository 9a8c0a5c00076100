#include "policies/plan/restore.hpp"

#include "policies/plan/parts.hpp"
#include "policies/sql/parse.hpp"

#include <utility>

namespace tidegate::policies {
namespace {

// What as_one_statement() has made of it.
std::optional<filling> filling_in(std::string_view sql, const relation_facts& relation, int server_version) {
  constexpr std::string_view update = "UPDATE ", set = " SET ", value = " = DEFAULT WHERE ";
  const auto set_at = sql.find(set);
  const auto value_at = sql.find(value);
  if (!sql.starts_with(update) || set_at == sql.npos || value_at == sql.npos || value_at < set_at)
    return std::nullopt;
  filling what;
  what.table = sql.substr(update.size(), set_at - update.size());
  what.column = sql.substr(set_at + set.size(), value_at - set_at - set.size());
  what.key = key_to_walk_by(relation, server_version);
  what.rows = relation.rows.value_or(0);
  return what;
}

}  // namespace

std::optional<plan_step> restore_step(const written_step& written, const relation_facts& relation,
                                      const catalog_snapshot& catalog) {
  const auto kind = parse_step_kind(written.kind);
  if (!kind || !sql::parse(written.sql).ok()) return std::nullopt;
  plan_step step;
  step.kind = *kind;
  step.sql = written.sql;
  step.done = written.done;
  step.undo = written.undo;
  step.not_null_column = written.not_null_column;
  if (*kind != step_kind::filling) {
    step.locks = locks_of(step.sql, catalog);
    return step;
  }
  try {
    step.fills = filling_in(written.sql, relation, catalog.server_version);
  } catch (const not_planned&) {  // it can't be walked any more
  }
  if (!step.fills) return std::nullopt;
  return step;
}

}  // namespace tidegate::policies
