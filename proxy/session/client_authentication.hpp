#pragma once
// The proof of identity that a client owes by the rule that lets it in. One exchange per handshake;
// everything that the client sends in it is bounded, and a user who does not exist is asked like one who
// does.

#include "config/settings.hpp"
#include "protocol/stored_password.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/message_stream.hpp"
#include "proxy/session/client_handshake.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>

namespace tidegate::session {

class client_authentication {
 public:
  // What the client proves is written into `client`. Everything must outlive it.
  client_authentication(accepted_client& client, const handshake_environment& environment,
                        net::deadline& until)
      : client_(client), environment_(environment), until_(until) {}

  // Nothing: the client may come in. A failure has not been told to the client yet.
  boost::asio::awaitable<std::optional<handshake_failure>> run(const config::auth_rule& rule);

 private:
  using outcome = std::optional<handshake_failure>;

  outcome check_certificate(const config::auth_rule& rule);
  boost::asio::awaitable<outcome> check_scram(const protocol::stored_password* known, bool may_log_in);
  boost::asio::awaitable<outcome> check_md5(const protocol::stored_password* known, bool may_log_in);
  // The secret to run SCRAM with: the user's own, or a made-up one that nobody can tell from it.
  boost::asio::awaitable<protocol::scram_secret> scram_secret_of(const protocol::stored_password* known);
  boost::asio::awaitable<boost::system::result<std::optional<user_secret>>> find_secret();
  // The body of the client's next 'p' message.
  boost::asio::awaitable<outcome> read_answer(protocol::bytes& body);
  boost::asio::awaitable<outcome> send(const protocol::byte_buffer& message);
  handshake_failure wrong(std::string why) const;
  // A secret that serves at the server as well is kept.
  void keep(const protocol::stored_password& known);

  accepted_client& client_;
  const handshake_environment& environment_;
  net::deadline& until_;
};

// What a failed read or write in a handshake means.
handshake_failure lost(boost::system::error_code ec);

}  // namespace tidegate::session
