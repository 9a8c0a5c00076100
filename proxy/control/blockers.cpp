#include "proxy/control/blockers.hpp"

#include "policies/sql/normalise.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace tidegate::control {

namespace asio = boost::asio;

namespace {

// $1 relations and $2 lock modes run in parallel: a pair for each mode that conflicts with what is wanted of
// that relation. $3 are pids to leave out, and with them those who wait for what these hold: $4 and $5 are
// all pairs of modes that conflict. One row per holder and relation; a prepared transaction has no pid.
constexpr std::string_view lock_holders = R"sql(
WITH conflicting(relation, mode) AS (
   SELECT * FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[]))),
 behind_us(relation, mode) AS (
   SELECT o.relation, p.theirs
     FROM pg_catalog.pg_locks AS o
     JOIN ROWS FROM (pg_catalog.unnest($4::pg_catalog.text[]), pg_catalog.unnest($5::pg_catalog.text[]))
            AS p(ours, theirs) ON p.ours = o.mode
    WHERE o.locktype = 'relation' AND o.granted AND o.pid = ANY ($3::pg_catalog.int4[])),
 held AS (
   SELECT l.pid, l.relation, l.mode, l.granted, l.virtualtransaction
     FROM pg_catalog.pg_locks AS l
     JOIN conflicting AS c ON c.relation = l.relation AND c.mode = l.mode
    WHERE l.locktype = 'relation'
      AND l.database IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d
                              WHERE d.datname = pg_catalog.current_database()))
      AND (l.pid IS NULL
           OR (l.pid <> pg_catalog.pg_backend_pid() AND l.pid <> ALL ($3::pg_catalog.int4[])))
      AND (l.granted OR NOT EXISTS (SELECT FROM behind_us AS b WHERE b.relation = l.relation AND b.mode = l.mode)))
SELECT COALESCE(h.pid, 0), COALESCE(a.usename, p.owner), a.application_name, a.client_addr, a.state,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - COALESCE(a.xact_start, p.prepared)) * 1000)::pg_catalog.int8,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.state_change) * 1000)::pg_catalog.int8,
       a.query, a.backend_type, p.gid, n.nspname, c.relname, h.mode, h.granted,
       COALESCE(pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                OR pg_catalog.pg_has_role(a.usesysid, 'USAGE'), false),
       EXISTS (SELECT FROM pg_catalog.pg_locks AS v
                WHERE v.pid = h.pid AND v.locktype = 'advisory' AND v.granted),
       pg_catalog.current_setting('deadlock_timeout'),
       (EXTRACT(epoch FROM COALESCE(a.xact_start, p.prepared)) * 1000000)::pg_catalog.int8
  FROM held AS h
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = h.pid
  LEFT JOIN pg_catalog.pg_locks AS x
         ON h.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
        AND x.virtualtransaction = h.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = x.transactionid
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = h.relation
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL
SELECT -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       pg_catalog.current_setting('deadlock_timeout'), NULL)sql";

// A concurrent build waits first for those who could still write to the table, then for every snapshot of
// this database older than its own; the second is what surprises people. $1 is the backend that builds.
// Prepared transactions are waited for as well.
constexpr std::string_view snapshot_holders = R"sql(
SELECT a.pid, a.usename, a.application_name, a.client_addr, a.state,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.state_change) * 1000)::pg_catalog.int8,
       a.query, a.backend_type, NULL, NULL, NULL, NULL, true,
       COALESCE(pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                OR pg_catalog.pg_has_role(a.usesysid, 'USAGE'), false),
       EXISTS (SELECT FROM pg_catalog.pg_locks AS v
                WHERE v.pid = a.pid AND v.locktype = 'advisory' AND v.granted),
       pg_catalog.current_setting('deadlock_timeout'),
       (EXTRACT(epoch FROM a.xact_start) * 1000000)::pg_catalog.int8
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.datname = pg_catalog.current_database() AND a.pid <> $1::pg_catalog.int4
   AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_xmin IS NOT NULL
UNION ALL
SELECT -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       pg_catalog.current_setting('deadlock_timeout'), NULL)sql";

constexpr policies::lock_level every_level[] = {
    policies::lock_level::access_share,  policies::lock_level::row_share,
    policies::lock_level::row_exclusive, policies::lock_level::share_update_exclusive,
    policies::lock_level::share,         policies::lock_level::share_row_exclusive,
    policies::lock_level::exclusive,     policies::lock_level::access_exclusive,
};

// What the settings of somebody else's session are is not known: where they matter, only the command is
// shown.
constexpr sql::lexical_settings unknown_session{.standard_conforming_strings = false,
                                                .ascii_safe_encoding = true};
constexpr std::size_t query_limit = 120;

blocker_kind kind_of(const text_row& row) {
  const std::string backend = text(row, 8);
  if (!text(row, 9).empty()) return blocker_kind::prepared_transaction;
  if (backend == "autovacuum worker")
    return text(row, 7).find("to prevent wraparound") != std::string::npos ? blocker_kind::wraparound_vacuum
                                                                           : blocker_kind::autovacuum;
  if (!backend.empty() && backend != "client backend") return blocker_kind::background;
  return blocker_kind::session;
}

