#pragma once
// Cancel keys that the gateway makes, and the way of a CancelRequest to the right server.
//
// A client sees the real backend pid and a secret of ours, never the server's. Keys come from the system's
// generator.
//   protocol 3.0: 32 bits: [gateway id: id_bits][random: 32 - id_bits]. With id_bits 0 (one gateway) a guess
//   that already
//     knows the pid hits with 2^-32; each miss costs its source a token (10 a second), so a guesser needs
//     years.
//   protocol 3.2: 32 bytes: [layout: 1][reserved: 1][gateway id: 2][random: 28].
// A request with another gateway's id goes to that one, with one byte more behind the key, and is answered by
// a byte that says whether there was such a session: so a request travels once at most, and who guesses is
// limited where it came in.
// A request must match pid and secret; all candidates are compared in constant time.
//
// A registration follows one session. It names the session's server of the moment; when that changes,
// requests under way for the earlier one are dropped (generation). Lookups come from any thread; the map is
// sharded by pid and off the data path.

#include "config/settings.hpp"
#include "protocol/bytes.hpp"
#include "protocol/startup.hpp"
#include "proxy/net/address.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/pool/server_endpoint.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace tidegate::pool {

// Which gateway a key belongs to, when several stand before one database and forward requests to each other.
struct gateway_identity {
  std::uint16_t id = 0;
  unsigned id_bits = 0;  // how many bits of a 3.0 secret name the gateway: 0 to 16
};

// `settings`: 6 bits, if there are peers.
gateway_identity identity_of(const config::peers_settings& settings);

// The server side of a session, as a cancel request needs it.
struct cancel_target {
  server_endpoint_ptr endpoint;
  bool over_tls = false;  // the session's connection is encrypted: the request is too, or is not sent
  std::int32_t backend_pid = 0;
  protocol::byte_buffer backend_key;
};

struct cancel_counters {
  std::atomic<std::uint64_t> forwarded{0};
  std::atomic<std::uint64_t> unknown{0};  // no such key
  std::atomic<std::uint64_t> limited{0};  // too many under way, or too many misses from that source
  std::atomic<std::uint64_t> outdated{
      0};  // the session had no server, or another, when the request was about to go
  std::atomic<std::uint64_t> failed{0};  // the server could not be reached
};

enum class cancel_outcome : std::uint8_t {
  forwarded,  // the server has it
  unknown,    // no such key, or too many misses from that source
  failed,     // the server could not be reached, is another by now, or too many requests are under way
};

// Sends the server one CancelRequest and returns when it has taken it. False: it could not be reached in
// time.
boost::asio::awaitable<bool> send_cancel(const cancel_target& target, net::deadline& until);

class cancel_registry;

// Held by a session; its end takes the key out of the registry. Moves with the session; one thread at a time.
class cancel_registration {
 public:
  cancel_registration() = default;
  cancel_registration(cancel_registration&& other) noexcept;
  cancel_registration& operator=(cancel_registration&& other) noexcept;
  ~cancel_registration();

  explicit operator bool() const { return entry_ != nullptr; }
  // What the client gets in BackendKeyData.
  std::int32_t pid() const;
  const protocol::byte_buffer& key() const;

  // The session has moved to another server, or has none until the next transaction.
  void set_target(std::shared_ptr<const cancel_target> target);
  void clear_target();
  // Called, on the thread that received it, for every cancel request of this session, before the server is
  // asked: a statement may be waiting here and not there.
  void on_request(std::function<void()> callback);
  // Cancel requests of this session that may still reach its server: until 0, the server connection must not
  // serve another client.
  unsigned in_flight() const;

 private:
  friend class cancel_registry;
  struct entry;
  cancel_registration(cancel_registry& registry, std::shared_ptr<entry> made);

  cancel_registry* registry_ = nullptr;
  std::shared_ptr<entry> entry_;
};

class cancel_registry {
 public:
  // `random` fills a span with unguessable bytes (tests inject one); empty means OpenSSL's generator.
  using random_source = std::function<void(std::span<std::byte>)>;
  struct limits {
    unsigned in_flight = 64;          // requests on their way to servers
    unsigned misses_per_second = 10;  // of one source address (IPv6: its /64), in bursts of twice as many
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
  };

  explicit cancel_registry(gateway_identity identity = {}, random_source random = {});
  cancel_registry(gateway_identity identity, random_source random, limits bounds);
  ~cancel_registry();
  cancel_registry(const cancel_registry&) = delete;
  cancel_registry& operator=(const cancel_registry&) = delete;

  // A key for a new session, shown to the client with `pid` (the real backend's) and made for the client's
  // protocol. The registry outlives the registration.
  // Without a target until set_target().
  cancel_registration enroll(std::int32_t pid, protocol::protocol_version of_client,
                             std::shared_ptr<const cancel_target> target);

  // Answers a CancelRequest that came from `source`: finds the session, sends its server the real request and
  // returns when the server has taken it (closed the connection), as libpq expects. Nothing is ever told to
  // the sender. The caller then closes the client's connection. Runs on the executor of the coroutine.
  // `peer`: where the gateway with an id is; null: nobody knows.
  using peer_finder = std::function<server_endpoint_ptr(unsigned id)>;
  boost::asio::awaitable<cancel_outcome> cancel(std::int32_t pid, protocol::byte_buffer key,
                                                net::peer_address source, net::deadline& until,
                                                peer_finder peer = {});
  // Another gateway has sent it on, and waits for the byte that says what came of it.
  static bool comes_from_peer(protocol::bytes key);
  static std::byte answer_for_peer(cancel_outcome outcome);

  // The server of the session with that pid and key, if there is one now. For tests and for SHOW.
  std::optional<cancel_target> find(std::int32_t pid, protocol::bytes key) const;

  const cancel_counters& counters() const { return counters_; }
  std::size_t size() const;

 private:
  friend class cancel_registration;
  struct shards;
  std::optional<unsigned> owner_of(protocol::bytes key) const;
  struct miss_limiter;

  gateway_identity identity_;
  random_source random_;
  limits limits_;
  cancel_counters counters_;
  std::atomic<unsigned> in_flight_{0};
  std::unique_ptr<shards> shards_;
  std::unique_ptr<miss_limiter> misses_;
};

}  // namespace tidegate::pool
