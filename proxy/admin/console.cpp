#include "proxy/admin/console.hpp"

#include "protocol/extended_query.hpp"
#include "protocol/simple_query.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/admin/console_commands.hpp"
#include "proxy/admin/console_login.hpp"
#include "proxy/log/log.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

namespace tidegate::admin {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using session::report;

constexpr std::chrono::seconds write_limit{30};
constexpr std::size_t piece = 64 * 1024;  // of an answer

report problem(std::string_view state, std::string message, std::string hint = {}) {
  return {
      .sqlstate = std::string(state), .message = std::move(message), .detail = {}, .hint = std::move(hint)};
}

class console {
 public:
  console(session::accepted_client client, session::shared_services& shared, gateway_access& gateway)
      : client_(std::move(client)),
        shared_(shared),
        commands_(shared, gateway,
                  {client_.user, client_.database, client_.application_name,
                   client_.channel.transport().peer().to_string()},
                  [this] { return is_cancelled_->load() || client_.channel.transport().peer_has_closed(); }),
        gateway_(gateway) {}

  asio::awaitable<void> run() {
    if (const auto refusal = console_refusal(client_, shared_)) co_return co_await refuse(*refusal);
    ++shared_.admin.sessions;
    struct leave {
      std::atomic<unsigned>& open;
      ~leave() { --open; }
    } const on_end{shared_.admin.sessions};
    greet();
    while (!over_) {
      const bool sent = co_await flush();
      if (!sent) break;
      net::deadline idle(client_.channel.transport().get_executor(), console_idle);
      const auto message = co_await client_.channel.read(longest_console_message, idle);
      if (!message) {
        if (idle.expired()) {
          append(session::fatal(sqlstate::idle_session_timeout, "terminating connection: idle"));
          co_await flush();
        }
        break;
      }
      const char type = message->type;
      const protocol::byte_buffer body(message->body.begin(), message->body.end());
      co_await handle(type, body);
    }
    co_await flush();
    client_.channel.transport().close();
    if (shut_down_) gateway_.shut_down(*shut_down_);
  }

 private:
  struct portal {
    command what;
    bool is_empty = false;
    std::vector<protocol::format_code> formats;
    bool has_run = false;
    command_result result;
    std::size_t next_row = 0;
  };
  struct prepared {
    command what;
    bool is_empty = false;
  };

  // ---- coming in ----

  asio::awaitable<void> refuse(report why) {
    log::info<"console_refused">({{"user", client_.user},
                                  {"client", client_.channel.transport().peer().to_string()},
                                  {"why", why.message}});
    net::deadline until(client_.channel.transport().get_executor(), std::chrono::seconds(5));
    co_await session::refuse(client_.channel, why.sqlstate, why.message, why.hint, until);
  }

  void greet() {
    // No server stands behind the key: a cancel request reaches PAUSE here.
    std::random_device random;
    key_ = shared_.cancels.enroll(static_cast<std::int32_t>(random() & 0x7fffffff), client_.version, {});
    key_.clear_target();
    key_.on_request([flag = is_cancelled_] { flag->store(true); });
    append(console_greeting(client_, key_));
    ready();
    log::info<"console_opened">(
        {{"user", client_.user}, {"client", client_.channel.transport().peer().to_string()}});
  }

  // ---- saying ----

  void append(const protocol::byte_buffer& message) {
    out_.insert(out_.end(), message.begin(), message.end());
  }
  void ready() { append(session::ready_for_query(status_)); }

  asio::awaitable<bool> flush() {
    if (out_.empty()) co_return true;
    const protocol::byte_buffer sending = std::exchange(out_, {});
    net::deadline until(client_.channel.transport().get_executor(), write_limit);
    const auto failed = co_await client_.channel.write(sending, until);
    if (failed) over_ = true;
    co_return !failed;
  }

  void fail(const report& what) {
    append(session::error(what));
    if (status_ == 'T') status_ = 'E';
  }

  // ---- hearing ----

  asio::awaitable<void> handle(char type, const protocol::byte_buffer& body) {
    if (is_skipping_ && type != 'S' && type != 'X') co_return;
    switch (type) {
      case 'Q':
        co_await on_query(body);
        break;
      case 'P':
        on_parse(body);
        break;
      case 'B':
        on_bind(body);
        break;
      case 'D':
        on_describe(body);
        break;
      case 'E':
        co_await on_execute(body);
        break;
      case 'C':
        on_close(body);
        break;
      case 'S':
        is_skipping_ = false;
        if (status_ == 'I') portals_.clear();
        ready();
        break;
      case 'H':
        break;
      case 'F':
        fail(problem(sqlstate::feature_not_supported, "the admin console has no functions"));
        ready();
        break;
      case 'd':
      case 'c':
      case 'f':
        break;  // after a COPY that there never was
      case 'X':
        over_ = true;
        break;
      default:
        append(session::fatal(sqlstate::protocol_violation, "invalid frontend message"));
        over_ = true;
    }
  }

