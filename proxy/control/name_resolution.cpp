#include "proxy/control/name_resolution.hpp"

#include "policies/sql/parse.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace tidegate::control {

namespace {

// The rows are (item, ordinal, …): one 'session', at most one 'relation' and 'type' per name asked for and
// before its 'check's, a 'function' per candidate. Every name is qualified and every operator is
// pg_catalog's, since this runs under the client's search_path.
constexpr std::string_view session_rows = R"sql(
SELECT 'session', 0, pg_catalog.current_database()::pg_catalog.text, current_user::pg_catalog.text,
       session_user::pg_catalog.text, pg_catalog.pg_backend_pid()::pg_catalog.text,
       pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('TimeZone'),
       pg_catalog.current_schemas(true)::pg_catalog.text,
       pg_catalog.txid_current_if_assigned()::pg_catalog.text,
       pg_catalog.current_setting('transaction_isolation'), pg_catalog.current_setting('lock_timeout'),
       pg_catalog.current_setting('statement_timeout'),
       pg_catalog.current_setting('idle_in_transaction_session_timeout'),
       pg_catalog.current_setting('deadlock_timeout'))sql";

// to_regclass looks where the statement itself will look: in the caches, so that it sees a table newer than
// the transaction's snapshot, and it takes no lock. It would raise an error only for a schema that may not be
// used. Locks of this session are read only when it has a transaction id, as it has with ACCESS EXCLUSIVE.
constexpr std::string_view relation_parts = R"sql(
 own_locks AS (
   SELECT l.relation FROM pg_catalog.pg_locks AS l
    WHERE pg_catalog.txid_current_if_assigned() IS NOT NULL
      AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
      AND l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted
      AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'),
 found_relation(i, oid) AS (
   SELECT a.i, CASE WHEN a.schema OPERATOR(pg_catalog.=) '' OR a.schema OPERATOR(pg_catalog.=) 'pg_temp'
                      OR EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
                                  WHERE n.nspname OPERATOR(pg_catalog.=) a.schema
                                    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))
                    THEN pg_catalog.to_regclass(
                           CASE WHEN a.schema OPERATOR(pg_catalog.=) '' THEN ''
                                ELSE pg_catalog.quote_ident(a.schema::pg_catalog.text) OPERATOR(pg_catalog.||) '.'
                           END OPERATOR(pg_catalog.||) pg_catalog.quote_ident(a.name::pg_catalog.text))
               END
     FROM asked_relation AS a))sql";

constexpr std::string_view relation_rows = R"sql(
SELECT 'relation', f.i, f.oid::pg_catalog.oid::pg_catalog.text, n.nspname::pg_catalog.text,
       c.relname::pg_catalog.text, c.relkind::pg_catalog.text, c.relpersistence::pg_catalog.text,
       pg_catalog.pg_table_is_visible(c.oid)::pg_catalog.text,
       EXISTS (SELECT FROM own_locks AS o WHERE o.relation OPERATOR(pg_catalog.=) f.oid::pg_catalog.oid)::pg_catalog.text,
       CASE WHEN EXISTS (SELECT FROM own_locks AS o WHERE o.relation OPERATOR(pg_catalog.=) f.oid::pg_catalog.oid)
            THEN pg_catalog.pg_relation_size(c.oid)::pg_catalog.text END,
       pg_catalog.row_security_active(c.oid)::pg_catalog.text, NULL, NULL, NULL, NULL
  FROM found_relation AS f
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) f.oid::pg_catalog.oid
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE f.oid IS NOT NULL)sql";

// Checks of what this session has altered: earlier statements of its transaction may have added or dropped
// the proof that a later one relies on.
constexpr std::string_view check_rows = R"sql(
SELECT 'check', f.i, k.conname::pg_catalog.text, k.convalidated::pg_catalog.text, k.connoinherit::pg_catalog.text,
       ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid OPERATOR(pg_catalog.=) k.conrelid
                AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey))::pg_catalog.text,
       pg_catalog.pg_get_constraintdef(k.oid), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM found_relation AS f
  JOIN own_locks AS o ON o.relation OPERATOR(pg_catalog.=) f.oid::pg_catalog.oid
  JOIN pg_catalog.pg_constraint AS k ON k.conrelid OPERATOR(pg_catalog.=) f.oid::pg_catalog.oid
 WHERE k.contype OPERATOR(pg_catalog.=) 'c')sql";

