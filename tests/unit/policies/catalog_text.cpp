#include "tests/unit/policies/catalog_text.hpp"

#include "policies/relation_name.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>

namespace tidegate::test {

namespace {

using namespace policies;

// Reads a line word by word. A word is a run without blanks, commas and parentheses; quoted parts keep
// theirs.
class words {
 public:
  explicit words(std::string_view text) : text_(text) { skip_blanks(); }

  bool done() const { return at_ >= text_.size(); }

  std::string next() {
    std::string word;
    bool quoted = false;
    while (!done()) {
      const char c = text_[at_];
      if (c == '"') quoted = !quoted;
      if (!quoted && (c == ' ' || c == ',' || c == '(' || c == ')')) break;
      word += c;
      ++at_;
    }
    if (word.empty()) fail("a word");
    skip_blanks();
    return word;
  }

  // The next word, when it is this one.
  bool accept(std::string_view word) {
    const std::size_t before = at_;
    if (!done() && text_[at_] != '(' && text_[at_] != ',' && text_[at_] != ')' && next() == word) return true;
    at_ = before;
    return false;
  }

  void expect(std::string_view word) {
    if (!accept(word)) fail(std::string(word));
  }

  bool accept_symbol(char symbol) {
    if (done() || text_[at_] != symbol) return false;
    ++at_;
    skip_blanks();
    return true;
  }

  // "(a, b(1,2), c)": the text of each item; nothing when no parenthesis follows.
  std::vector<std::string> list() {
    std::vector<std::string> items;
    if (!accept_symbol('(')) return items;
    int depth = 0;
    std::string item;
    while (!done()) {
      const char c = text_[at_++];
      if (depth == 0 && (c == ',' || c == ')')) {
        item.erase(item.find_last_not_of(' ') + 1);
        if (!item.empty()) items.push_back(item);
        item.clear();
        skip_blanks();
        if (c == ')') return items;
        continue;
      }
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      item += c;
    }
    fail(")");
  }

  std::string string() {
    std::string word = next();
    if (word.size() >= 2 && word.front() == '"' && word.back() == '"') return word.substr(1, word.size() - 2);
    return word;
  }

  [[noreturn]] void fail(const std::string& wanted) const {
    throw std::runtime_error("expected " + wanted + " at \"" + std::string(text_.substr(at_)) + "\" in \"" +
                             std::string(text_) + "\"");
  }

