#pragma once
// One statement with CONCURRENTLY on the client's server connection: alone in its message, with lock_timeout
// 0 (it waits for old snapshots of any table, and a timeout would leave an invalid index), tried again when
// it met another build on the table, its leftovers removed, its result checked, its progress told.

#include "proxy/control/index_build.hpp"
#include "proxy/session/server_dialogue.hpp"
#include "proxy/session/vouching.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;

class concurrent_build {
 public:
  struct subject {
    std::uint32_t table_oid = 0;  // 0: not known, and nothing is looked after
    std::string index;            // that is made; empty: the server chooses its name, or there are several
    bool builds = true;           // false: it drops
  };

  // `lock_timeout_ms`: the client's own, to be put back.
  concurrent_build(client_session& session, server_dialogue& server, vouching& vouches, subject what,
                   std::int64_t lock_timeout_ms);

  // Outside a transaction. None: the session has ended. The answer is not passed on.
  boost::asio::awaitable<std::optional<unit_answer>> run(std::string text);

 private:
  boost::asio::awaitable<std::optional<unit_answer>> build(const std::string& text);
  boost::asio::awaitable<std::vector<control::index_state>> invalid_indexes();
  boost::asio::awaitable<void> remove_leftovers(const std::vector<control::index_state>& before,
                                                bool after_failure);
  boost::asio::awaitable<bool> drop(const control::index_state& index, std::string_view why);
  boost::asio::awaitable<void> check_result(const std::vector<control::index_state>& before,
                                            unit_answer& built);
  boost::asio::awaitable<bool> rest();
  // Right before the text is sent.
  boost::asio::awaitable<void> prepare(const std::string& text);
  boost::asio::awaitable<void> put_settings_back();

  client_session& session_;
  server_dialogue& server_;
  vouching& vouches_;
  subject what_;
  std::int64_t lock_timeout_ms_;
  bool vouched_ = false;  // something was, and the setting is to be taken back
};

}  // namespace tidegate::session
