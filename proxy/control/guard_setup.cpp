#include "proxy/control/guard_setup.hpp"

#include "policies/sql/quote.hpp"
#include "proxy/control/guard_objects.hpp"
#include "proxy/net/random_bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;

constexpr std::string_view server_query = R"sql(
SELECT pg_catalog.current_database(), pg_catalog.current_setting('server_version'), current_user, pg_catalog.pg_is_in_recovery(),
       pg_catalog.pg_get_userbyid(n.nspowner), n.nspowner = me.oid OR o.rolsuper,
       EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) AS a WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner)
  FROM pg_catalog.pg_roles AS me
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'tidegate_guard'
  LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = n.nspowner
 WHERE me.rolname = current_user)sql";

constexpr std::string_view event_triggers_query = R"sql(
SELECT t.evtname, t.evtevent, t.evttags, t.evtenabled, t.evtowner = n.nspowner AND f.proname = 'check_ddl'
  FROM pg_catalog.pg_event_trigger AS t
  JOIN pg_catalog.pg_proc AS f ON f.oid = t.evtfoid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname = 'tidegate_guard'
 WHERE t.evtname IN ('tidegate_guard_start', 'tidegate_guard_end', 'tidegate_guard_drop'))sql";

constexpr std::string_view functions_query = R"sql(
SELECT p.proname || '(' || pg_catalog.replace(pg_catalog.oidvectortypes(p.proargtypes), ', ', ',') || ')', p.prosrc, p.prosecdef,
       p.proowner = n.nspowner AND p.proconfig = ARRAY['search_path=pg_catalog, pg_temp'],
       EXISTS (SELECT FROM pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'tidegate_guard')sql";

constexpr std::string_view table_query = R"sql(
SELECT c.relowner = n.nspowner AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'tidegate_guard'
 WHERE c.relname = 'settings' AND c.relkind = 'r')sql";

constexpr std::string_view control_roles_query = R"sql(
SELECT pg_catalog.pg_get_userbyid(a.grantee)
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'tidegate_guard'
 CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) AS a
 WHERE p.proname = 'token' AND a.grantee NOT IN (0, p.proowner) AND a.privilege_type = 'EXECUTE' ORDER BY 1)sql";

constexpr std::string_view settings_query = "SELECT mode, allowed_roles FROM tidegate_guard.settings";

constexpr std::string_view unknown_roles_query = R"sql(
SELECT pg_catalog.min(n) FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = n))sql";

// The secret is a parameter, and statements are logged with their parameters.
constexpr std::string_view log_nothing = R"sql(
SELECT pg_catalog.set_config(s.name, q.value, false)
  FROM pg_catalog.pg_settings AS s
  JOIN (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'),
               ('log_transaction_sample_rate', '0'), ('log_min_error_statement', 'panic')) AS q(name, value) ON q.name = s.name)sql";

constexpr std::string_view remove_objects[] = {
    "DROP EVENT TRIGGER IF EXISTS tidegate_guard_start", "DROP EVENT TRIGGER IF EXISTS tidegate_guard_end",
    "DROP EVENT TRIGGER IF EXISTS tidegate_guard_drop", "DROP SCHEMA IF EXISTS tidegate_guard CASCADE"};

command plain(std::string_view sql) {
  return {std::string(sql), {}};
}

std::string new_secret() {
  std::array<std::byte, 32> secret{};
  net::random_bytes(secret);
  return bytea(secret);
}

// 'A', 'B' of the definition as the catalog has it: {A,B}.
std::string tags_as_written(const text_row& row, std::size_t column) {
  std::string out;
  for (const std::string& tag : array(row, column)) out += (out.empty() ? "'" : ", '") + tag + "'";
  return out;
}