 private:
  void skip_blanks() {
    while (!done() && text_[at_] == ' ') ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string unquote(const std::string& name) {
  return split_full_name(name).name;
}

std::int64_t read_size(const std::string& text) {
  std::size_t used = 0;
  const double value = std::stod(text, &used);
  const std::string unit = text.substr(used);
  const std::int64_t factor = unit == "GB"   ? std::int64_t{1} << 30
                              : unit == "MB" ? std::int64_t{1} << 20
                              : unit == "kB" ? std::int64_t{1} << 10
                                             : 1;
  return static_cast<std::int64_t>(value * static_cast<double>(factor));
}

// "varchar(20)[]" -> pg_type's name and typmod.
void read_type(words& line, column_facts& column) {
  std::string type = line.next();
  std::vector<std::string> modifiers = line.list();
  const bool array = type.ends_with("[]") || line.accept("[]");
  if (type.ends_with("[]")) type.resize(type.size() - 2);
  const auto name = split_full_name(type);
  column.type_schema = name.schema.empty() ? "pg_catalog" : name.schema;
  column.type = (array ? "_" : "") + name.name;
  if (modifiers.empty()) return;
  const std::int32_t first = std::stoi(modifiers[0]);
  if (name.name == "varchar" || name.name == "bpchar")
    column.type_modifier = first + 4;
  else if (name.name == "numeric")
    column.type_modifier = ((first << 16) | (modifiers.size() > 1 ? std::stoi(modifiers[1]) : 0)) + 4;
  else
    column.type_modifier = first;
}

column_facts read_column(const std::string& text) {
  words line(text);
  column_facts column;
  column.name = unquote(line.next());
  read_type(line, column);
  static const std::vector<std::string> collatable = {"text", "varchar", "bpchar", "citext"};
  if (std::find(collatable.begin(), collatable.end(), column.type) != collatable.end())
    column.collation = "default";
  while (!line.done()) {
    const std::string word = line.next();
    if (word == "not") {
      line.expect("null");
      column.not_null = true;
    } else if (word == "default") {
      column.has_default = true;
    } else if (word == "identity") {
      column.identity = line.accept("always") ? 'a' : 'd';
    } else if (word == "stored") {
      column.generated = 's';
    } else if (word == "virtual") {
      column.generated = 'v';
    } else if (word == "collate") {
      column.collation = unquote(line.next());
    } else if (word == "published") {
      column.published = true;
    } else if (word == "sequence") {
      column.owned_sequence = line.next();
      column.owned_sequence_type = line.next();
    } else {
      line.fail("a column property");
    }
  }
  return column;
}

std::vector<std::string> unquoted(std::vector<std::string> names) {
  for (auto& name : names) name = unquote(name);
  return names;
}

void read_relation(words& line, relation_facts& relation) {
  while (!line.done()) {
    const std::string word = line.next();
    if (word.starts_with("rows="))
      relation.rows = std::stod(word.substr(5));
    else if (word.starts_with("size="))
      relation.bytes = read_size(word.substr(5));
    else if (word.starts_with("owner="))
      relation.owner = word.substr(6);
    else if (word.starts_with("tablespace="))
      relation.tablespace = word.substr(11);
    else if (word == "columns")
      for (const auto& column : line.list()) relation.columns.push_back(read_column(column));
    else if (word == "partitioned") {
      relation.kind = 'p';
      relation.partition_strategy = line.accept("list") ? 'l' : line.accept("hash") ? 'h' : 'r';
      for (const auto& column : line.list()) {
        const bool expression = column.find('(') != std::string::npos;
        relation.partition_key.push_back(expression ? "" : unquote(column));
        if (expression) continue;
        relation.partition_columns.push_back(unquote(column));
        for (auto& facts : relation.columns)
          if (facts.name == relation.partition_columns.back()) facts.dependents.emplace_back("partition key");
      }
    } else if (word == "temporary")
      relation.persistence = 't';
    else if (word == "unlogged")
      relation.persistence = 'u';
    else if (word == "new")
      relation.new_in_transaction = true;
    else if (word == "unpopulated")
      relation.populated = false;
    else if (word == "fresh")
      relation.fresh = true;
    else if (word == "published")
      relation.published = true;
    else if (word == "row_security")
      relation.row_security = true;
    else if (word == "hides_rows")
      relation.hides_rows = true;
    else if (word.starts_with("policies="))
      relation.policies = std::stoi(word.substr(9));
    else
      line.fail("a property of the relation");
  }
}

// As pg_get_indexdef has it, of plain keys.
std::string definition_of(const index_facts& index, const relation_facts& table) {
  if (index.has_expressions || index.has_predicate || !index.plain_order) return {};
  const std::string keys = sql::quote_columns(index.columns);
  return std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
         sql::quote_identifier(index.name) + " ON " + table.full_name() + " USING " + index.method + " " +
         keys;
}

index_facts read_index(words& line) {
  index_facts index;
  for (const auto& key : line.list()) {
    words column(key);
    const bool expression = key.find('(') != std::string::npos;
    index.columns.push_back(expression ? "" : unquote(column.next()));
    if (expression) index.has_expressions = true;
    if (!expression) index.mentions.push_back(index.columns.back());
  }
  while (!line.done()) {
    const std::string word = line.next();
    if (word == "unique")
      index.unique = true;
    else if (word == "invalid")
      index.valid = false;
    else if (word == "not") {
      line.expect("ready");
      index.ready = false;
    } else if (word == "partial")
      index.has_predicate = true;
    else if (word == "descending")
      index.plain_order = false;
    else if (word == "opclass")
      index.plain_order = index.default_opclass = false;
    else if (word == "partitioned")
      index.partitioned = true;
    else if (word == "using")
      index.method = line.next();
    else if (word == "mentions")
      for (const auto& column : line.list()) index.mentions.push_back(unquote(column));
    else if (word.starts_with("size="))
      index.bytes = read_size(word.substr(5));
    else
      line.fail("a property of the index");
  }
  return index;
}

constraint_facts read_constraint(words& line) {
  constraint_facts constraint;
  const std::string kind = line.next();
  if (kind == "primary" || kind == "foreign") line.expect("key");
  constraint.kind = kind == "exclude" ? 'x' : kind[0];
  constraint.columns = unquoted(line.list());
  while (!line.done()) {
    const std::string word = line.next();
    if (word == "is")
      constraint.expression = line.string();
    else if (word == "references")
      constraint.referenced = line.next();
    else if (word == "index")
      constraint.index = line.next();
    else if (word == "no") {
      line.expect("inherit");
      constraint.no_inherit = true;
    } else if (word == "not") {
      if (line.accept("valid"))
        constraint.validated = false;
      else if (line.accept("enforced"))
        constraint.enforced = constraint.validated = false;
      else
        line.fail("valid or enforced");
    } else if (word == "inherited")
      constraint.inherited = true;
    else if (word == "comment")
      constraint.comment = line.string();
    else
      line.fail("a property of the constraint");
  }
  if (constraint.kind == 'f')
    constraint.definition = "FOREIGN KEY " + sql::quote_columns(constraint.columns) + " REFERENCES " +
                            constraint.referenced + (constraint.validated ? "" : " NOT VALID");
  return constraint;
}

}  // namespace

relation_facts& catalog_text::relation(const std::string& full_name) {
  const auto it = relations_.find(full_name);
  if (it == relations_.end())
    throw std::runtime_error("no catalog line before this one tells of " + full_name);
  return it->second;
}

void catalog_text::add(std::string_view text) {
  any_ = true;
  words line(text);
  const std::string what = line.next();
  static const std::map<std::string, char> kinds = {
      {"table", 'r'}, {"view", 'v'}, {"matview", 'm'}, {"sequence", 'S'}, {"foreign_table", 'f'}};
  if (const auto kind = kinds.find(what); kind != kinds.end()) {
    const std::string full_name = line.next();
    const auto name = split_full_name(full_name);
    relation_facts facts;
    facts.schema = name.schema;
    facts.name = name.name;
    facts.kind = kind->second;
    facts.tablespace = "pg_default";
    read_relation(line, facts);
    if (facts.kind == 'r' || facts.kind == 'p' || facts.kind == 'm') facts.access_method = "heap";
    relations_[full_name] = std::move(facts);
  } else if (what == "index") {
    const std::string name = line.next();
    line.expect("on");
    auto& table = relation(line.next());
    index_facts index = read_index(line);
    index.schema = table.schema;
    index.name = unquote(name);
    index.definition = definition_of(index, table);
    table.indexes.push_back(std::move(index));
  } else if (what == "constraint") {
    const std::string name = unquote(line.next());
    line.expect("on");
    const std::string table_name = line.next();
    auto& table = relation(table_name);
    constraint_facts constraint = read_constraint(line);
    constraint.name = name;
    if (constraint.kind == 'p' || constraint.kind == 'u' || constraint.kind == 'x') {
      index_facts index;
      index.schema = table.schema;
      index.name = constraint.index = name;
      index.constraint = name;
      index.unique = constraint.kind != 'x';
      index.primary = constraint.kind == 'p';
      index.columns = index.mentions = constraint.columns;
      table.indexes.push_back(std::move(index));
    }
    if (constraint.kind == 'p')
      for (auto& column : table.columns)
        if (std::find(constraint.columns.begin(), constraint.columns.end(), column.name) !=
            constraint.columns.end())
          column.not_null = true;
    if (constraint.kind == 'f')
      if (const auto other = relations_.find(constraint.referenced); other != relations_.end())
        other->second.referenced_by.push_back({table_name, name});
    table.constraints.push_back(std::move(constraint));
  } else if (what == "partition") {
    const std::string name = line.next();
    line.expect("of");
    const std::string parent = line.next();
    relation(name).parent = parent;
    relation(parent).partitions.push_back(name);
    if (line.accept("default")) {
      relation(parent).default_partition = name;
      relation(name).partition_bound = "DEFAULT";
    } else if (line.accept("is")) {
      relation(name).partition_bound = line.string();
    }
  } else if (what == "trigger") {
    const std::string name = line.next();
    line.expect("on");
    relation(line.next()).update_triggers.push_back("trigger " + name);
  } else if (what == "taken") {
    const std::string name = line.next();
    line.expect("beside");
    auto& taken = relation(line.next()).taken;
    taken.relations.push_back(name);
    taken.constraints.push_back(name);
  } else if (what == "dependent") {
    const std::string dependent = line.string();
    line.expect("on");
    const auto column = line.next();
    const auto dot = column.rfind('.');
    for (auto& facts : relation(column.substr(0, dot)).columns)
      if (facts.name == unquote(column.substr(dot + 1))) facts.dependents.push_back(dependent);
  } else if (what == "domain") {
    const std::string full_name = line.next();
    const auto name = split_full_name(full_name);
    type_facts type;
    type.schema = name.schema;
    type.name = name.name;
    type.kind = 'd';
    line.expect("over");
    column_facts base;
    read_type(line, base);
    type.base_schema = base.type_schema;
    type.base = base.type;
    type.base_modifier = base.type_modifier;
    type.domain_constrained = line.accept("constrained");
    type.volatile_default = line.accept("volatile");
    if (line.accept("used")) {
      line.expect("by");
      do type.used_by.push_back(line.next());
      while (line.accept_symbol(','));
    }
    types_[full_name] = std::move(type);
  } else if (what == "type") {
    const std::string full_name = line.next();
    const auto name = split_full_name(full_name);
    type_facts type;
    type.schema = name.schema;
    type.name = name.name;
    type.kind = line.next()[0];
    types_[full_name] = std::move(type);
  } else if (what == "function") {
    const auto name = split_full_name(line.next());
    function_facts function;
    function.schema = name.schema;
    function.name = name.name;
    const auto arguments = line.list();
    function.arguments = arguments.empty() ? 0 : std::stoi(arguments[0]);
    function.volatility = line.next()[0];
    function.inlines_to_constant = line.accept("inlines");
    functions_.push_back(std::move(function));
  } else if (what == "server") {
    const std::string version = line.next();
    const auto dot = version.find('.');
    server_version_ =
        std::stoi(version) * 10000 + (dot == std::string::npos ? 0 : std::stoi(version.substr(dot + 1)));
  } else if (what == "timezone") {
    time_zone_ = line.next();
  } else if (what == "search_path") {
    search_path_.clear();
    do search_path_.push_back(line.next());
    while (line.accept_symbol(','));
  } else if (what != "empty") {
    line.fail("table, index, constraint, … before this");
  }
  if (!line.done()) line.fail("the end of the line");
}

catalog_snapshot catalog_text::snapshot(const fact_request& request) const {
  catalog_snapshot snapshot;
  snapshot.server_version = server_version_;
  snapshot.time_zone = time_zone_;
  if (!any_) return snapshot;
  snapshot.available = true;
  snapshot.search_path = search_path_;

  const auto candidates = [&](const std::string& schema, const std::string& name) {
    std::vector<std::string> full_names;
    if (!schema.empty()) return std::vector{sql::quote_name({"", schema, name, -1})};
    full_names.push_back(sql::quote_name({"", "pg_temp", name, -1}));
    for (const auto& each : search_path_) full_names.push_back(sql::quote_name({"", each, name, -1}));
    return full_names;
  };
  const auto find_relation = [&](const sql::qualified_name& written) -> std::optional<relation_facts> {
    for (const auto& full_name : candidates(written.schema, written.name)) {
      if (const auto it = relations_.find(full_name); it != relations_.end()) return it->second;
      for (const auto& [table_name, table] : relations_)
        for (const auto& index : table.indexes)
          if (sql::quote_name({"", index.schema, index.name, -1}) == full_name) {
            relation_facts facts;
            facts.schema = index.schema;
            facts.name = index.name;
            facts.kind = index.partitioned ? 'I' : 'i';
            facts.bytes = index.bytes;
            facts.tablespace = "pg_default";
            facts.index_table = table_name;
            return facts;
          }
    }
    return std::nullopt;
  };
  for (const auto& [full_name, facts] : relations_) snapshot.bind_relation(split_full_name(full_name), facts);
  for (const auto& written : request.relations) snapshot.bind_relation(written, find_relation(written));
  for (const auto& written : request.types) {
    std::optional<type_facts> found;
    for (const auto& full_name : candidates(written.schema, written.name))
      if (const auto it = types_.find(full_name); !found && it != types_.end()) found = it->second;
    static const std::vector<std::string> built_in = {
        "text", "uuid", "json", "jsonb", "date",    "oid",   "inet", "cidr", "bytea",    "timestamptz",
        "int4", "int8", "bool", "int2",  "varchar", "money", "xml",  "name", "regclass", "citext"};
    const bool base = written.schema == "pg_catalog" ||
                      std::find(built_in.begin(), built_in.end(), written.name) != built_in.end();
    if (!found && base) {
      found = type_facts{};
      found->schema = "pg_catalog";
      found->name = written.name;
    }
    snapshot.bind_type(written, found);
  }
  for (const auto& written : request.functions)
    for (const auto& function : functions_)
      if (function.name == written.name && function.arguments == written.arguments)
        snapshot.bind_function(written, function);
  return snapshot;
}

}  // namespace tidegate::test
