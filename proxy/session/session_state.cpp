#include "proxy/session/session_state.hpp"

#include "policies/sql/quote.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/own_messages.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace tidegate::session {
namespace {

using sql::session_effect;

// Shows whether SQL has dropped every statement: DEALLOCATE ALL and DISCARD ALL name none.
constexpr std::string_view probe_name = "tidegate_probe";

// Settings of the current transaction, which PostgreSQL shows like those of the session.
constexpr std::string_view settings_query =
    "SELECT name, setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session' AND name "
    "OPERATOR(pg_catalog.<>) ALL (ARRAY['transaction_isolation', 'transaction_read_only', "
    "'transaction_deferrable']) UNION ALL SELECT 'role', pg_catalog.current_setting('role') UNION ALL SELECT "
    "'session_authorization', SESSION_USER::pg_catalog.text";
constexpr std::string_view channels_query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_listening_channels())";
constexpr std::string_view cursors_query =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)";
constexpr std::string_view locks_query =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid "
    "OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())";
constexpr std::string_view temporary_query =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) "
    "'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) "
    "pg_catalog.pg_my_temp_schema())";
constexpr std::string_view names_query = "SELECT name, from_sql FROM pg_catalog.pg_prepared_statements";

// No view shows customised settings: their names are those that texts have mentioned. An empty one is what
// RESET leaves, unless the database or the role gives it a value: then somebody has set it so.
std::string custom_settings_query(const std::vector<std::string>& names) {
  std::string values;
  for (const std::string& name : names)
    values += (values.empty() ? "(" : ", (") + sql::quote_literal(name) + ")";
  return "SELECT n, pg_catalog.current_setting(n, true) FROM (VALUES " + values +
         ") AS named(n) WHERE pg_catalog.current_setting(n, true) OPERATOR(pg_catalog.<>) '' OR "
         "pg_catalog.current_setting(n, true) IS NOT NULL AND EXISTS (SELECT FROM "
         "pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) AS given WHERE pg_catalog.lower("
         "pg_catalog.split_part(given, '=', 1)) OPERATOR(pg_catalog.=) n AND given OPERATOR(pg_catalog.<>) "
         "(n "
         "OPERATOR(pg_catalog.||) '='))";
}

const std::string* value_of(const pool::value_set& set, std::string_view name) {
  if (!set) return nullptr;
  const auto found = std::find_if(set->begin(), set->end(), [name](const auto& p) { return p.name == name; });
  return found == set->end() ? nullptr : &found->value;
}

std::string set_all(const std::vector<pool::parameter>& settings) {
  std::string values;
  for (const auto& each : settings) {
    values += values.empty() ? "(" : ", (";
    values += sql::quote_literal(each.name) + ", " + sql::quote_literal(each.value) + ")";
  }
  return "SELECT pg_catalog.set_config(n, v, false) FROM (VALUES " + values + ") AS s(n, v)";
}

// What gives the texts of prepared statements their meaning.
std::string meaning_of(const pool::value_set& settings) {
  std::string out;
  if (!settings) return out;
  for (const auto& each : *settings) {
    if (each.name == "application_name") continue;
    out += each.name;
    out += '\0';
    out += each.value;
    out += '\0';
  }
  return out;
}

void note_settings(client_session& session, const control::text_rows& rows,
                   const control::text_rows* custom) {
  lending& lent = *session.lent();
  auto found = std::make_shared<std::vector<pool::parameter>>();
  bool authorized = false;
  for (const control::text_row& row : rows) {
    std::string name = control::text(row, 0);
    std::string value = control::text(row, 1);
    if (name == "session_authorization") {
      authorized = value != lent.login_user;
    } else if (name != "role" || value != "none") {
      found->push_back({std::move(name), std::move(value)});
    }
  }
  if (custom != nullptr) {
    for (const control::text_row& row : *custom)
      found->push_back({control::text(row, 0), control::text(row, 1)});
  }
  std::sort(found->begin(), found->end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  lent.pinned.set(pin::authorization, authorized);
  pool::value_set now = found->empty() ? nullptr : pool::value_set(std::move(found));
  if (pool::same_values(now, lent.settings)) now = lent.settings;
  session.server().settings = now;
  // RESET returns to what the client said when it came, which this server was not told at its login.
  if (!lent.application_name.empty() && value_of(now, "application_name") == nullptr)
    now = pool::with_value(now, "application_name", lent.application_name);
  lent.settings = std::move(now);
  session.state().sharing()->meaning = meaning_of(lent.settings);
}

// Whoever creates anything while pg_temp comes first creates something temporary, without saying so.
bool creates_temporary(const std::string* search_path) {
  if (search_path == nullptr) return false;
  std::string_view first = *search_path;
  while (first.starts_with(' ') || first.starts_with('"')) first.remove_prefix(1);
  return first.starts_with("pg_temp");
}

// A server that is not as the client's session has to find it is not used.
void end_unprepared(client_session& session, const own_answer& answer, std::string what) {
  session.server().close_needed = true;
  session.end(end_reason::server_gone, answer.sqlstate, what += field_of(answer.error, 'M'));
}

bool shows_statements(std::string_view text) {
  return sql::mentions_prefix(text, "pg_prepared_statement");
}

}  // namespace