constexpr std::string_view type_parts = R"sql(
 found_type(i, oid) AS (
   SELECT a.i, t.oid
     FROM asked_type AS a
     JOIN pg_catalog.pg_type AS t ON t.typname OPERATOR(pg_catalog.=) a.name
     JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
    WHERE CASE WHEN a.schema OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_type_is_visible(t.oid)
               WHEN a.schema OPERATOR(pg_catalog.=) 'pg_temp'
                 THEN n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
               ELSE n.nspname OPERATOR(pg_catalog.=) a.schema END),
 type_chain(i, oid, typtype, next, modifier, constrained) AS (
   SELECT f.i, t.oid, t.typtype, t.typbasetype, t.typtypmod,
          t.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                                   WHERE k.contypid OPERATOR(pg_catalog.=) t.oid)
     FROM found_type AS f JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) f.oid
   UNION ALL
   SELECT b.i, t.oid, t.typtype, t.typbasetype, t.typtypmod,
          t.typtype OPERATOR(pg_catalog.=) 'd'
            AND (t.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                                          WHERE k.contypid OPERATOR(pg_catalog.=) t.oid))
     FROM type_chain AS b JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) b.next
    WHERE b.typtype OPERATOR(pg_catalog.=) 'd'))sql";

constexpr std::string_view type_rows = R"sql(
SELECT 'type', f.i, t.oid::pg_catalog.text, n.nspname::pg_catalog.text, t.typname::pg_catalog.text,
       t.typtype::pg_catalog.text, bn.nspname::pg_catalog.text, b.typname::pg_catalog.text,
       (SELECT pg_catalog.max(k.modifier) FROM type_chain AS k
         WHERE k.i OPERATOR(pg_catalog.=) f.i)::pg_catalog.text,
       (SELECT pg_catalog.bool_or(k.constrained) FROM type_chain AS k
         WHERE k.i OPERATOR(pg_catalog.=) f.i)::pg_catalog.text,
       (EXISTS (SELECT FROM pg_catalog.regexp_matches(t.typdefaultbin::pg_catalog.text, ':(?:op)?funcid ([0-9]+)', 'g')
                              AS m(found)
                  JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) m.found[1]::pg_catalog.oid
                 WHERE p.provolatile OPERATOR(pg_catalog.=) 'v')
        OR t.typdefaultbin::pg_catalog.text OPERATOR(pg_catalog.~) ':seqid [0-9]')::pg_catalog.text,
       NULL, NULL, NULL, NULL
  FROM found_type AS f
  JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) f.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
  JOIN type_chain AS e ON e.i OPERATOR(pg_catalog.=) f.i AND e.typtype OPERATOR(pg_catalog.<>) 'd'
  JOIN pg_catalog.pg_type AS b ON b.oid OPERATOR(pg_catalog.=) e.oid
  JOIN pg_catalog.pg_namespace AS bn ON bn.oid OPERATOR(pg_catalog.=) b.typnamespace)sql";