  static report as_report(const syntax_problem& wrong, std::string_view text) {
    report out = problem(sqlstate::syntax_error, wrong.message, wrong.hint);
    out.position = session::character_position(text, static_cast<std::int32_t>(wrong.at), true);
    return out;
  }

  asio::awaitable<void> on_query(const protocol::byte_buffer& body) {
    const auto query = protocol::decode_query(body);
    if (!query) co_return malformed();
    const script read = parse_script(query->text);
    if (read.problem) {
      fail(as_report(*read.problem, query->text));
    } else if (read.commands.empty()) {
      protocol::writer to(out_);
      encode(to, protocol::empty_query_response{});
    }
    for (const command& c : read.commands) {
      const bool went_well = co_await answer(c);
      if (!went_well || over_) break;
    }
    ready();
  }

  // One statement of a simple query.
  asio::awaitable<bool> answer(const command& c) {
    portal run;
    run.what = c;
    const bool went_well = co_await carry_out(run);
    if (!went_well) co_return false;
    const std::vector<column> shape = commands_.shape_of(run.what);
    if (!shape.empty()) append_row_description(out_, shape, run.formats);
    co_await send_rows(run, 0);
    co_return true;
  }

  // Runs it; a failure has been told when it returns false.
  asio::awaitable<bool> carry_out(portal& run) {
    const verb what = run.what.what;
    run.has_run = true;
    if (status_ == 'E' && what != verb::rollback && what != verb::commit) {
      fail(problem(sqlstate::in_failed_sql_transaction,
                   "current transaction is aborted, commands ignored until end of transaction block"));
      co_return false;
    }
    is_cancelled_->store(false);
    run.result = co_await commands_.run(run.what);
    for (const report& each : run.result.notices) append(session::notice(each));
    if (run.result.error) {
      fail(*run.result.error);
      co_return false;
    }
    if (what == verb::commit && status_ == 'E') run.result.tag = "ROLLBACK";
    if (what == verb::begin) status_ = 'T';
    if (what == verb::commit || what == verb::rollback) status_ = 'I';
    if (run.result.shut_down) {
      shut_down_ = run.result.shut_down;
      over_ = true;
    }
    co_return true;
  }

  asio::awaitable<void> send_rows(portal& run, std::int32_t most) {
    const std::vector<column> shape = commands_.shape_of(run.what);
    std::size_t left = most > 0 ? static_cast<std::size_t>(most) : run.result.table.size();
    for (; run.next_row < run.result.table.size() && left > 0; ++run.next_row, --left) {
      append_row(out_, shape, run.result.table[run.next_row], run.formats);
      if (out_.size() < piece) continue;
      const bool sent = co_await flush();
      if (!sent) co_return;
    }
    protocol::writer to(out_);
    if (run.next_row < run.result.table.size())
      encode(to, protocol::portal_suspended{});
    else
      encode(to, protocol::command_complete{run.result.tag});
  }

  // ---- the extended protocol ----

  void malformed() {
    append(session::fatal(sqlstate::protocol_violation, "invalid message format"));
    over_ = true;
  }
  void fail_batch(const report& what) {
    fail(what);
    is_skipping_ = true;
  }

  template <typename Map>
  bool has_room(const Map& all, const std::string& name) {
    if (all.contains(name) || all.size() < most_console_statements) return true;
    fail_batch(problem(sqlstate::configuration_limit_exceeded, "too many prepared statements or portals"));
    return false;
  }

  void on_parse(const protocol::byte_buffer& body) {
    const auto message = protocol::decode_parse(body);
    if (!message) return malformed();
    const std::string name(message->statement);
    if (!has_room(statements_, name)) return;
    if (!name.empty() && statements_.contains(name))
      return fail_batch(problem(sqlstate::duplicate_prepared_statement,
                                "prepared statement \"" + name + "\" already exists"));
    const script read = parse_script(message->query);
    if (read.problem) return fail_batch(as_report(*read.problem, message->query));
    if (read.commands.size() > 1)
      return fail_batch(
          problem(sqlstate::syntax_error, "cannot insert multiple commands into a prepared statement"));
    prepared made;
    made.is_empty = read.commands.empty();
    if (!made.is_empty) {
      made.what = read.commands.front();
      if (const auto wrong = commands_.check(made.what)) return fail_batch(*wrong);
    }
    statements_[name] = std::move(made);
    protocol::writer to(out_);
    encode(to, protocol::parse_complete{});
  }

