#include "proxy/cli/rehearsal.hpp"

#include "config/settings.hpp"
#include "config/words.hpp"
#include "policies/lock_level.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/cli/embedded_gateway.hpp"
#include "proxy/cli/sql_script.hpp"
#include "proxy/cli/stall_probe.hpp"
#include "proxy/control/control_settings.hpp"
#include "proxy/control/pg_connection.hpp"
#include "proxy/log/log.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

constexpr std::uint16_t socket_number = 6432;  // names the socket's file: libpq wants .s.PGSQL.<port>
constexpr auto answer_within = std::chrono::hours(24);
constexpr std::size_t most_notices = 50;

// Files of tables and indexes of the user's own; one that is new has been rewritten.
constexpr std::string_view storage_query = R"sql(
SELECT c.oid, CASE c.relkind WHEN 'i' THEN 'index ' WHEN 'm' THEN 'materialized view ' ELSE 'table ' END ||
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       pg_catalog.pg_relation_filenode(c.oid)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'i') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'tidegate'))sql";

// Rows read by scans: of the transaction at hand, or of all that ended.
std::string scans_query(bool in_transaction) {
  return "SELECT s.relid, pg_catalog.quote_ident(s.schemaname) || '.' || pg_catalog.quote_ident(s.relname), "
         "s.seq_tup_read FROM pg_catalog." +
         std::string(in_transaction ? "pg_stat_xact_user_tables" : "pg_stat_user_tables") +
         " AS s WHERE s.schemaname NOT IN ('tidegate', 'tidegate_guard') AND s.seq_tup_read > 0";
}

milliseconds whole(clock::duration time) {
  return std::chrono::duration_cast<milliseconds>(time);
}

std::string bare_name(const std::string& relation) {
  return relation.substr(relation.rfind('.') + 1);
}

struct statements_of_message {
  bool changes_schema = false;
  std::vector<policies::relation_lock> locks;  // as far as the text tells
};

statements_of_message read_statements(const std::string& sql) {
  statements_of_message what;
  const auto parsed = sql::parse(sql);
  if (!parsed.ok()) return what;
  const policies::catalog_snapshot nothing_known;
  for (const sql::statement& statement : parsed.statements) {
    what.changes_schema = what.changes_schema || statement.ddl;
    for (policies::relation_lock& lock : policies::locks_taken(statement, nothing_known))
      if (lock.level >= policies::lock_level::share_update_exclusive) what.locks.push_back(std::move(lock));
  }
  return what;
}

config::settings settings_for(const control::control_target& server, const policies::policy& policy,
                              const fs::path& folder) {
  config::settings made;
  config::listen_settings listen;
  listen.address.clear();
  listen.socket = (folder / (".s.PGSQL." + std::to_string(socket_number))).string();
  listen.socket_mode = 0600;
  made.listen.push_back(std::move(listen));
  made.http.enabled = false;
  made.threads = 1;
  config::auth_rule own;  // nobody else can enter the folder
  own.users = {server.settings.user};
  own.method = config::auth_method::trust;
  made.auth.rules.push_back(std::move(own));
  config::database_settings database;
  database.name = server.database;
  database.host = server.settings.host;
  database.port = server.settings.port;
  database.control.user = server.settings.user;
  database.control.password = server.settings.password;
  database.server_auth = config::server_auth_settings{server.settings.user, server.settings.password};
  database.server_tls.mode =
      config::parse_word<config::tls_mode>(server.settings.tls_mode).value_or(config::tls_mode::prefer);
  const auto file = [&](const char* keyword) {
    const auto found = server.settings.more.find(keyword);
    return found == server.settings.more.end() ? std::string() : found->second;
  };
  database.server_tls.ca = file("sslrootcert");
  database.server_tls.certificate = file("sslcert");
  database.server_tls.key = file("sslkey");
  made.databases.push_back(std::move(database));
  made.limits.parse_bytes = sql::parse_limit_bytes;
  made.policies.policy = policy;
  made.locks.share_gate = false;
  made.log.level = config::log_level::warning;
  made.log.file = (folder / "tidegate.log").string();
  made.audit.target = config::audit_target::off;
  return made;
}

class rehearsal {
 public:
  explicit rehearsal(const rehearsal_place& where)
      : target_(control::parse_conninfo(where.database)), tool_(where.tool), policy_(where.policy) {
    target_.settings.own_search_path = true;
  }