// Candidates by name and number of arguments. The body is given for what the planner may inline: a plain SQL
// function without SET, SECURITY DEFINER or a set as its result.
constexpr std::string_view function_rows = R"sql(
SELECT 'function', a.i, n.nspname::pg_catalog.text, p.proname::pg_catalog.text, p.provolatile::pg_catalog.text,
       CASE WHEN l.lanname OPERATOR(pg_catalog.=) 'sql' AND p.prokind OPERATOR(pg_catalog.=) 'f'
                 AND NOT p.prosecdef AND NOT p.proretset AND p.proconfig IS NULL
            THEN CASE WHEN p.prosrc OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_get_functiondef(p.oid)
                      ELSE p.prosrc END
       END,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM asked_function AS a
  JOIN pg_catalog.pg_proc AS p ON p.proname OPERATOR(pg_catalog.=) a.name
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
 WHERE CASE WHEN a.schema OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_function_is_visible(p.oid)
            WHEN a.schema OPERATOR(pg_catalog.=) 'pg_temp'
              THEN n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
            ELSE n.nspname OPERATOR(pg_catalog.=) a.schema END
   AND ((a.arguments OPERATOR(pg_catalog.<=) p.pronargs
         AND a.arguments OPERATOR(pg_catalog.>=) (p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults))
        OR (p.provariadic OPERATOR(pg_catalog.<>) 0
            AND a.arguments OPERATOR(pg_catalog.>=)
                (p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults OPERATOR(pg_catalog.-) 1))))sql";

class query_builder {
 public:
  // `asked_…(i, schema, name[, arguments]) AS (VALUES …)`, names as parameters.
  template <class Names>
  void ask(std::string_view table, const Names& names, bool with_arguments) {
    std::string values;
    for (std::size_t i = 0; i < names.size(); ++i) {
      values += (i == 0 ? "(" : ", (") + std::to_string(i);
      values += ", " + parameter(names[i].schema) + ", " + parameter(names[i].name);
      if constexpr (requires { names[i].arguments; }) values += ", " + std::to_string(names[i].arguments);
      values += ")";
    }
    add_part("asked_" + std::string(table) +
             (with_arguments ? "(i, schema, name, arguments)" : "(i, schema, name)") + " AS (VALUES " +
             values + ")");
  }
  void add_part(std::string_view part) {
    parts_ += parts_.empty() ? "WITH RECURSIVE " : ",";
    parts_ += part;
  }
  void add_rows(std::string_view select) {
    if (!rows_.empty()) rows_ += "\nUNION ALL";
    rows_ += select;
  }
  resolution_query finish() && { return {parts_ + rows_, std::move(parameters_)}; }

 private:
  std::string parameter(const std::string& value) {
    parameters_.push_back(value);
    return "$" + std::to_string(parameters_.size()) + "::pg_catalog.name";
  }

