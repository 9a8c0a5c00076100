#include "policies/ledger/inverse.hpp"

#include "policies/ledger/reversal.hpp"
#include "policies/plan/draft.hpp"
#include "policies/plan/index.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

namespace tidegate::policies {
namespace {

using sql::object_kind;
using sql::qualified_name;
using sql::quote_identifier;
using sql::quote_name;

bool is_type(object_kind kind) {
  return kind == object_kind::type || kind == object_kind::domain;
}

qualified_name beside(const qualified_name& object, const std::string& name) {
  return {.database = {}, .schema = object.schema, .name = name};
}

class inverter {
 public:
  explicit inverter(const rule_input& input)
      : of_(input), input_(input), tokens_(input.text, input.statement.range, false) {}

  inverse run() {
    std::string sql, why_not;
    try {
      sql = std::visit([this](const auto& node) { return reverse(node); }, input_.statement.node);
      if (!sql.empty() && !sql::parse(sql).ok()) {
        sql.clear();
        why_not = "it can't be read back";
      }
    } catch (const not_reversible& why) {
      why_not = why.what();
    }
    inverse result = of_.take();
    result.sql = std::move(sql);
    result.why_not = std::move(why_not);
    if (result.sql.empty()) result.lost.clear();
    return result;
  }

 private:
  // ---- what is made ----

  std::string reverse(const sql::create_table& create) {
    const qualified_name made = of_.made(create.relation);
    if (create.if_not_exists) surely_new(create.relation);
    of_.loses("the rows of " + quote_name(made));
    return (create.foreign ? "DROP FOREIGN TABLE " : "DROP TABLE ") + quote_name(made) + ";";
  }
  std::string reverse(const sql::create_table_as& create) {
    const qualified_name made = of_.made(create.relation);
    if (create.if_not_exists) surely_new(create.relation);
    if (create.materialized_view) return "DROP MATERIALIZED VIEW " + quote_name(made) + ";";
    of_.loses("the rows of " + quote_name(made));
    return "DROP TABLE " + quote_name(made) + ";";
  }
  std::string reverse(const sql::create_view& create) {
    const qualified_name made = of_.made(create.relation);
    if (create.replace) surely_new(create.relation);
    return "DROP VIEW " + quote_name(made) + ";";
  }
  std::string reverse(const sql::create_index& create) {
    const qualified_name table = of_.existing(create.relation);
    std::string name = create.name;
    if (name.empty()) {
      const auto facts = of_.catalog().relation(create.relation);
      if (!facts || !of_.knows_taken_names(*facts.facts))
        throw not_reversible("the name that PostgreSQL chose is not known");
      draft names(input_, subject_of(input_, create.relation), create.only);
      name = names.new_relation(columns_in_name(create), "idx");
    } else if (create.if_not_exists) {
      surely_new({.database = {}, .schema = create.relation.schema, .name = name});
    }
    const qualified_name index = beside(table, name);
    of_.note(index);
    return std::string("DROP INDEX ") + (create.concurrently ? "CONCURRENTLY " : "") + quote_name(index) +
           ";";
  }
  std::string reverse(const sql::create_schema& create) {
    if (!create.elements.empty() || says_if_not_exists() || tokens_.is_word(2, "authorization"))
      throw not_reversible("the schema may hold more, or have been there already");
    return "DROP SCHEMA " + quote_identifier(create.name) + ";";
  }
  std::string reverse(const sql::create_enum& create) {
    return "DROP TYPE " + quote_name(of_.made(create.type)) + ";";
  }
  std::string reverse(const sql::create_function& create) {
    const std::string_view kind = create.procedure ? "procedure" : "function";
    const std::size_t keyword = tokens_.find_word(kind, 0, tokens_.size());
    if (keyword != 1) throw not_reversible("OR REPLACE may have replaced another one");
    return std::string(create.procedure ? "DROP PROCEDURE " : "DROP FUNCTION ") +
           quote_name(of_.made(create.name)) + "(" + arguments(tokens_.behind_name(keyword + 1)) + ");";
  }
  std::string reverse(const sql::on_relation& about) {
    if (about.verb != sql::on_relation_verb::create)
      throw not_reversible("what was there before is not known");
    if (about.replace) throw not_reversible("OR REPLACE may have replaced another one");
    if (about.kind == object_kind::statistics || words(about.kind).empty())
      throw not_reversible("there is no inverse for this kind of statement");
    return "DROP " + std::string(words(about.kind)) + " " + quote_identifier(about.name) + " ON " +
           quote_name(of_.existing(about.relation)) + ";";
  }
  std::string reverse(const sql::other_statement& other) {
    if (other.node == "CreateSeqStmt" && !other.relations.empty()) {
      const std::size_t keyword = tokens_.find_word("sequence", 0, tokens_.size());
      if (keyword != 1) throw not_reversible("it is temporary or not logged");
      if (says_if_not_exists()) throw not_reversible("the sequence may have been there already");
      return "DROP SEQUENCE " + quote_name(of_.made(other.relations.front())) + ";";
    }
    if (other.node == "CreateDomainStmt") return "DROP DOMAIN " + quote_name(of_.made(name_at(2))) + ";";
    if (other.node == "CompositeTypeStmt" || other.node == "CreateRangeStmt")
      return "DROP TYPE " + quote_name(of_.made(name_at(2))) + ";";
    throw not_reversible("there is no inverse for this kind of statement");
  }

