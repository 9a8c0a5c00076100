#pragma once
// The filling step of a plan: existing rows get the default of a new column in batches, each a transaction of
// its own on the client's connection, with rests between them (core/batch_pace.hpp). The client hears how far
// it is. What is interrupted is simply run again: only rows without a value are touched.

#include "policies/plan/filling.hpp"
#include "proxy/core/batch_pace.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;

class batch_filling {
 public:
  batch_filling(client_session& session, server_dialogue& server, const policies::filling& what,
                std::string full_name, std::uint32_t table_oid);

  enum class end : std::uint8_t {
    filled,
    failed,
    cancelled,
    replaced,  // the name means another table now
    session_ended,
  };
  boost::asio::awaitable<end> run();

  // Of `failed`: the server's error.
  const unit_answer& error() const { return error_; }

 private:
  using clock = std::chrono::steady_clock;
  using key = std::vector<std::string>;

  boost::asio::awaitable<std::optional<end>> pass();
  boost::asio::awaitable<std::optional<end>> batch(const std::optional<key>& from,
                                                   const std::optional<key>& to);
  boost::asio::awaitable<std::optional<own_answer>> ask(std::string sql, std::vector<std::string> parameters);
  boost::asio::awaitable<core::strain> feel();
  double slowdown();
  void tell(clock::time_point now);
  end fail(const own_answer& answer);

  client_session& session_;
  server_dialogue& server_;
  const policies::filling& what_;
  std::string full_name_;
  std::uint32_t table_oid_;
  core::batch_pace pace_;
  unit_answer error_;
  std::int64_t filled_ = 0;  // rows, in this pass
  std::int64_t seen_ = 0;    // rows walked, about
  clock::time_point began_, told_;
  clock::time_point felt_;
  core::strain strain_;
  std::uint64_t statements_ = 0;  // of the application, at the last look
  double statement_seconds_ = 0;
  double usual_ = 0;  // seconds of a statement before the filling; 0: not known
};

}  // namespace tidegate::session
