#include "proxy/cli/lock_watch.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;

namespace {

constexpr std::string_view locks_of_session = R"sql(
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), l.mode, l.granted
  FROM pg_catalog.pg_locks AS l
  JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE l.pid = $1::pg_catalog.int4 AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
   AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') AND n.nspname <> 'tidegate')sql";

std::chrono::milliseconds whole(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time);
}

}  // namespace

asio::awaitable<void> lock_watch::run() {
  asio::steady_timer timer(executor_);
  while (!stopping_) {
    std::vector<control::command> commands;
    std::vector<control::text_cell> parameters(1, std::to_string(pid_));
    commands.push_back(
        {.sql = std::string(locks_of_session), .parameters = std::move(parameters), .reused = true});
    const auto answers = co_await connection_.run(std::move(commands));
    if (!answers.front()) co_return;
    note(answers.front()->rows, clock::now());
    ++looks_;
    timer.expires_after(period);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

void lock_watch::note(const control::text_rows& rows, clock::time_point now) {
  for (auto& [lock, what] : locks_) what.held_now = what.waiting = false;
  for (const control::text_row& row : rows) {
    seen& what = locks_[{control::text(row, 0), control::text(row, 1)}];
    if (!control::truth(row, 2)) {
      if (what.waits_since == clock::time_point()) what.waits_since = now;
      what.waiting = true;
    } else {
      if (!what.granted) what.held_since = now;
      what.granted = what.held_now = true;
    }
    what.last = now;
  }
}

std::vector<held_lock> lock_watch::take() {
  std::vector<held_lock> taken;
  for (const auto& [lock, what] : locks_) {
    held_lock one{.relation = lock.first, .mode = lock.second, .held = {}, .waited = {}};
    if (what.granted) one.held = whole(what.last - what.held_since);
    if (what.waits_since != clock::time_point())
      one.waited = whole((what.granted ? what.held_since : what.last) - what.waits_since);
    taken.push_back(std::move(one));
  }
  std::erase_if(locks_, [](const auto& each) { return !each.second.held_now && !each.second.waiting; });
  return taken;
}

}  // namespace tidegate::cli
