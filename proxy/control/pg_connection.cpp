#include "proxy/control/pg_connection.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <libpq-fe.h>

namespace tidegate::control {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
constexpr auto answer_allowance = std::chrono::seconds(2);  // on top of statement_timeout, for the way

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

// libpq gives the SQLSTATE of a refused login only inside the verbose text:
// `…failed: FATAL:  28P01: password authentication failed for user "x"` and a line with the server's source.
sql_error parse_connection_message(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  sql_error error{std::string(failure::connection), std::string(text)};
  for (std::size_t at = text.find(":  "); at != text.npos; at = text.find(":  ", at + 1)) {
    const std::string_view code = text.substr(at + 3, 5);
    if (is_sqlstate(code) && text.substr(at + 8, 2) == ": ") {
      error.sqlstate = code;
      error.message = text.substr(at + 10);
      break;
    }
  }
  if (error.message.empty()) error.message = "the connection is closed";
  return error;
}

query_result copy_rows(const PGresult* result) {
  query_result copied;
  copied.command_tag = PQcmdStatus(const_cast<PGresult*>(result));
  const int columns = PQnfields(result);
  copied.rows.resize(static_cast<std::size_t>(PQntuples(result)));
  for (std::size_t r = 0; r < copied.rows.size(); ++r) {
    text_row& row = copied.rows[r];
    row.reserve(static_cast<std::size_t>(columns));
    for (int c = 0; c < columns; ++c) {
      const int at = static_cast<int>(r);
      if (PQgetisnull(result, at, c) != 0)
        row.emplace_back(std::nullopt);
      else
        row.emplace_back(std::in_place, PQgetvalue(result, at, c),
                         static_cast<std::size_t>(PQgetlength(result, at, c)));
    }
  }
  return copied;
}

sql_error server_error(const PGresult* result) {
  const char* const code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  sql_error error{code ? code : std::string(failure::connection),
                  message ? message : PQresultErrorMessage(result)};
  error.message = error.message.substr(0, error.message.find('\n'));
  return error;
}

void ignore_notice(void*, const PGresult*) {}

}  // namespace

void pg_connection::connection_closer::operator()(pg_conn* connection) const {
  PQfinish(connection);
}
void pg_connection::result_closer::operator()(pg_result* result) const {
  PQclear(result);
}

pg_connection::pg_connection(asio::any_io_executor executor)
    : executor_(std::move(executor)), timer_(executor_) {}

pg_connection::~pg_connection() = default;

asio::awaitable<outcome<void>> pg_connection::connect(control_target target) {
  close();
  target_ = std::move(target);
  const control_settings& settings = target_.settings;
  if (settings.statement_timeout.count() > 0) statement_timeout_ = settings.statement_timeout;
  timer_.expires_after(settings.connect_timeout);

  const outcome<addresses> where = co_await resolve(settings);
  if (!where) co_return where.error();

  // The same few statements with a handful of oids each: planned once, which halves the cost of reading
  // facts.
  std::string options =
      "-c default_transaction_read_only=on -c plan_cache_mode=force_generic_plan -c jit=off";
  const auto limit = [&](std::string_view name, std::chrono::milliseconds value) {
    if (value.count() > 0) options += " -c " + std::string(name) + "=" + std::to_string(value.count());
  };
  limit("lock_timeout", settings.lock_timeout);
  limit("statement_timeout", settings.statement_timeout);
  if (!settings.own_search_path) options += " -c search_path=pg_catalog";

  const std::string port = settings.port == 0 ? std::string() : std::to_string(settings.port);
  std::vector<std::pair<const char*, const char*>> words;
  const auto add = [&](const char* keyword, const std::string& value) {
    if (!value.empty()) words.emplace_back(keyword, value.c_str());
  };
  for (const auto& [keyword, value] : settings.more) {
    if (keyword == "options")
      options += " " + value;
    else
      add(keyword.c_str(), value);
  }
  add("host", where->hosts);
  add("hostaddr", where->numeric);
  add("port", port);
  add("user", settings.user);
  add("password", settings.password);
  add("dbname", target_.database);
  add("sslmode", settings.tls_mode);
  add("options", options);
  words.insert(words.end(), {{"application_name", settings.application_name.c_str()},
                             {"client_encoding", "UTF8"},
                             {"gssencmode", "disable"},  // libpq would block in it
                             {nullptr, nullptr}});
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : words) {
    keywords.push_back(keyword);
    values.push_back(value);
  }

  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!connection_) co_return sql_error{std::string(failure::connection), "out of memory"};
  PQsetNoticeReceiver(connection_.get(), ignore_notice, nullptr);
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);

  for (PostgresPollingStatusType step = PGRES_POLLING_WRITING; step != PGRES_POLLING_OK;
       step = PQconnectPoll(connection_.get())) {
    if (step == PGRES_POLLING_FAILED || PQstatus(connection_.get()) == CONNECTION_BAD) {
      const sql_error error = connection_error();
      close();
      co_return error;
    }
    if (!co_await wait(step == PGRES_POLLING_READING ? readiness::readable : readiness::writable)) {
      close();
      co_return not_in_time();
    }
  }
  PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1) {
    const sql_error error = connection_error();
    close();
    co_return error;
  }
  co_return outcome<void>();
}

