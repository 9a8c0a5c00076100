// SHOW STATS and its parts, SHOW MEM.

#include "proxy/admin/topics.hpp"

#include <cmath>

namespace tidegate::admin {
namespace {

std::uint64_t microseconds(double seconds) {
  return seconds <= 0 ? 0 : static_cast<std::uint64_t>(std::llround(seconds * 1e6));
}

// In the order of the columns.
std::vector<std::uint64_t> totals_of(const metrics::database_totals& t) {
  // Bytes come from one side and go to the other.
  return {t.server_connections,
          t.transactions,
          t.queries,
          t.client_bytes,
          t.server_bytes,
          microseconds(t.transaction_seconds),
          microseconds(t.query_seconds),
          0,
          t.logins};
}

// Counts and bytes per second; times per transaction and query.
std::vector<std::uint64_t> averages_of(const database_stats& s) {
  const auto per_second = [&](std::uint64_t count) {
    return s.period_seconds <= 0 ? 0
                                 : static_cast<std::uint64_t>(static_cast<double>(count) / s.period_seconds);
  };
  const auto each = [](double seconds, std::uint64_t count) {
    return count == 0 ? 0 : microseconds(seconds / static_cast<double>(count));
  };
  const metrics::database_totals& p = s.period;
  return {per_second(p.server_connections),
          per_second(p.transactions),
          per_second(p.queries),
          per_second(p.client_bytes),
          per_second(p.server_bytes),
          each(p.transaction_seconds, p.transactions),
          each(p.query_seconds, p.queries),
          0,
          per_second(p.logins)};
}

void append(row& to, const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t each : numbers) to.emplace_back(number(each));
}

constexpr std::string_view names[] = {"server_assignment_count",
                                      "xact_count",
                                      "query_count",
                                      "received",
                                      "sent",
                                      "xact_time",
                                      "query_time",
                                      "wait_time",
                                      "client_login_count"};

}  // namespace

rows make_stats(const overview& all) {
  rows out;
  for (const database_stats& s : all.stats) {
    row made = make_row(s.total.database);
    append(made, totals_of(s.total));
    append(made, averages_of(s));
    made.emplace_back(number(s.total.queries));
    out.push_back(std::move(made));
  }
  return out;
}

rows make_stats_totals(const overview& all) {
  rows out;
  for (const database_stats& s : all.stats)
    append(out.emplace_back(make_row(s.total.database)), totals_of(s.total));
  return out;
}

rows make_stats_averages(const overview& all) {
  rows out;
  for (const database_stats& s : all.stats)
    append(out.emplace_back(make_row(s.total.database)), averages_of(s));
  return out;
}

rows make_totals(const overview& all) {
  database_stats sum;
  for (const database_stats& s : all.stats) {
    // a - (0 - b) is a + b, member by member.
    sum.total = sum.total - (metrics::database_totals{} - s.total);
    sum.period = sum.period - (metrics::database_totals{} - s.period);
    sum.period_seconds = s.period_seconds;
  }
  rows out;
  const auto totals = totals_of(sum.total), averages = averages_of(sum);
  for (std::size_t i = 0; i < totals.size(); ++i)
    out.push_back(make_row("total_" + std::string(names[i]), number(totals[i])));
  for (std::size_t i = 0; i < averages.size(); ++i)
    out.push_back(make_row("avg_" + std::string(names[i]), number(averages[i])));
  return out;
}

rows make_memory(const overview& all) {
  const std::uint64_t sessions = all.sessions.clients.size();
  const auto line = [](std::string name, std::uint64_t size, std::uint64_t used, std::uint64_t total) {
    return make_row(std::move(name), number(size), number(used), "0", number(total));
  };
  return {line("session", all.sessions.session_bytes, sessions, all.sessions.session_bytes * sessions),
          line("buffers", 1, all.sessions.buffered_bytes, all.sessions.buffered_bytes),
          line("findings", sizeof(recent_finding), all.findings.size(),
               sizeof(recent_finding) * all.findings.size()),
          line("process", 1, all.usage.resident_bytes, all.usage.resident_bytes)};
}

}  // namespace tidegate::admin
