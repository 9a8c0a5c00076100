#include "policies/remedy.hpp"

#include "policies/sql/quote.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {
namespace {

using sql::constraint_kind;
using sql::quote_identifier;

constexpr std::size_t longest_name = 63;  // NAMEDATALEN - 1
constexpr std::string_view in_batches = "  -- in batches by key, COMMIT after each";

std::string alter(const subject& table) {
  return "ALTER TABLE " + table.sql + " ";
}

// The name in the schema of the table.
std::string beside(const subject& table, const std::string& name) {
  return sql::quote_name({"", table.written->schema, name, -1});
}

void append(steps& to, steps more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

std::string named(const sql::constraint_definition& constraint, std::string otherwise) {
  return constraint.name.empty() ? std::move(otherwise) : constraint.name;
}

// What fills the column from now on, and the rows there are.
void fill(steps& out, const altered& added, const sql::column_definition& column) {
  const auto& table = added.table;
  const std::string name = quote_identifier(column.name);
  const std::string set_default = alter(table) + "ALTER COLUMN " + name + " SET DEFAULT ";
  const std::string update = "UPDATE " + table.sql + " SET " + name + " = ";
  const std::string where_null = " WHERE " + name + " IS NULL;" + std::string(in_batches);
  if (column.is_serial()) {
    const std::string sequence = beside(table, object_name(table, column.name, "seq"));
    out.push_back("CREATE SEQUENCE " + sequence + " AS " + type_sql(column) + " OWNED BY " + table.sql + "." +
                  name + ";");
    out.push_back(set_default + "nextval(" + sql::quote_literal(sequence) + ");");
    out.push_back(update + "DEFAULT" + where_null);
  } else if (column.find(constraint_kind::identity)) {
    const std::string sequence = beside(table, object_name(table, column.name, "fill"));
    out.push_back("CREATE SEQUENCE " + sequence + ";");
    out.push_back(set_default + "nextval(" + sql::quote_literal(sequence) + ");");
    out.push_back(update + "DEFAULT" + where_null);
  } else if (const auto* generated = column.find(constraint_kind::generated_stored)) {
    const std::string function = beside(table, object_name(table, column.name, "fill"));
    const std::string value = generated->value ? generated->value->text : "…";
    out.push_back("CREATE FUNCTION " + function + "() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW." +
                  name + " := (SELECT " + value + " FROM (SELECT NEW.*) AS r); RETURN NEW; END$$;");
    out.push_back("CREATE TRIGGER " + quote_identifier(object_name(table, column.name, "fill")) +
                  " BEFORE INSERT OR UPDATE ON " + table.sql + " FOR EACH ROW EXECUTE FUNCTION " + function +
                  "();");
    out.push_back(update + value + where_null);
  } else {
    const auto* value = column.find(constraint_kind::default_value);
    const bool has_value =
        value && value->value && value->value->shape != sql::expression_shape::null_constant;
    if (has_value) {
      out.push_back(set_default + value->value->text + ";");
      out.push_back(update + "DEFAULT" + where_null);
    } else if (column.find(constraint_kind::not_null)) {
      out.push_back(update + "…" + where_null);
    }
  }
}

// The sequence that filled an identity column is replaced by the column's own, behind the highest value.
void make_identity(steps& out, const altered& added, const sql::column_definition& column) {
  const auto* identity = column.find(constraint_kind::identity);
  if (!identity) return;
  const auto& table = added.table;
  const std::string name = quote_identifier(column.name);
  out.push_back("BEGIN; " + alter(table) + "ALTER COLUMN " + name + " DROP DEFAULT; " + alter(table) +
                "ALTER COLUMN " + name + " ADD GENERATED " +
                (identity->identity_always ? "ALWAYS" : "BY DEFAULT") +
                " AS IDENTITY; SELECT setval(pg_get_serial_sequence(" + sql::quote_literal(table.sql) + ", " +
                sql::quote_literal(column.name) + "), nextval(" +
                sql::quote_literal(beside(table, object_name(table, column.name, "fill"))) + ")); COMMIT;");
  out.push_back("DROP SEQUENCE " + beside(table, object_name(table, column.name, "fill")) + ";");
}

void add_constraints(steps& out, const altered& added, const sql::column_definition& column) {
  const auto& table = added.table;
  const std::string name = quote_identifier(column.name);
  const auto add_and_validate = [&](const std::string& constraint, const std::string& definition) {
    const std::string quoted = quote_identifier(constraint);
    out.push_back(alter(table) + "ADD CONSTRAINT " + quoted + " " + definition + " NOT VALID;");
    out.push_back(alter(table) + "VALIDATE CONSTRAINT " + quoted + ";");
  };
  for (const auto& c : column.constraints) {
    if (c.kind == constraint_kind::check && c.value) {
      add_and_validate(named(c, object_name(table, column.name, "check")), "CHECK (" + c.value->text + ")");
    } else if (c.kind == constraint_kind::foreign_key && c.referenced) {
      add_and_validate(named(c, object_name(table, column.name, "fkey")),
                       "FOREIGN KEY (" + name + ") REFERENCES " + sql::quote_name(*c.referenced) +
                           (c.referenced_columns.empty() ? "" : sql::quote_columns(c.referenced_columns)));
    } else if (c.kind == constraint_kind::unique || c.kind == constraint_kind::primary_key) {
      const bool primary = c.kind == constraint_kind::primary_key;
      const std::string index = quote_identifier(
          named(c, primary ? object_name(table, "", "pkey") : object_name(table, column.name, "key")));
      out.push_back("CREATE UNIQUE INDEX CONCURRENTLY " + index + " ON " + table.sql + " (" + name + ");");
      out.push_back(alter(table) + "ADD CONSTRAINT " + index + (primary ? " PRIMARY KEY" : " UNIQUE") +
                    " USING INDEX " + index + ";");
    }
  }
}

}  // namespace

std::string object_name(const subject& table, std::string_view column, std::string_view suffix) {
  std::string first = table.written->name;
  std::string second(column);
  const std::size_t separators = second.empty() ? 1 : 2;
  // The longer part is cut first, as PostgreSQL's makeObjectName() does; never inside a UTF-8 sequence.
  while (first.size() + second.size() + suffix.size() + separators > longest_name) {
    auto& longer = first.size() > second.size() ? first : second;
    while ((static_cast<unsigned char>(longer.back()) & 0xC0) == 0x80) longer.pop_back();
    longer.pop_back();
  }
  return first + (second.empty() ? "" : "_" + second) + "_" + std::string(suffix);
}

std::string type_sql(const sql::column_definition& column) {
  std::string type = column.type.text;
  if (column.is_serial()) {
    const auto& serial = column.type.name;
    type = serial == "bigserial" || serial == "serial8"     ? "bigint"
           : serial == "smallserial" || serial == "serial2" ? "smallint"
                                                            : "integer";
  }
  if (!column.collation.empty()) type += " COLLATE " + quote_identifier(column.collation);
  return type;
}

steps set_not_null_steps(const subject& table, const std::string& column_name, int server_version) {
  const std::string column = quote_identifier(column_name);
  const std::string constraint = quote_identifier(object_name(table, column_name, "nn"));
  if (server_version >= 180000)
    return {alter(table) + "ADD CONSTRAINT " + constraint + " NOT NULL " + column + " NOT VALID;",
            alter(table) + "VALIDATE CONSTRAINT " + constraint + ";"};
  return {alter(table) + "ADD CONSTRAINT " + constraint + " CHECK (" + column + " IS NOT NULL) NOT VALID;",
          alter(table) + "VALIDATE CONSTRAINT " + constraint + ";",
          alter(table) + "ALTER COLUMN " + column + " SET NOT NULL;",
          alter(table) + "DROP CONSTRAINT " + constraint + ";"};
}

steps add_column_steps(const altered& added, int server_version) {
  const auto& column = *added.command->column;
  steps out{alter(added.table) + "ADD COLUMN " + quote_identifier(column.name) + " " + type_sql(column) +
            ";"};
  fill(out, added, column);
  if (column.find(constraint_kind::not_null) || column.find(constraint_kind::primary_key) ||
      column.find(constraint_kind::identity) || column.is_serial())
    append(out, set_not_null_steps(added.table, column.name, server_version));
  make_identity(out, added, column);
  add_constraints(out, added, column);
  return out;
}

steps change_type_steps(const altered& command) {
  const auto& table = command.table;
  const std::string& name = command.command->name;
  const std::string column = quote_identifier(name);
  const std::string fresh = quote_identifier(name + "_new");
  const std::string old = quote_identifier(name + "_old");
  const std::string trigger = quote_identifier(object_name(table, name, "copy"));
  const std::string function = beside(table, object_name(table, name, "copy"));
  const std::string type = type_sql(*command.command->column);
  const auto& value = command.command->value;
  const std::string copied =
      value ? value->text : column + "::" + type_sql({"", command.command->column->type, "", {}, {}});
  return {alter(table) + "ADD COLUMN " + fresh + " " + type + ";",
          "CREATE FUNCTION " + function + "() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW." + fresh +
              " := (SELECT " + copied + " FROM (SELECT NEW.*) AS r); RETURN NEW; END$$;",
          "CREATE TRIGGER " + trigger + " BEFORE INSERT OR UPDATE ON " + table.sql +
              " FOR EACH ROW EXECUTE FUNCTION " + function + "();",
          "UPDATE " + table.sql + " SET " + fresh + " = " + copied + " WHERE " + fresh +
              " IS DISTINCT FROM " + copied + ";" + std::string(in_batches),
          "-- indexes (CONCURRENTLY), constraints and NOT NULL of " + column + " again on " + fresh,
          "BEGIN; DROP TRIGGER " + trigger + " ON " + table.sql + "; " + alter(table) + "RENAME COLUMN " +
              column + " TO " + old + "; " + alter(table) + "RENAME COLUMN " + fresh + " TO " + column +
              "; COMMIT;  -- with its default and sequence",
          alter(table) + "DROP COLUMN " + old + "; DROP FUNCTION " + function +
              "();  -- later, when nothing reads it; then ANALYZE"};
}

}  // namespace tidegate::policies
