#include "policies/collated_index.hpp"

#include "policies/sql/quote.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>

namespace tidegate::policies {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A COLLATE that is not written means the type's own: "default".
bool changes_collation(const altered& command) {
  const std::string& before = command.column->collation;
  const std::string& written = command.command->column->collation;
  if (before.empty()) return false;
  return before != (written.empty() ? "default" : written);
}

// "COLLATE c", as the subcommand has it.
std::string written_collation(const sql::alter_command& command, std::string_view text) {
  if (command.column->collation.empty()) return {};
  const sql::token_list tokens(text, command.range, false);
  const std::size_t at = tokens.find_word("collate", 0, tokens.size());
  if (at == tokens.size()) return {};
  return tokens.text(tokens.range(at, tokens.behind_name(at + 1)));
}

// PostgreSQL may quote a name that we don't, and the other way round.
bool is_spelled(std::string_view spelling, const std::string& name) {
  return spelling == name || spelling == sql::quote_identifier(name) || spelling == '"' + name + '"';
}

// Of the tokens of pg_get_indexdef those that are `column` as a key.
std::vector<std::size_t> keys_of(const sql::token_list& tokens, const std::string& column) {
  std::vector<std::size_t> keys;
  const std::size_t open = tokens.find_word("using", 0, tokens.size()) + 2;
  if (!tokens.is_char(open, '(')) return keys;
  const std::size_t close = tokens.closing(open);
  for (std::size_t at = open + 1; at < close; at = tokens.element_end(at) + 1)
    if (is_spelled(tokens.spelling(at), column)) keys.push_back(at);
  return keys;
}

sql::token_list words_of(const std::string& definition) {
  return {definition, {0, static_cast<sql::position>(definition.size())}, false};
}

// A collation that an index was given of its own stays.
bool has_own_collation(const std::string& definition, const std::string& column) {
  const sql::token_list tokens = words_of(definition);
  const auto keys = keys_of(tokens, column);
  return !keys.empty() && std::all_of(keys.begin(), keys.end(),
                                      [&](std::size_t key) { return tokens.is_word(key + 1, "collate"); });
}

// What stands behind the table in `definition`, with `collation` behind each key that is `column` and has
// none. Empty: it is not understood.
std::string with_collation(const std::string& definition, const std::string& column,
                           const std::string& collation) {
  const sql::token_list tokens = words_of(definition);
  const auto keys = keys_of(tokens, column);
  if (keys.empty()) return {};
  std::string out;
  auto copied = static_cast<std::size_t>(tokens[tokens.find_word("using", 0, tokens.size())].begin);
  for (const std::size_t key : keys) {
    if (tokens.is_word(key + 1, "collate")) continue;
    const auto end = static_cast<std::size_t>(tokens[key].end);
    out += definition.substr(copied, end - copied) + " " + collation;
    copied = end;
  }
  return out + definition.substr(copied);
}

}  // namespace

std::vector<const index_facts*> rebuilt_indexes(const altered_type& altered) {
  const auto& command = altered.command;
  std::vector<const index_facts*> rebuilt;
  if (altered.change.rewrites || !command.column) return rebuilt;
  const std::string& column = command.command->name;
  const bool keys_change = altered.change.changes_indexes || changes_collation(command);
  for (const auto& index : command.table.facts->indexes) {
    const bool in_key = contains(index.columns, column);
    const bool whole = index.has_expressions || index.has_predicate;
    if (whole ? !in_key && !contains(index.mentions, column) : !in_key || !keys_change) continue;
    const bool only_collation = !whole && !altered.change.changes_indexes;
    if (only_collation && has_own_collation(index.definition, column)) continue;
    rebuilt.push_back(&index);
  }
  return rebuilt;
}

collated_indexes twins_of(const altered_type& altered, const rule_input& input) {
  const auto& command = altered.command;
  const auto none = [](std::string why) { return collated_indexes{{}, std::move(why)}; };
  if (!command.table.facts->partitions.empty() || command.table.facts->kind != 'r' ||
      !command.table.facts->parent.empty())
    return none("the indexes of partitions and parents hang on each other");
  if (command.table.facts->replica_identity == 'i')
    return none("an index of the table may be its replica identity");
  if (altered.change.changes_indexes) return none("the operator class of its indexes changes");
  const std::string collation = written_collation(*command.command, input.text);
  collated_indexes out;
  for (const index_facts* index : rebuilt_indexes(altered)) {
    const std::string name = "index " + sql::quote_identifier(index->name);
    if (index->has_expressions || index->has_predicate)
      return none(name + " has an expression or a predicate, with which it can't be built before the change");
    if (collation.empty()) return none("its collation is not written");
    if (!index->constraint.empty()) return none(name + " belongs to a constraint");
    if (!index->valid) return none(name + " is not valid");
    std::string definition = with_collation(index->definition, command.command->name, collation);
    if (definition.empty()) return none(name + " can't be made again from its definition");
    out.each.push_back({index, std::move(definition)});
  }
  return out;
}

}  // namespace tidegate::policies