asio::awaitable<std::vector<outcome<query_result>>> pg_connection::run(std::vector<command> commands) {
  std::vector<outcome<query_result>> outcomes;
  outcomes.reserve(commands.size());
  const auto give_up = [&](const sql_error& error) {
    close();
    while (outcomes.size() < commands.size()) outcomes.emplace_back(error);
  };

  timer_.expires_after(answer_allowance + statement_timeout_ * static_cast<int>(commands.size()));
  if (!is_open()) {
    give_up({std::string(failure::connection), "the connection is closed"});
    co_return outcomes;
  }
  for (const command& each : commands) {
    if (const outcome<void> sent = send(each); !sent) {
      give_up(sent.error());
      co_return outcomes;
    }
  }
  if (const outcome<void> flushed = co_await flush(); !flushed) {
    give_up(flushed.error());
    co_return outcomes;
  }
  for (const command& each : commands) {
    outcome<query_result> received = co_await receive(each);
    if (!is_open()) {
      give_up(received.error());
      break;
    }
    outcomes.push_back(std::move(received));
  }
  co_return outcomes;
}

outcome<void> pg_connection::send(const command& what) {
  PGconn* const connection = connection_.get();
  std::vector<const char*> values;
  for (const text_cell& parameter : what.parameters)
    values.push_back(parameter ? parameter->c_str() : nullptr);
  const int count = static_cast<int>(values.size());

  int sent = 1;
  if (what.reused) {
    const auto [entry, is_new] = prepared_.try_emplace(what.sql);
    if (is_new) entry->second.name = "tidegate_" + std::to_string(++names_given_);
    const char* const name = entry->second.name.c_str();
    if (is_new) sent = PQsendPrepare(connection, name, what.sql.c_str(), 0, nullptr);
    if (sent == 1) sent = PQsendQueryPrepared(connection, name, count, values.data(), nullptr, nullptr, 0);
  } else {
    sent =
        PQsendQueryParams(connection, what.sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0);
  }
  if (sent == 1) sent = PQpipelineSync(connection);
  if (sent != 1) return connection_error();
  return {};
}

// Reads up to the synchronisation point behind the command. The first error of the command is its outcome.
asio::awaitable<outcome<query_result>> pg_connection::receive(const command& what) {
  query_result rows;
  std::optional<sql_error> error;
  const auto preparation = what.reused ? prepared_.find(what.sql) : prepared_.end();
  const bool is_new = preparation != prepared_.end() && !preparation->second.confirmed;
  for (;;) {
    outcome<result_ptr> result = co_await next_result();
    if (!result) {
      close();
      co_return result.error();
    }
    if (!*result) {  // the end of one command's results; the synchronisation point follows
      if (PQstatus(connection_.get()) == CONNECTION_BAD) {
        const sql_error broken = connection_error();
        close();
        co_return broken;
      }
      continue;
    }
    switch (PQresultStatus(result->get())) {
      case PGRES_PIPELINE_SYNC:
        if (is_new && !preparation->second.confirmed) prepared_.erase(preparation);
        if (error) co_return *error;
        co_return rows;
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
        if (is_new) preparation->second.confirmed = true;  // the first result of two is the preparation's
        rows = copy_rows(result->get());
        break;
      case PGRES_PIPELINE_ABORTED:
        break;  // what followed the failed preparation
      default:
        if (!error) error = server_error(result->get());
        if (PQstatus(connection_.get()) == CONNECTION_BAD) {
          close();
          co_return *error;
        }
    }
  }
}

asio::awaitable<outcome<std::vector<pg_connection::notification>>> pg_connection::notifications(
    std::chrono::milliseconds at_most) {
  timer_.expires_after(at_most);
  std::vector<notification> got;
  while (is_open()) {
    if (PQconsumeInput(connection_.get()) != 1) break;
    while (PGnotify* const one = PQnotifies(connection_.get())) {
      got.push_back({.payload = one->extra, .sender = one->be_pid});
      PQfreemem(one);
    }
    if (!got.empty()) co_return got;
    if (PQstatus(connection_.get()) == CONNECTION_BAD) break;
    const bool is_readable = co_await wait(readiness::readable);
    if (interrupted_) co_return not_in_time();
    if (!is_readable) co_return got;
  }
  sql_error lost{std::string(failure::connection), "the connection is closed"};
  if (is_open()) lost = connection_error();
  close();
  co_return lost;
}

