#include "proxy/control/standalone_reader.hpp"

#include "proxy/control/catalog_reader.hpp"
#include "proxy/control/name_resolution.hpp"
#include "proxy/control/pg_connection.hpp"
#include "proxy/control/wait_for.hpp"

#include <stdexcept>
#include <utility>

#include <boost/asio/io_context.hpp>

namespace tidegate::control {

namespace asio = boost::asio;

class standalone_reader::impl {
 public:
  explicit impl(control_target target) : connection_(context_.get_executor()) {
    target.settings.own_search_path = true;
    const auto connected = wait_for(context_, connection_.connect(target));
    if (!connected) throw std::runtime_error(connected.error().message);
    const auto names = wait_for(context_, resolve({}));
    if (!names) throw std::runtime_error(names.error().message);
    database_ = names->session.database;
  }

  policies::catalog_snapshot read(const policies::fact_request& request) {
    facts read = wait_for(context_, read_all(request));
    problem_ = std::move(read.lacked);
    return std::move(read.snapshot);
  }

  int server_version() const { return version_; }
  const std::string& database() const { return database_; }
  const std::string& problem() const { return problem_; }

 private:
  asio::awaitable<outcome<resolved_names>> resolve(policies::fact_request request) {
    const resolution_query query = make_resolution_query(request);
    std::vector<command> commands(1);
    commands[0].sql = query.sql;
    commands[0].parameters.assign(query.parameters.begin(), query.parameters.end());
    auto outcomes = co_await connection_.run(std::move(commands));
    if (!outcomes.front()) co_return outcomes.front().error();
    auto names = decode_resolution(request, outcomes.front()->rows);
    if (!names) co_return sql_error{"XX000", "the answer to the name resolution is not understood"};
    version_ = names->session.server_version;
    co_return std::move(*names);
  }

  asio::awaitable<facts> read_all(policies::fact_request request) {
    const auto names = co_await resolve(request);
    if (!names) {
      facts none;
      none.snapshot.available = true;
      if (version_ != 0) none.snapshot.server_version = version_;
      none.lacked = names.error().message;
      co_return none;
    }
    co_return co_await read_facts(connection_, request, *names);
  }

  asio::io_context context_{1};
  pg_connection connection_;
  int version_ = 0;
  std::string database_, problem_;
};

standalone_reader::standalone_reader(const std::string& conninfo)
    : standalone_reader(parse_conninfo(conninfo)) {}
standalone_reader::standalone_reader(const control_target& target) : impl_(std::make_unique<impl>(target)) {}
standalone_reader::~standalone_reader() = default;

policies::catalog_snapshot standalone_reader::read(const policies::fact_request& request) {
  return impl_->read(request);
}
int standalone_reader::server_version() const {
  return impl_->server_version();
}
const std::string& standalone_reader::database() const {
  return impl_->database();
}
const std::string& standalone_reader::last_problem() const {
  return impl_->problem();
}

policies::catalog_snapshot read_facts_for(const std::string& conninfo,
                                          const policies::fact_request& request) {
  return standalone_reader(conninfo).read(request);
}

}  // namespace tidegate::control