  // ---- what is changed ----

  std::string reverse(const sql::alter_table& alter) { return reverse_alter_table(of_, alter); }

  std::string reverse(const sql::rename& renamed) {
    const std::string from = quote_identifier(renamed.from), to = quote_identifier(renamed.to);
    if (renamed.kind == object_kind::schema || renamed.kind == object_kind::database)
      return std::string("ALTER ") + (renamed.kind == object_kind::schema ? "SCHEMA " : "DATABASE ") + to +
             " RENAME TO " + from + ";";
    if (words(renamed.relation_kind).empty() && words(renamed.kind).empty())
      throw not_reversible("there is no inverse for this kind of RENAME");
    if (renamed.if_exists && !of_.catalog().relation(renamed.relation))
      throw not_reversible("it may not have been there");
    const bool of_type = is_type(renamed.relation_kind);
    const qualified_name object =
        of_type ? of_.existing_type(renamed.relation) : of_.existing(renamed.relation);
    switch (renamed.kind) {
      case object_kind::column:
        return "ALTER " + std::string(words(renamed.relation_kind)) + " " + quote_name(object) + " RENAME " +
               (renamed.relation_kind == object_kind::composite_type ? "ATTRIBUTE " : "COLUMN ") + to +
               " TO " + from + (renamed.cascade ? " CASCADE;" : ";");
      case object_kind::constraint:
        return "ALTER " + std::string(words(renamed.relation_kind)) + " " + quote_name(object) +
               " RENAME CONSTRAINT " + to + " TO " + from + ";";
      case object_kind::trigger:
      case object_kind::policy:
      case object_kind::rule:
        return "ALTER " + std::string(words(renamed.kind)) + " " + to + " ON " + quote_name(object) +
               " RENAME TO " + from + ";";
      default:
        break;
    }
    const qualified_name after = beside(object, renamed.to);
    of_.note(after);
    return "ALTER " + std::string(words(renamed.kind)) + " " + quote_name(after) + " RENAME TO " +
           quote_identifier(object.name) + ";";
  }

  std::string reverse(const sql::set_schema& moved) {
    if (words(moved.kind).empty()) throw not_reversible("there is no inverse for this kind of SET SCHEMA");
    if (moved.if_exists && !of_.catalog().relation(moved.object))
      throw not_reversible("it may not have been there");
    const qualified_name object =
        is_type(moved.kind) ? of_.existing_type(moved.object) : of_.existing(moved.object);
    const qualified_name after{.database = {}, .schema = moved.to, .name = object.name};
    of_.note(after);
    return "ALTER " + std::string(words(moved.kind)) + " " + quote_name(after) + " SET SCHEMA " +
           quote_identifier(object.schema) + ";";
  }