boost::asio::awaitable<bool> restore_settings(client_session& session, server_dialogue& server) {
  lending& lent = *session.lent();
  const pool::value_set& there = session.server().settings;
  std::vector<own_statement> statements;
  const bool too_much = there && std::any_of(there->begin(), there->end(), [&lent](const auto& each) {
                          return value_of(lent.settings, each.name) == nullptr;
                        });
  if (too_much) {
    statements.push_back({"RESET ROLE"});
    statements.push_back({"RESET ALL"});
  }
  // The role last: the others were perhaps set with the login's rights.
  std::vector<pool::parameter> others, role;
  if (lent.settings) {
    for (const auto& each : *lent.settings) {
      const std::string* value = too_much ? nullptr : value_of(there, each.name);
      if (value == nullptr || *value != each.value) (each.name == "role" ? role : others).push_back(each);
    }
  }
  const std::string* other_role = value_of(there, "role");
  if (!too_much && other_role != nullptr && !others.empty()) {
    statements.push_back({"RESET ROLE"});
    if (role.empty()) role.push_back({"role", *value_of(lent.settings, "role")});
  }
  // The encoding first: the other values are in it.
  const auto encoding = std::find_if(others.begin(), others.end(),
                                     [](const auto& each) { return each.name == "client_encoding"; });
  if (encoding != others.end()) {
    std::vector<pool::parameter> first;
    first.push_back(*encoding);
    others.erase(encoding);
    statements.push_back({set_all(first)});
  }
  if (!others.empty()) statements.push_back({set_all(others)});
  if (!role.empty()) statements.push_back({set_all(role)});
  if (!statements.empty()) {
    lent.restoring = true;
    auto answer = co_await server.run(std::move(statements), dialogue_end::sync);
    if (answer && !answer->ok() && !role.empty() && !others.empty()) {
      // … or with the role's.
      std::vector<own_statement> again;
      again.push_back({"RESET ROLE"});
      again.push_back({"RESET ALL"});
      again.push_back({set_all(role)});
      std::vector<pool::parameter> all;
      for (const auto& each : *lent.settings) {
        if (each.name != "role") all.push_back(each);
      }
      again.push_back({set_all(all)});
      answer = co_await server.run(std::move(again), dialogue_end::sync);
    }
    lent.restoring = false;
    if (!answer) co_return false;
    if (!answer->ok()) {
      end_unprepared(session, *answer,
                     "the session's settings could not be restored on another server connection: ");
      co_return false;
    }
  }
  session.server().settings = lent.settings;
  session.server().bounded = false;
  co_return true;
}

boost::asio::awaitable<bool> forget_sequence_values(client_session& session, server_dialogue& server) {
  const auto answer = co_await server.run_sql(dialogue_end::sync, "DISCARD SEQUENCES");
  if (!answer) co_return false;
  if (!answer->ok()) {
    end_unprepared(session, *answer, "another server connection could not be cleared of sequence values: ");
    co_return false;
  }
  session.server().last_drew = 0;
  co_return true;
}