  void on_bind(const protocol::byte_buffer& body) {
    const auto message = protocol::decode_bind(body);
    if (!message) return malformed();
    const auto found = statements_.find(std::string(message->names.statement));
    if (found == statements_.end()) return no_statement(message->names.statement);
    if (!message->parameters.empty())
      return fail_batch(problem(sqlstate::protocol_violation,
                                "bind message supplies " + std::to_string(message->parameters.size()) +
                                    " parameters, but commands of the admin console take none"));
    const std::string name(message->names.portal);
    if (!has_room(portals_, name)) return;
    if (!name.empty() && portals_.contains(name))
      return fail_batch(problem(sqlstate::duplicate_cursor, "cursor \"" + name + "\" already exists"));
    const std::size_t columns_there =
        found->second.is_empty ? 0 : commands_.shape_of(found->second.what).size();
    if (message->result_formats.size() > 1 && message->result_formats.size() != columns_there)
      return fail_batch(problem(sqlstate::protocol_violation,
                                "bind message has " + std::to_string(message->result_formats.size()) +
                                    " result formats but query has " + std::to_string(columns_there) +
                                    " columns"));
    portal made;
    made.what = found->second.what;
    made.is_empty = found->second.is_empty;
    made.formats = message->result_formats;
    portals_[name] = std::move(made);
    protocol::writer to(out_);
    encode(to, protocol::bind_complete{});
  }

  void on_describe(const protocol::byte_buffer& body) {
    const auto message = protocol::decode_describe(body);
    if (!message) return malformed();
    protocol::writer to(out_);
    const std::string name(message->name);
    if (message->kind == protocol::named_object::statement) {
      const auto found = statements_.find(name);
      if (found == statements_.end()) return no_statement(name);
      encode(to, protocol::parameter_description{});
      describe(found->second.what, found->second.is_empty, {});
    } else {
      const auto found = portals_.find(name);
      if (found == portals_.end()) return no_portal(name);
      describe(found->second.what, found->second.is_empty, found->second.formats);
    }
  }

  void describe(const command& what, bool is_empty, std::span<const protocol::format_code> formats) {
    const std::vector<column> shape = is_empty ? std::vector<column>() : commands_.shape_of(what);
    protocol::writer to(out_);
    if (shape.empty())
      encode(to, protocol::no_data{});
    else
      append_row_description(out_, shape, formats);
  }

  asio::awaitable<void> on_execute(const protocol::byte_buffer& body) {
    const auto message = protocol::decode_execute(body);
    if (!message) co_return malformed();
    const auto found = portals_.find(std::string(message->portal));
    if (found == portals_.end()) co_return no_portal(message->portal);
    portal& run = found->second;
    if (run.is_empty) {
      protocol::writer to(out_);
      encode(to, protocol::empty_query_response{});
      co_return;
    }
    if (!run.has_run) {
      const bool went_well = co_await carry_out(run);
      if (!went_well) {
        is_skipping_ = true;
        co_return;
      }
    }
    co_await send_rows(run, message->max_rows);
  }

  void on_close(const protocol::byte_buffer& body) {
    const auto message = protocol::decode_close(body);
    if (!message) return malformed();
    if (message->kind == protocol::named_object::statement)
      statements_.erase(std::string(message->name));
    else
      portals_.erase(std::string(message->name));
    protocol::writer to(out_);
    encode(to, protocol::close_complete{});
  }

  void no_statement(std::string_view name) {
    fail_batch(problem(sqlstate::invalid_sql_statement_name,
                       "prepared statement \"" + std::string(name) + "\" does not exist"));
  }
  void no_portal(std::string_view name) {
    fail_batch(problem(sqlstate::invalid_cursor_name, "portal \"" + std::string(name) + "\" does not exist"));
  }

  session::accepted_client client_;
  session::shared_services& shared_;
  std::shared_ptr<std::atomic<bool>> is_cancelled_ = std::make_shared<std::atomic<bool>>(false);
  console_commands commands_;
  gateway_access& gateway_;
  pool::cancel_registration key_;
  protocol::byte_buffer out_;
  std::map<std::string, prepared, std::less<>> statements_;
  std::map<std::string, portal, std::less<>> portals_;
  std::optional<shutdown_kind> shut_down_;
  char status_ = 'I';
  bool is_skipping_ = false;
  bool over_ = false;
};

}  // namespace

asio::awaitable<void> serve_console(session::accepted_client client, session::shared_services& shared,
                                    gateway_access& gateway) {
  console one(std::move(client), shared, gateway);
  co_await one.run();
}

}  // namespace tidegate::admin