asio::awaitable<outcome<pg_connection::result_ptr>> pg_connection::next_result() {
  for (;;) {
    if (PQisBusy(connection_.get()) == 0) co_return result_ptr(PQgetResult(connection_.get()));
    const bool is_readable = co_await wait(readiness::readable);
    if (!is_readable) co_return not_in_time();
    if (PQconsumeInput(connection_.get()) != 1) co_return connection_error();
  }
}

asio::awaitable<outcome<void>> pg_connection::flush() {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left == 0) co_return outcome<void>();
    if (left < 0) co_return connection_error();
    if (!co_await wait(readiness::either)) co_return not_in_time();
    // The server may be unable to read before its own output is taken.
    if (PQconsumeInput(connection_.get()) != 1) co_return connection_error();
  }
}

// Asio watches the descriptor only during the wait: while it connects, libpq closes it and opens another.
asio::awaitable<bool> pg_connection::wait(readiness what) {
  if (interrupted_ || clock::now() >= timer_.expiry()) co_return false;
  asio::posix::stream_descriptor descriptor(executor_, PQsocket(connection_.get()));
  using type = asio::posix::descriptor_base;
  bool ready = false;
  if (what == readiness::either) {
    const auto first =
        co_await (descriptor.async_wait(type::wait_read, as_values) ||
                  descriptor.async_wait(type::wait_write, as_values) || timer_.async_wait(as_values));
    ready = first.index() != 2;
  } else {
    const auto first = co_await (
        descriptor.async_wait(what == readiness::readable ? type::wait_read : type::wait_write, as_values) ||
        timer_.async_wait(as_values));
    ready = first.index() == 0;
  }
  descriptor.release();
  co_return ready && !interrupted_;
}

asio::awaitable<outcome<pg_connection::addresses>> pg_connection::resolve(const control_settings& settings) {
  addresses found{settings.host, {}};
  const bool needs_none = settings.host.empty() || settings.host.front() == '/' ||
                          settings.host.front() == '@' || settings.host.find(',') != std::string::npos ||
                          settings.more.contains("hostaddr");
  if (needs_none) co_return found;

  boost::system::error_code not_an_address;
  asio::ip::make_address(settings.host, not_an_address);
  if (!not_an_address) {
    found.numeric = settings.host;
    co_return found;
  }

  asio::ip::tcp::resolver resolver(executor_);
  const auto first =
      co_await (resolver.async_resolve(settings.host, "", as_values) || timer_.async_wait(as_values));
  if (first.index() != 0 || interrupted_) co_return not_in_time();
  const auto& [error, endpoints] = std::get<0>(first);
  if (error || endpoints.empty())
    co_return sql_error{std::string(failure::connection),
                        "could not resolve host \"" + settings.host + "\": " + error.message()};
  found = {};
  for (const auto& entry : endpoints) {
    const std::string separator = found.numeric.empty() ? "" : ",";
    found.hosts += separator + settings.host;
    found.numeric += separator + entry.endpoint().address().to_string();
  }
  co_return found;
}

void pg_connection::interrupt() {
  interrupted_ = true;
  timer_.cancel();
}

int pg_connection::server_version() const {
  return is_open() ? PQserverVersion(connection_.get()) : 0;
}

std::int32_t pg_connection::backend_pid() const {
  return is_open() ? PQbackendPID(connection_.get()) : 0;
}

bool pg_connection::uses_tls() const {
  return is_open() && PQsslInUse(connection_.get()) != 0;
}

control_target pg_connection::effective_target() const {
  control_target target = target_;
  if (!is_open()) return target;
  const auto said = [](const char* text) { return std::string(text == nullptr ? "" : text); };
  target.settings.host = said(PQhost(connection_.get()));
  target.settings.port = number<std::uint16_t>({said(PQport(connection_.get()))}, 0).value_or(5432);
  target.settings.user = said(PQuser(connection_.get()));
  target.settings.password = said(PQpass(connection_.get()));
  target.database = said(PQdb(connection_.get()));
  return target;
}

void pg_connection::close() {
  connection_.reset();
  prepared_.clear();
}

sql_error pg_connection::connection_error() const {
  return parse_connection_message(PQerrorMessage(connection_.get()));
}

sql_error pg_connection::not_in_time() const {
  if (interrupted_) return {std::string(failure::shutdown), "the gateway is stopping"};
  return {std::string(failure::deadline), "the server did not answer in time"};
}

}  // namespace tidegate::control