void look_at_event_triggers(const text_rows& rows, guard_examination& guard) {
  guard.installed = !rows.empty();
  std::size_t disabled = 0;
  for (const auto& wanted : guard_sql::event_triggers) {
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const text_row& row) { return text(row, 0) == wanted.name; });
    const std::string name(wanted.name);
    if (found == rows.end()) {
      guard.problems.push_back("event trigger " + name + " is missing");
      continue;
    }
    const std::string enabled = text(*found, 3);
    if (enabled == "D") {
      ++disabled;
      guard.problems.push_back("event trigger " + name + " is disabled");
    } else if (enabled == "R") {
      guard.problems.push_back("event trigger " + name + " fires for replication only");
    }
    if (text(*found, 1) != wanted.event || tags_as_written(*found, 2) != wanted.tags || !truth(*found, 4))
      guard.problems.push_back("event trigger " + name + " was altered");
  }
  guard.enabled = disabled < rows.size();
}

void look_at_functions(const text_rows& rows, guard_examination& guard) {
  for (const auto& wanted : guard_sql::functions) {
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const text_row& row) { return text(row, 0) == wanted.signature; });
    const std::string name = "function tidegate_guard." + std::string(wanted.signature);
    if (found == rows.end())
      guard.problems.push_back(name + " is missing");
    else if (text(*found, 1) != wanted.body || truth(*found, 2) != wanted.definer || !truth(*found, 3))
      guard.problems.push_back(name + " was altered, or is of another version of tidegate");
    else if (truth(*found, 4))
      guard.problems.push_back(name + " may be called by everybody");
  }
}

asio::awaitable<void> look_at_settings(querier& source, const text_rows& rows, guard_examination& guard) {
  if (rows.empty()) {
    guard.problems.emplace_back("table tidegate_guard.settings is missing");
    co_return;
  }
  if (!truth(rows.front(), 0))
    guard.problems.emplace_back("table tidegate_guard.settings, with the secret, is open to others");
  if (!truth(rows.front(), 1)) co_return;
  std::vector<command> commands(1, plain(settings_query));
  const auto outcomes = co_await source.run(std::move(commands));
  const auto& read = outcomes.front();
  if (!read || read->rows.size() != 1) {
    guard.problems.emplace_back("table tidegate_guard.settings does not hold one row");
    co_return;
  }
  guard.mode = text(read->rows.front(), 0);
  guard.allowed_roles = array(read->rows.front(), 1);
}

// Roles that are named and not there. None: they all are.
asio::awaitable<outcome<std::optional<std::string>>> find_unknown_role(querier& source,
                                                                       std::vector<std::string> roles) {
  std::vector<command> commands(1, plain(unknown_roles_query));
  commands.front().parameters.emplace_back(text_array(roles));
  const auto outcomes = co_await source.run(std::move(commands));
  const auto& found = outcomes.front();
  if (!found) co_return found.error();
  std::optional<std::string> name;
  if (!found->rows.empty()) name = found->rows.front().front();
  co_return name;
}

// In one transaction. The first error, if any: what follows it fails as well.
asio::awaitable<outcome<void>> change(querier& source, std::vector<command> changes) {
  std::vector<command> commands;
  commands.push_back(plain(log_nothing));  // not everybody may; then the log keeps what it is told to keep
  commands.push_back(plain("SET default_transaction_read_only = off"));
  commands.push_back(plain("BEGIN"));
  commands.push_back(plain("SELECT pg_catalog.pg_advisory_xact_lock(1953064037, 1)"));
  std::move(changes.begin(), changes.end(), std::back_inserter(commands));
  commands.push_back(plain("COMMIT"));
  const auto outcomes = co_await source.run(std::move(commands));
  for (std::size_t i = 1; i < outcomes.size(); ++i)
    if (!outcomes[i]) co_return outcomes[i].error();
  co_return outcome<void>();
}