  std::vector<rehearsed_message> run(const std::vector<migration_message>& messages) {
    std::exception_ptr failed;
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) interrupt();
    });
    asio::co_spawn(context_, run_all(messages), [&](std::exception_ptr thrown) {
      failed = thrown;
      // What its transaction holds goes first: the probe may wait for it.
      client_.reset();
      if (locks_) locks_->stop();
      probe_.reset();
      signals_.cancel();
    });
    context_.run();
    if (failed) std::rethrow_exception(failed);
    return std::move(done_);
  }

 private:
  struct stored {
    std::string what, file;
  };
  using storage = std::map<std::string, stored>;    // by oid
  using scans = std::map<std::string, table_scan>;  // by oid

  asio::awaitable<void> run_all(const std::vector<migration_message>& messages) {
    const auto connected = co_await watching_.connect(target_);
    if (!connected) throw std::runtime_error(connected.error().message);
    const control::control_target where = watching_.effective_target();
    const auto settings =
        std::make_shared<const config::settings>(settings_for(where, policy_, folder_.path()));
    log::configure(settings->log);
    gateway_ = std::make_unique<embedded_gateway>(settings);
    const sql_address address{.host = folder_.path().string(),
                              .port = socket_number,
                              .user = where.settings.user,
                              .database = where.database,
                              .application = "tidegate rehearsal of " + tool_};
    client_.emplace(context_.get_executor(), answer_within);
    co_await client_->connect(address);
    const sql_answer pid = co_await client_->must_run("SELECT pg_catalog.pg_backend_pid()");
    server_pid_ = control::number<std::int32_t>(pid.rows.at(0), 0).value_or(0);
    locks_.emplace(context_.get_executor(), watching_, server_pid_);
    asio::co_spawn(context_, locks_->run(), asio::detached);
    probe_.emplace(context_.get_executor(), address);
    co_await probe_->start();
    storage_ = co_await read_storage();
    scans_ = co_await read_scans();
    for (const migration_message& each : messages) {
      if (interrupted_) break;
      done_.push_back({.message = each});
      const auto began = clock::now();
      // What has been run so far is told in any case: it was run for good.
      try {
        co_await send(done_.back());
      } catch (const std::exception& problem) {
        done_.back().took = whole(clock::now() - began);
        done_.back().error = server_message{.severity = "FATAL",
                                            .sqlstate = std::string(protocol::sqlstate::connection_failure),
                                            .message = problem.what()};
      }
      if (interrupted_) done_.back().error = interruption();
      if (done_.back().error) break;
    }
    if (in_transaction_ && !done_.back().error)
      done_.back().notices.emplace_back("the transaction is left open: it is rolled back with the rehearsal");
    if (interrupted_ && done_.empty()) throw std::runtime_error("ended by a signal; nothing was run");
  }

  // The first signal ends the server's session: what that runs would go on, and hold its locks, whoever waits
  // for it. The gateway has been told by the same signal to let its clients finish; a second one ends it.
  void interrupt() {
    interrupted_ = true;
    if (server_pid_ != 0) asio::co_spawn(context_, end_session(), asio::detached);
  }

  asio::awaitable<void> end_session() {
    control::pg_connection other(context_.get_executor());
    const auto connected = co_await other.connect(target_);
    if (!connected) co_return;
    std::vector<control::command> commands;
    std::vector<control::text_cell> parameters(1, std::to_string(server_pid_));
    commands.push_back({.sql = "SELECT pg_catalog.pg_terminate_backend($1::pg_catalog.int4)",
                        .parameters = std::move(parameters)});
    co_await other.run(std::move(commands));
  }

  static server_message interruption() {
    return {.severity = "ERROR",
            .sqlstate = std::string(protocol::sqlstate::query_canceled),
            .message = "the rehearsal was ended by a signal",
            .detail = "What was open is rolled back; what stands above was run for good."};
  }

  asio::awaitable<void> send(rehearsed_message& done) {
    const statements_of_message what = read_statements(done.message.sql);
    const bool was_in_transaction = in_transaction_;
    if (!was_in_transaction) tables_.clear();
    for (const policies::relation_lock& lock : what.locks) tables_.push_back(sql::quote_name(lock.relation));
    probe_->watch(tables_);
    probe_->take();

    std::vector<std::string>& notices = done.notices;
    sql_client::notice_handler on_notice = [&notices](const server_message& said) {
      if (notices.size() < most_notices) notices.push_back(said.message);
    };
    const auto began = clock::now();
    std::string sql = done.message.sql;
    sql_answer answer = co_await client_->run(std::move(sql), std::move(on_notice), result_rows::dropped);
    done.took = whole(clock::now() - began);
    const auto felt = probe_->take();
    done.reader_stall = whole(felt.reader);
    done.writer_stall = whole(felt.writer);
    done.error = std::move(answer.error);
    in_transaction_ = answer.transaction_status == 'T';
    co_await find_locks(done, what);
    if (what.changes_schema && answer.transaction_status != 'E') co_await find_rewrites(done);
    if (answer.transaction_status != 'E') co_await find_scans(done, was_in_transaction);
  }

  // A look that began after the message: what a transaction still holds is seen.
  asio::awaitable<void> find_locks(rehearsed_message& done, const statements_of_message& what) {
    asio::steady_timer timer(context_);
    const auto until = clock::now() + std::chrono::seconds(1);
    for (const auto seen = locks_->looks(); locks_->looks() < seen + 2 && clock::now() < until;) {
      timer.expires_after(lock_watch::period);
      co_await timer.async_wait(asio::use_awaitable);
    }
    done.locks = locks_->take();
    if (done.error) co_return;
    // Those that were held too briefly to be seen.
    for (const policies::relation_lock& lock : what.locks) {
      held_lock brief{.relation = sql::quote_name(lock.relation),
                      .mode = std::string(policies::pg_locks_name(lock.level)),
                      .held = {},
                      .waited = {}};
      const bool seen = std::any_of(done.locks.begin(), done.locks.end(), [&](const held_lock& each) {
        return bare_name(each.relation) == bare_name(brief.relation);
      });
      if (!seen) done.locks.push_back(std::move(brief));
    }
  }

  asio::awaitable<void> find_rewrites(rehearsed_message& done) {
    storage now = co_await read_storage();
    for (const auto& [oid, one] : now) {
      const auto before = storage_.find(oid);
      if (before != storage_.end() && before->second.file != one.file) done.rewritten.push_back(one.what);
    }
    storage_ = std::move(now);
  }

  asio::awaitable<void> find_scans(rehearsed_message& done, bool was_in_transaction) {
    const bool is_new_count = was_in_transaction != in_transaction_;
    const scans before = in_transaction_ && is_new_count ? scans() : scans_;
    scans now = co_await read_scans();
    // At its end a transaction's own counts become part of the others: they have been told.
    const bool told_already = was_in_transaction && !in_transaction_;
    for (const auto& [oid, one] : now) {
      const auto known = before.find(oid);
      const std::int64_t rows = one.rows - (known == before.end() ? 0 : known->second.rows);
      if (rows > 0 && !told_already) done.scans.push_back({one.table, rows});
    }
    scans_ = std::move(now);
  }

  asio::awaitable<storage> read_storage() {
    const sql_answer answer = co_await client_->must_run(std::string(storage_query));
    storage read;
    for (const control::text_row& row : answer.rows)
      read.emplace(control::text(row, 0), stored{control::text(row, 1), control::text(row, 2)});
    co_return read;
  }

  // Outside a transaction the server hands its counts on when asked to, from PostgreSQL 15 on; before, they
  // come too late to be told.
  asio::awaitable<scans> read_scans() {
    scans read;
    if (!in_transaction_) {
      if (watching_.server_version() < 150000) co_return read;
      co_await client_->must_run("SELECT pg_catalog.pg_stat_force_next_flush()");
    }
    const sql_answer answer = co_await client_->must_run(scans_query(in_transaction_));
    for (const control::text_row& row : answer.rows)
      read.emplace(control::text(row, 0),
                   table_scan{control::text(row, 1), control::number<std::int64_t>(row, 2).value_or(0)});
    co_return read;
  }

  control::control_target target_;
  std::string tool_;
  const policies::policy& policy_;
  scratch_folder folder_{"tidegate-rehearsal", fs::perms::none};
  std::unique_ptr<embedded_gateway> gateway_;
  asio::io_context context_{1};
  asio::signal_set signals_{context_, SIGINT, SIGTERM, SIGHUP};
  control::pg_connection watching_{context_.get_executor()};
  std::optional<lock_watch> locks_;
  std::optional<stall_probe> probe_;
  std::optional<sql_client> client_;
  std::vector<std::string> tables_;  // of the transaction at hand
  storage storage_;
  scans scans_;
  std::int32_t server_pid_ = 0;  // of the session that is watched; 0: not yet
  bool in_transaction_ = false;
  bool interrupted_ = false;
  std::vector<rehearsed_message> done_;
};

}  // namespace

