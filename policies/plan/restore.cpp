#include "policies/plan/restore.hpp"

#include "policies/plan/parts.hpp"
#include "policies/sql/parse.hpp"

#include <utility>

namespace tidegate::policies {
namespace {

std::optional<step_kind> kind_named(std::string_view word) {
  for (const auto kind : {step_kind::brief, step_kind::checking, step_kind::concurrent, step_kind::filling})
    if (name(kind) == word) return kind;
  return std::nullopt;
}

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

spoken_error nulls_in(const std::string& relation, const std::string& column) {
  return {
      "23502", "column \"" + column + "\" of relation \"" + relation + "\" contains null values", {}, column};
}

std::optional<plan_step> restore_step(const written_step& written, const relation_facts& relation,
                                      const catalog_snapshot& catalog) {
  const auto kind = kind_named(written.kind);
  const auto parsed = sql::parse(written.sql);
  if (!kind || !parsed.ok() || parsed.statements.empty()) return std::nullopt;
  plan_step step;
  step.kind = *kind;
  step.sql = written.sql;
  step.done = written.done;
  step.undo = written.undo;
  if (!written.not_null_column.empty()) step.refused = nulls_in(relation.name, written.not_null_column);
  if (*kind == step_kind::filling) {
    try {
      step.fills = filling_in(written.sql, relation, catalog.server_version);
    } catch (const not_planned&) {
    }
    if (!step.fills) return std::nullopt;
    return step;
  }
  for (const auto& statement : parsed.statements) {
    const auto locks = locks_taken(statement, catalog);
    step.locks.insert(step.locks.end(), locks.begin(), locks.end());
  }
  if (const auto* create = parsed.statements.front().as<sql::create_index>()) {
    step.index = create->name;
    step.undo_concurrently = create->concurrently;
  }
  return step;
}

}  // namespace tidegate::policies