std::vector<command> creation(const guard_examination& before, const guard_options& options) {
  std::vector<command> commands;
  for (const std::string_view sql : remove_objects) commands.push_back(plain(sql));
  commands.push_back(plain("CREATE SCHEMA tidegate_guard"));
  commands.push_back(
      plain("COMMENT ON SCHEMA tidegate_guard IS 'refuses DDL that no gateway vouched for: tidegate guard'"));
  commands.push_back(plain(guard_sql::table));
  for (const auto& each : guard_sql::functions) commands.push_back({guard_sql::create(each), {}});
  commands.push_back(plain(guard_sql::take_rights_away));
  for (const std::string& role : options.control_roles.value_or(before.control_roles)) {
    const std::string quoted = sql::quote_identifier(role);
    commands.push_back({"GRANT USAGE ON SCHEMA tidegate_guard TO " + quoted, {}});
    commands.push_back(
        {"GRANT EXECUTE ON FUNCTION tidegate_guard.token(integer, text, bytea) TO " + quoted, {}});
  }
  command insert = plain(
      "INSERT INTO tidegate_guard.settings (secret, mode, allowed_roles) VALUES ($1::pg_catalog.bytea, $2, "
      "$3::pg_catalog.name[])");
  insert.parameters = {new_secret(), options.mode.value_or(before.mode.value_or("enforce")),
                       text_array(options.allowed_roles.value_or(before.allowed_roles))};
  commands.push_back(std::move(insert));
  for (const auto& each : guard_sql::event_triggers) commands.push_back({guard_sql::create(each), {}});
  return commands;
}

sql_error somebody_elses(const guard_examination& guard) {
  return {"55000", "schema tidegate_guard belongs to role " + sql::quote_identifier(guard.schema_owner) +
                       ", which is no superuser: it is not the guard's"};
}

}  // namespace

asio::awaitable<outcome<guard_examination>> examine_guard(querier& source) {
  std::vector<command> commands;
  for (const std::string_view sql :
       {server_query, event_triggers_query, functions_query, table_query, control_roles_query})
    commands.push_back(plain(sql));
  const auto outcomes = co_await source.run(std::move(commands));
  for (const auto& each : outcomes)
    if (!each) co_return each.error();
  guard_examination guard;
  if (outcomes[0]->rows.empty()) co_return sql_error("42704", "the role that looks is not in pg_roles");
  const text_row& server = outcomes[0]->rows.front();
  guard.database = text(server, 0);
  guard.server_version = text(server, 1);
  guard.role = text(server, 2);
  guard.in_recovery = truth(server, 3);
  guard.schema_owner = text(server, 4);
  guard.schema_owner_is_trusted = truth(server, 5);
  const text_rows& triggers = outcomes[1]->rows;
  if (triggers.empty()) co_return guard;
  look_at_event_triggers(triggers, guard);
  if (truth(server, 6)) guard.problems.emplace_back("others may make objects in schema tidegate_guard");
  look_at_functions(outcomes[2]->rows, guard);
  for (const text_row& row : outcomes[4]->rows) guard.control_roles.push_back(text(row, 0));
  co_await look_at_settings(source, outcomes[3]->rows, guard);
  co_return guard;
}

asio::awaitable<outcome<guard_examination>> install_guard(querier& source, guard_options options) {
  const auto before = co_await examine_guard(source);
  if (!before) co_return before.error();
  if (before->in_recovery) co_return sql_error("25006", "the server is a standby: install on the primary");
  if (!before->schema_owner.empty() && !before->schema_owner_is_trusted) co_return somebody_elses(*before);
  std::vector<std::string> roles = options.allowed_roles.value_or(std::vector<std::string>());
  if (options.control_roles)
    roles.insert(roles.end(), options.control_roles->begin(), options.control_roles->end());
  const auto unknown = co_await find_unknown_role(source, std::move(roles));
  if (!unknown) co_return unknown.error();
  if (*unknown) co_return sql_error("42704", "role " + sql::quote_identifier(**unknown) + " does not exist");
  auto commands = creation(*before, options);
  const auto made = co_await change(source, std::move(commands));
  if (!made) co_return made.error();
  co_return co_await examine_guard(source);
}

asio::awaitable<outcome<guard_examination>> remove_guard(querier& source) {
  auto before = co_await examine_guard(source);
  if (!before) co_return before.error();
  if (!before->installed && before->schema_owner.empty()) co_return before;
  if (!before->installed && !before->schema_owner_is_trusted) co_return somebody_elses(*before);
  std::vector<command> commands;
  for (const std::string_view sql : remove_objects) commands.push_back(plain(sql));
  const auto gone = co_await change(source, std::move(commands));
  if (!gone) co_return gone.error();
  co_return before;
}

}  // namespace tidegate::control