boost::asio::awaitable<void> look_at_state(client_session& session, server_dialogue& server,
                                           sql::session_effects effects) {
  lending& lent = *session.lent();
  core::sharing& sharing = *session.state().sharing();
  if (effects.has(session_effect::unmovable) || sharing.unfollowed) lent.pinned.set(pin::unmovable, true);
  if (effects.has(session_effect::statement_names) || !lent.names_there.empty() ||
      lent.pinned.has(pin::statement)) {
    const bool looked = co_await take_names_off_server(session, server, dialogue_end::sync);
    if (!looked) co_return;
  }
  const auto wanted = [&](session_effect one, pin held) { return effects.has(one) || lent.pinned.has(held); };
  struct question {
    pin about;
    std::string_view query;
  };
  std::vector<question> questions;
  if (wanted(session_effect::channels, pin::channel)) questions.push_back({pin::channel, channels_query});
  if (wanted(session_effect::cursors, pin::cursor)) questions.push_back({pin::cursor, cursors_query});
  if (wanted(session_effect::advisory_locks, pin::advisory_lock))
    questions.push_back({pin::advisory_lock, locks_query});
  if (wanted(session_effect::temporary_objects, pin::temporary_object))
    questions.push_back({pin::temporary_object, temporary_query});
  const bool custom = !sharing.custom_settings.empty();
  std::vector<own_statement> statements;
  statements.push_back({std::string(settings_query)});
  if (custom) statements.push_back({custom_settings_query(sharing.custom_settings)});
  const std::size_t first = statements.size();
  for (const question& each : questions) statements.push_back({std::string(each.query)});
  const auto answer = co_await server.run(std::move(statements), dialogue_end::sync);
  if (!answer) co_return;
  if (!answer->ok() || answer->rows.size() != first + questions.size()) {
    // A timeout that the client has set, or a cancel that came late: asked again later.
    sharing.effects |= effects | session_effect::settings;
    lent.pinned.set(pin::unknown, true);
    co_return;
  }
  lent.pinned.set(pin::unknown, false);
  note_settings(session, answer->rows[0], custom ? &answer->rows[1] : nullptr);
  for (std::size_t i = 0; i < questions.size(); ++i)
    lent.pinned.set(questions[i].about, is_true(*answer, first + i));
  if (creates_temporary(value_of(lent.settings, "search_path"))) lent.pinned.set(pin::temporary_object, true);
  // Settings such as temp_buffers can't be changed any more on a server that has had temporary tables.
  if (lent.pinned.has(pin::temporary_object)) session.server().close_needed = true;
}