  std::string reverse(const sql::alter_enum& alter) {
    if (!alter.rename) throw not_reversible("PostgreSQL can't take a value out of an enum");
    return "ALTER TYPE " + quote_name(of_.existing_type(alter.type)) + " RENAME VALUE " +
           sql::quote_literal(alter.value) + " TO " + sql::quote_literal(alter.old_value) + ";";
  }

  std::string reverse(const sql::alter_domain& alter) {
    if (alter.action != sql::alter_domain_action::add_constraint || alter.name.empty())
      throw not_reversible("what the domain was like before is not known");
    return "ALTER DOMAIN " + quote_name(of_.existing_type(alter.domain)) + " DROP CONSTRAINT " +
           quote_identifier(alter.name) + ";";
  }

  // ---- what has none ----

  std::string reverse(const sql::drop& gone) {
    for (const qualified_name& object : gone.objects)
      if (const auto found = of_.catalog().relation(object))
        of_.note(beside({{}, found->schema, {}}, found->name));
    throw not_reversible("what was dropped is gone");
  }
  std::string reverse(const sql::drop_owned&) { throw not_reversible("what was dropped is gone"); }
  std::string reverse(const sql::drop_database&) { throw not_reversible("what was dropped is gone"); }
  std::string reverse(const sql::truncate&) { throw not_reversible("the rows are gone"); }
  std::string reverse(const sql::privilege_change&) {
    throw not_reversible("which rights there were before is not known");
  }
  template <class Other>
  std::string reverse(const Other&) {
    throw not_reversible("there is no inverse for this kind of statement");
  }

  // ---- the text ----

  void surely_new(const qualified_name& written) const {
    if (of_.catalog().relation(written).state != presence::missing || !input_.history.entries().empty())
      throw not_reversible(quote_name(written) + " may have been there already");
  }

  bool says_if_not_exists() const {
    for (std::size_t i = 0; i + 2 < tokens_.size(); ++i)
      if (tokens_.is_word(i, "if") && tokens_.is_word(i + 1, "not") && tokens_.is_word(i + 2, "exists"))
        return true;
    return false;
  }

  // A written name, as PostgreSQL reads it.
  qualified_name name_at(std::size_t index) const {
    const auto range = tokens_.range(index, tokens_.behind_name(index));
    const auto parsed = sql::parse("DROP TABLE " + tokens_.text(range));
    if (parsed.ok() && parsed.statements.size() == 1)
      if (const auto* gone = parsed.statements.front().as<sql::drop>(); gone && gone->objects.size() == 1)
        return gone->objects.front();
    throw not_reversible("its name can't be read");
  }

  // Of a function, behind whose name `open` stands: as they were written, without defaults.
  std::string arguments(std::size_t open) const {
    if (!tokens_.is_char(open, '(')) throw not_reversible("its arguments can't be read");
    const std::size_t close = tokens_.closing(open);
    std::string list;
    for (std::size_t from = open + 1; from < close;) {
      const std::size_t end = std::min(tokens_.element_end(from), close);
      std::size_t behind = from;
      while (behind < end && !tokens_.is_word(behind, "default") && tokens_.spelling(behind) != "=")
        behind = tokens_.is_char(behind, '(') ? tokens_.closing(behind) + 1 : behind + 1;
      list += (list.empty() ? "" : ", ") + tokens_.text(tokens_.range(from, std::min(behind, end)));
      from = end + 1;
    }
    return list;
  }

  reversal of_;
  const rule_input& input_;
  sql::token_list tokens_;
};

}  // namespace

inverse inverse_of(const rule_input& input) {
  return inverter(input).run();
}

}  // namespace tidegate::policies