std::vector<migration_message> messages_of(const std::string& file, std::string_view text,
                                           const std::vector<migrations::section>& sections,
                                           migrations::direction runs) {
  const line_index lines(text);
  std::vector<migration_message> messages;
  const auto add = [&](std::size_t offset, std::string_view sql, bool from_tool) {
    const auto blank = sql.find_first_not_of(" \t\r\n");
    if (blank == std::string_view::npos) return;
    messages.push_back({file, lines.line(offset + blank), std::string(sql.substr(blank)), from_tool});
  };
  for (const migrations::section& section : sections) {
    if (section.runs != runs || section.parts.empty()) continue;
    if (section.in_transaction) add(section.parts.front().begin, "BEGIN", true);
    for (const migrations::text_range& part : section.parts) {
      if (section.how == migrations::sending::as_one_message) {
        add(part.begin, text.substr(part.begin, part.end - part.begin), false);
        continue;
      }
      sql_script script(text.substr(0, part.end), part.begin);
      while (const auto piece = script.next(true)) {
        add(piece->offset, piece->text, false);
        const auto parsed = sql::parse(piece->text);
        if (!parsed.ok() || parsed.statements.empty()) continue;
        const auto* copy = parsed.statements.front().as<sql::copy>();
        if (copy != nullptr && copy->from && copy->relation && !copy->program) script.skip_copy_data();
      }
    }
    if (section.in_transaction) add(section.parts.back().end, "COMMIT", true);
  }
  return messages;
}

std::vector<rehearsed_message> rehearse(const rehearsal_place& where,
                                        const std::vector<migration_message>& messages) {
  rehearsal of(where);
  return of.run(messages);
}

bool has_failed(const std::vector<rehearsed_message>& messages) {
  return std::any_of(messages.begin(), messages.end(),
                     [](const rehearsed_message& each) { return each.error.has_value(); });
}

}  // namespace tidegate::cli
