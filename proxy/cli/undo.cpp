#include "proxy/cli/undo.hpp"

#include "proxy/cli/judging.hpp"
#include "proxy/control/ddl_ledger.hpp"
#include "proxy/control/pg_connection.hpp"
#include "proxy/control/wait_for.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <utility>
#include <vector>

#include <boost/asio/this_coro.hpp>

namespace tidegate::cli {
namespace {

namespace asio = boost::asio;
using control::ledger_row;

constexpr std::size_t listed = 50;

struct found {
  std::vector<ledger_row> newest;
  control::ledger_answer answer;
  control::sql_error error;
};

asio::awaitable<found> read(control::control_target target, std::int64_t id) {
  found all;
  control::pg_connection connection(co_await asio::this_coro::executor);
  const auto connected = co_await connection.connect(std::move(target));
  if (!connected) {
    all.error = connected.error();
    co_return all;
  }
  if (id == 0) {
    auto rows = co_await control::read_ledger(connection, listed);
    if (rows)
      all.newest = std::move(*rows);
    else
      all.error = rows.error();
    co_return all;
  }
  auto answer = co_await control::find_in_ledger(connection, id);
  if (answer)
    all.answer = std::move(*answer);
  else
    all.error = answer.error();
  co_return all;
}

// In one line of a comment or of a list, whatever a client has called itself.
std::string line(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

std::string by(const ledger_row& row) {
  std::string who = row.login;
  if (row.role != row.login) who += " as " + row.role;
  if (!row.application.empty()) who += " (" + row.application + ")";
  return line(who);
}

void print_list(std::ostream& out, const std::vector<ledger_row>& rows) {
  for (const ledger_row& row : rows)
    out << row.id << "  " << row.begun << "  " << row.outcome << "  " << (row.undo.empty() ? "-   " : "undo")
        << "  " << by(row) << "  " << line(row.statement) << '\n';
}

int print_undo(const found& all, std::ostream& out, std::ostream& err) {
  const ledger_row& row = all.answer.row.front();
  out << "-- takes back " << row.id << ": " << line(row.statement) << '\n'
      << "-- " << row.outcome << " at " << row.begun << " by " << by(row) << " from " << line(row.client)
      << '\n';
  for (const ledger_row& later : all.answer.later) {
    out << "-- later on the same: " << later.id << " at " << later.begun << ": " << line(later.statement)
        << '\n';
    err << "tidegate undo: warning: " << later.id << " has changed the same later\n";
  }
  if (row.outcome == "stopped" && !all.answer.step_undo.empty()) {
    out << "-- a plan that was stopped: run each by itself, in this order\n";
    for (const std::string& step : all.answer.step_undo) out << step << ";\n";
    return nothing_to_say;
  }
  if (row.undo.empty()) {
    out << "-- there is no inverse: "
        << line(row.why_not.empty() ? "nothing of it is left to take back" : row.why_not) << '\n';
    return objections;
  }
  if (!row.lost.empty()) out << "-- LOST with it: " << line(row.lost) << '\n';
  out << row.undo << '\n';
  return nothing_to_say;
}

int answer(const undo_options& options, std::int64_t id, std::ostream& out, std::ostream& err) {
  control::control_target target = control::parse_conninfo(options.database);
  const found all = control::wait_for(read(std::move(target), id));
  if (!all.error.message.empty()) throw std::runtime_error(all.error.message);
  if (id == 0) {
    print_list(out, all.newest);
    return nothing_to_say;
  }
  if (all.answer.row.empty()) {
    err << "tidegate undo: the ledger has no change " << id << '\n';
    return objections;
  }
  return print_undo(all, out, err);
}

}  // namespace

int run_undo(const undo_options& options, std::ostream& out, std::ostream& err) {
  std::int64_t id = 0;
  if (!options.id.empty()) {
    const char* const end = options.id.data() + options.id.size();
    const auto read = std::from_chars(options.id.data(), end, id);
    if (read.ec != std::errc() || read.ptr != end || id <= 0) {
      err << "tidegate undo: " << line(options.id) << " is no id; without one the newest are listed\n";
      return bad_usage;
    }
  }
  return answer_on_parse_stack(
      "undo", [&] { return answer(options, id, out, err); }, err);
}

}  // namespace tidegate::cli