  std::string parts_, rows_;
  std::vector<std::string> parameters_;
};

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() <= word.size() || std::isspace(static_cast<unsigned char>(text[word.size()])) == 0)
    return false;
  return std::equal(word.begin(), word.end(), text.begin(),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

// Whether the body is `SELECT <constant>` or, as pg_get_functiondef prints a standard body, `RETURN
// <constant>`.
bool is_constant_body(std::string_view body) {
  constexpr std::size_t longest_worth_a_look = 500;
  if (body.starts_with("CREATE OR REPLACE")) {
    const std::size_t line = body.rfind("\nRETURN ");
    if (line == body.npos) return false;
    body.remove_prefix(line);
  }
  body = trimmed(body);
  if (body.size() > longest_worth_a_look) return false;
  for (const std::string_view verb : {std::string_view("select"), std::string_view("return")})
    if (starts_with_word(body, verb)) {
      const auto value = sql::parse_expression(trimmed(body.substr(verb.size())));
      return value && (value->shape == sql::expression_shape::constant ||
                       value->shape == sql::expression_shape::null_constant);
    }
  return false;
}

int volatility_rank(char volatility) {
  return volatility == 'i' ? 0 : volatility == 's' ? 1 : 2;
}

char first_char(const text_row& row, std::size_t column, char otherwise) {
  const std::string cell = text(row, column);
  return cell.empty() ? otherwise : cell.front();
}

session_facts decode_session(const text_row& row) {
  session_facts session;
  session.database = text(row, 2);
  session.current_user = text(row, 3);
  session.session_user = text(row, 4);
  session.backend_pid = number<std::int32_t>(row, 5).value_or(0);
  session.server_version = number<std::int32_t>(row, 6).value_or(0);
  session.time_zone = text(row, 7);
  session.search_path = array(row, 8);
  session.transaction_id = text(row, 9);
  session.isolation = text(row, 10);
  session.lock_timeout_ms = setting_in_ms(text(row, 11));
  session.statement_timeout_ms = setting_in_ms(text(row, 12));
  session.idle_in_transaction_timeout_ms = setting_in_ms(text(row, 13));
  session.deadlock_timeout_ms = setting_in_ms(text(row, 14));
  return session;
}

resolved_relation decode_relation(const text_row& row) {
  resolved_relation relation;
  relation.oid = number<std::uint32_t>(row, 2).value_or(0);
  relation.schema = text(row, 3);
  relation.name = text(row, 4);
  relation.kind = first_char(row, 5, 'r');
  relation.persistence = first_char(row, 6, 'p');
  relation.visible = truth(row, 7);
  relation.exclusively_locked_by_session = truth(row, 8);
  relation.bytes = number<std::int64_t>(row, 9);
  relation.hides_rows = truth(row, 10);
  return relation;
}

resolved_type decode_type(const text_row& row) {
  resolved_type type;
  type.oid = number<std::uint32_t>(row, 2).value_or(0);
  type.schema = text(row, 3);
  type.name = text(row, 4);
  type.kind = first_char(row, 5, 'b');
  type.base_schema = text(row, 6);
  type.base = text(row, 7);
  type.base_modifier = number<std::int32_t>(row, 8).value_or(-1);
  type.domain_constrained = type.kind == 'd' && truth(row, 9);
  type.volatile_default = type.kind == 'd' && truth(row, 10);
  return type;
}

// Which of several candidates PostgreSQL will choose depends on argument types, so the worst is assumed.
void add_candidate(std::optional<resolved_function>& function, const text_row& row) {
  const char volatility = first_char(row, 4, 'v');
  const bool inlines = volatility == 'i' || is_constant_body(text(row, 5));
  if (!function) {
    function = {text(row, 2), text(row, 3), volatility, inlines};
    return;
  }
  if (volatility_rank(volatility) > volatility_rank(function->volatility)) function->volatility = volatility;
  function->inlines_to_constant = function->inlines_to_constant && inlines;
}

}  // namespace

resolution_query make_resolution_query(const policies::fact_request& request) {
  query_builder query;
  query.add_rows(session_rows);
  if (!request.relations.empty()) {
    query.ask("relation", request.relations, false);
    query.add_part(relation_parts);
    query.add_rows(relation_rows);
    query.add_rows(check_rows);
  }
  if (!request.types.empty()) {
    query.ask("type", request.types, false);
    query.add_part(type_parts);
    query.add_rows(type_rows);
  }
  if (!request.functions.empty()) {
    query.ask("function", request.functions, true);
    query.add_rows(function_rows);
  }
  return std::move(query).finish();
}

std::optional<resolved_names> decode_resolution(const policies::fact_request& request,
                                                const text_rows& rows) {
  resolved_names names;
  names.relations.resize(request.relations.size());
  names.types.resize(request.types.size());
  names.functions.resize(request.functions.size());
  bool has_session = false;
  for (const text_row& row : rows) {
    const std::string item = text(row, 0);
    const auto ordinal = number<std::size_t>(row, 1);
    if (row.size() < 15 || !ordinal) return std::nullopt;
    if (item == "session") {
      names.session = decode_session(row);
      has_session = true;
    } else if (item == "relation" && *ordinal < names.relations.size()) {
      names.relations[*ordinal] = decode_relation(row);
    } else if (item == "check" && *ordinal < names.relations.size() && names.relations[*ordinal]) {
      names.relations[*ordinal]->checks.push_back(
          {text(row, 2), truth(row, 3), truth(row, 4), array(row, 5), text(row, 6)});
    } else if (item == "type" && *ordinal < names.types.size()) {
      names.types[*ordinal] = decode_type(row);
    } else if (item == "function" && *ordinal < names.functions.size()) {
      add_candidate(names.functions[*ordinal], row);
    } else {
      return std::nullopt;
    }
  }
  if (!has_session) return std::nullopt;
  return names;
}

}  // namespace tidegate::control