blocker decode_blocker(const text_row& row) {
  blocker who;
  who.kind = kind_of(row);
  who.pid = number<std::int32_t>(row, 0).value_or(0);
  who.user = text(row, 1);
  who.application = text(row, 2);
  who.client_address = text(row, 3);
  who.state = text(row, 4);
  who.transaction_age = std::chrono::milliseconds(number<std::int64_t>(row, 5).value_or(0));
  who.state_age = std::chrono::milliseconds(number<std::int64_t>(row, 6).value_or(0));
  who.gid = text(row, 9);
  if (!text(row, 11).empty())
    who.relation = sql::quote_name({.database = {}, .schema = text(row, 10), .name = text(row, 11)});
  who.mode = text(row, 12);
  who.granted = truth(row, 13);
  who.visible = who.kind == blocker_kind::prepared_transaction || truth(row, 14);
  if (who.visible)
    who.query = sql::normalise(text(row, 7), unknown_session, query_limit);
  else
    who.state.clear();
  who.has_advisory_lock = truth(row, 15);
  return who;
}

blockers decode(const text_rows& rows) {
  struct entry {
    bool waits;
    std::int64_t began;  // of its transaction, in microseconds; not visible: as if it were the youngest
    blocker who;
  };
  blockers found;
  std::vector<entry> entries;
  std::set<std::pair<std::int32_t, std::string>> seen;  // one line per session or prepared transaction
  for (const text_row& row : rows) {
    if (number<std::int32_t>(row, 0) == -1) {
      found.deadlock_timeout = std::chrono::milliseconds(setting_in_ms(text(row, 16)));
      continue;
    }
    blocker who = decode_blocker(row);
    const auto began = number<std::int64_t>(row, 17).value_or(std::numeric_limits<std::int64_t>::max());
    entries.push_back({!who.granted, began, std::move(who)});
  }
  std::ranges::stable_sort(entries, {}, [](const entry& each) { return std::pair(each.waits, each.began); });
  for (entry& each : entries)
    if (seen.emplace(each.who.pid, each.who.gid).second) found.holders.push_back(std::move(each.who));
  return found;
}

asio::awaitable<outcome<blockers>> ask(querier& source, command question) {
  std::vector<command> commands;
  commands.push_back(std::move(question));
  const auto outcomes = co_await source.run(std::move(commands));
  if (!outcomes.front()) co_return outcomes.front().error();
  co_return decode(outcomes.front()->rows);
}

}  // namespace

asio::awaitable<outcome<blockers>> find_blockers(querier& source, std::vector<wanted_lock> wanted,
                                                 std::vector<std::int32_t> own_pids) {
  // Who waits for a lock that we hold already is not in our way: ours are granted first.
  std::vector<std::string> ours, theirs;
  for (const policies::lock_level own : every_level)
    for (const policies::lock_level other : every_level)
      if (policies::conflicts(own, other)) {
        ours.emplace_back(policies::pg_locks_name(own));
        theirs.emplace_back(policies::pg_locks_name(other));
      }
  std::vector<std::uint32_t> relations;
  std::vector<std::string> modes;
  for (const wanted_lock& lock : wanted)
    for (const policies::lock_level level : every_level)
      if (policies::conflicts(lock.level, level)) {
        relations.push_back(lock.relation);
        modes.emplace_back(policies::pg_locks_name(level));
      }
  return ask(source, {std::string(lock_holders),
                      {array_literal(relations), array_literal(modes), array_literal(own_pids),
                       array_literal(ours), array_literal(theirs)},
                      true});
}

asio::awaitable<outcome<blockers>> find_snapshot_holders(querier& source, std::int32_t pid) {
  return ask(source, {std::string(snapshot_holders), {std::to_string(pid)}, true});
}

std::string describe(const blocker& who) {
  std::string line;
  if (who.kind == blocker_kind::prepared_transaction) {
    line = "prepared transaction '" + who.gid + "' of " + who.user;
  } else {
    line = "pid " + std::to_string(who.pid);
    if (who.kind == blocker_kind::autovacuum) line += " autovacuum";
    if (who.kind == blocker_kind::wraparound_vacuum)
      line += " autovacuum to prevent wraparound (does not yield)";
    if (who.kind == blocker_kind::background) line += " background worker";
    if (!who.application.empty()) line += " app=" + who.application;
    if (!who.user.empty()) line += " user=" + who.user;
    if (!who.state.empty()) line += " state=\"" + who.state + "\"";
    if (!who.granted) line += " (waiting itself)";
  }
  if (who.transaction_age.count() > 0) line += " " + human_duration(who.transaction_age);
  if (!who.visible) line += " (state and query need the role pg_monitor)";
  if (!who.query.empty()) line += ": " + who.query;
  return line;
}

std::string human_duration(std::chrono::milliseconds duration) {
  const std::int64_t ms = duration.count();
  const std::int64_t seconds = ms / 1000;
  if (ms < 1000) return std::to_string(ms) + "ms";
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 86'400) {
    const std::string minutes = std::to_string(seconds % 3600 / 60);
    return std::to_string(seconds / 3600) + "h" + (minutes.size() < 2 ? "0" : "") + minutes + "m";
  }
  return std::to_string(seconds / 86'400) + "d";
}

}  // namespace tidegate::control