boost::asio::awaitable<std::optional<own_answer>> put_names_on_server(client_session& session,
                                                                      server_dialogue& server,
                                                                      std::string_view text, put_as what,
                                                                      core::reading now, dialogue_end end) {
  lending& lent = *session.lent();
  core::sharing& sharing = *session.state().sharing();
  if (session.state().pipeline().failed()) {
    // What names them will fail whether they are there or not.
    sharing.names_put = sharing.names_stand = true;
    co_return own_answer{};
  }
  protocol::byte_buffer out;
  protocol::writer w(out);
  std::size_t answers = 0;
  std::vector<std::string> round;
  const auto put = [&](std::string_view name, core::byte_view body, put_as how) {
    const standing wanted = how == put_as::placeholders ? standing::placeholder : standing::statement;
    const auto [at, is_new] = lent.names_there.try_emplace(std::string(name), wanted);
    if (!is_new && (at->second == standing::statement || at->second == wanted)) return;
    at->second = wanted;
    protocol::encode(w, protocol::close{protocol::named_object::statement, std::string(name)});
    parse_statement(w, name, body);
    answers += 2;
    round.emplace_back(name);
  };
  protocol::byte_buffer nothing;
  protocol::writer placeholder(nothing);
  placeholder.cstring("SELECT");
  placeholder.uint16(0);
  // What would be read otherwise now is not there: the server says that there is none.
  const auto put_own = [&](std::string_view name, const core::shared_statement& statement) {
    if (statement.reading && *statement.reading != now) {
      const auto stands = lent.names_there.find(name);
      if (what == put_as::placeholders || stands == lent.names_there.end() ||
          stands->second == standing::statement)
        return;
      lent.names_there.erase(stands);
      protocol::encode(w, protocol::close{protocol::named_object::statement, std::string(name)});
      ++answers;
      return;
    }
    put(name, what == put_as::placeholders ? nothing : statement.body, what);
  };
  // Without a text any of them may be meant.
  auto mentioned = text.empty() ? std::nullopt : sql::identifiers_of(text, now.lexical);
  const auto each_meant = [&](const auto& visit) {
    if (!mentioned) {
      for (const auto& [name, statement] : sharing.statements.named()) visit(name, *statement);
      return;
    }
    for (const std::string& name : *mentioned) {
      if (const auto found = sharing.statements.find(name); found.statement != nullptr)
        visit(name, **found.statement);
    }
  };
  bool names_more = false;  // they may name any in turn
  each_meant([&](std::string_view, const core::shared_statement& statement) {
    names_more = names_more || statement.effects.has(session_effect::statement_names);
  });
  if (names_more) mentioned.reset();
  bool shows_all = what == put_as::statements && shows_statements(text);
  each_meant([&](std::string_view, const core::shared_statement& statement) {
    shows_all =
        shows_all || (what == put_as::statements && shows_statements(protocol::as_text(statement.body)));
  });
  if (shows_all) mentioned.reset();
  if (shows_all) {
    // What the view shows is the client's own, and nothing else.
    const auto there = co_await server.run_sql(end, names_query);
    if (!there || !there->ok()) co_return there;
    for (const control::text_row& row : there->rows.front()) {
      const std::string name = control::text(row, 0);
      if (!name.starts_with(core::shared_name_prefix)) continue;
      lent.names_there.erase(name);  // the probe
      protocol::encode(w, protocol::close{protocol::named_object::statement, name});
      ++answers;
    }
    sharing.on_server->forget_all();
  } else if (sharing.statements.has_named()) {
    put(probe_name, nothing, put_as::statements);
  }
  each_meant(put_own);
  auto answer = answers == 0 ? std::optional<own_answer>(own_answer{}) : std::nullopt;
  if (!answer) answer = co_await server.send_own(std::move(out), answers, end);
  if (!answer) co_return answer;
  if (!answer->ok()) {
    for (const std::string& name : round) lent.names_there[name] = standing::unsure;
    lent.tell_names(sharing);
    co_return answer;
  }
  // Also when there was nothing to put.
  sharing.names_stand = true;
  if (what == put_as::statements) sharing.names_put = true;
  co_return answer;
}

boost::asio::awaitable<bool> take_names_off_server(client_session& session, server_dialogue& server,
                                                   dialogue_end end) {
  lending& lent = *session.lent();
  core::sharing& sharing = *session.state().sharing();
  if (session.state().pipeline().status() == core::transaction_status::failed ||
      session.state().pipeline().skipping())
    co_return true;  // asked when the transaction is over
  const auto answer = co_await server.run_sql(end, names_query);
  if (!answer) co_return false;
  if (!answer->ok() || answer->rows.empty()) co_return true;
  std::set<std::string, std::less<>> there, by_sql;
  for (const control::text_row& row : answer->rows.front()) {
    const std::string name = control::text(row, 0);
    there.insert(name);
    if (control::truth(row, 1)) by_sql.insert(name);
  }
  const auto put = std::exchange(lent.names_there, {});
  sharing.names_put = sharing.names_stand = false;
  const auto closed_meanwhile = std::exchange(sharing.closed_meanwhile, {});
  protocol::byte_buffer out;
  protocol::writer w(out);
  std::size_t answers = 0;
  bool all_gone = false;
  for (const auto& [name, stood_for] : put) {
    if (by_sql.contains(name)) {  // the client's was deallocated, and SQL has prepared another one
      sharing.statements.forget(name);
      session.state().prepared().forgotten(name);
    } else if (there.contains(name)) {
      protocol::encode(w, protocol::close{protocol::named_object::statement, name});
      ++answers;
    } else if (stood_for == standing::unsure) {  // the server may never have had it
    } else if (name == probe_name) {
      all_gone = true;
    } else if (!closed_meanwhile.contains(name)) {
      sharing.statements.forget(name);
      session.state().prepared().forgotten(name);
    }
  }
  if (all_gone) sharing.statements.forget_named_but(there);
  sharing.on_server->keep_only(there);
  lent.pinned.set(pin::statement, !by_sql.empty());
  sharing.sql_names = std::move(by_sql);
  if (answers == 0) co_return true;
  const auto closed = co_await server.send_own(std::move(out), answers, end);
  co_return closed.has_value();
}

}  // namespace tidegate::session
