#include "proxy/pool/cancel.hpp"

#include "protocol/startup.hpp"
#include "protocol/writer.hpp"
#include "proxy/net/random_bytes.hpp"
#include "proxy/pool/server_connection.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include <openssl/crypto.h>

namespace tidegate::pool {
namespace {

namespace asio = boost::asio;

constexpr std::size_t shard_count = 64;
constexpr std::size_t long_key_size = 32;
constexpr std::byte key_layout{1};

bool same_key(protocol::bytes a, protocol::bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Counts one for as long as it lives.
class counted {
 public:
  explicit counted(std::atomic<unsigned>& count) : count_(count), value_(++count) {}
  ~counted() { --count_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  unsigned value() const { return value_; }

 private:
  std::atomic<unsigned>& count_;
  unsigned value_;
};

// The server closes when the signal is sent: the client may rely on that when its connection closes in turn.
asio::awaitable<bool> deliver(net::message_stream& server, const cancel_target& target,
                              net::deadline& until) {
  protocol::byte_buffer request;
  protocol::writer to(request);
  encode(to, protocol::cancel_request{target.backend_pid, target.backend_key});
  if (co_await server.write(request, until)) co_return false;
  std::array<std::byte, 64> nothing;
  co_await server.transport().read_some(nothing, until);
  co_return true;
}

constexpr unsigned peer_id_bits = 6;
static_assert(config::most_peer_id < 1u << peer_id_bits);

// Behind the key of a request that a gateway sends on, and in its answer.
constexpr std::byte forwarded_mark{0xf0};
constexpr std::byte delivered{'Y'}, not_known{'N'};

// The same request at the gateway that it is for. None: that one could not be reached.
asio::awaitable<std::optional<cancel_outcome>> ask_peer(server_endpoint_ptr peer, std::int32_t pid,
                                                        protocol::byte_buffer key, net::deadline& until) {
  const encryption_choice ways = choose_encryption(*peer);
  auto to = co_await open_connection(peer, ways.first, until);
  if (!to && ways.second) to = co_await open_connection(peer, *ways.second, until);
  if (!to) co_return std::nullopt;
  protocol::byte_buffer request;
  protocol::writer w(request);
  key.push_back(forwarded_mark);
  encode(w, protocol::cancel_request{pid, key});
  if (co_await to->write(request, until)) co_return std::nullopt;
  std::array<std::byte, 1> answer{};
  const auto got = co_await to->transport().read_some(answer, until);
  if (!got || *got == 0) co_return std::nullopt;
  co_return answer[0] == delivered ? cancel_outcome::forwarded
  : answer[0] == not_known         ? cancel_outcome::unknown
                                   : cancel_outcome::failed;
}

}  // namespace

gateway_identity identity_of(const config::peers_settings& settings) {
  if (settings.id == 0) return {};
  return {.id = static_cast<std::uint16_t>(settings.id), .id_bits = peer_id_bits};
}

asio::awaitable<bool> send_cancel(const cancel_target& target, net::deadline& until) {
  auto server =
      co_await open_connection(target.endpoint, target.over_tls ? encryption::tls : encryption::plain, until);
  if (!server) co_return false;
  co_return co_await deliver(*server, target, until);
}

struct cancel_registration::entry {
  std::int32_t pid = 0;
  protocol::byte_buffer key;
  std::atomic<unsigned> in_flight{0};

  std::mutex guard;  // of what follows
  std::shared_ptr<const cancel_target> target;
  std::uint64_t generation = 0;
  std::function<void()> asked;

  void point_to(std::shared_ptr<const cancel_target> to) {
    const std::lock_guard lock(guard);
    target = std::move(to);
    ++generation;
  }
  std::pair<std::shared_ptr<const cancel_target>, std::uint64_t> current() {
    const std::lock_guard lock(guard);
    return {target, generation};
  }
};

struct cancel_registry::shards {
  using entry = cancel_registration::entry;
  struct shard {
    mutable std::mutex guard;
    std::unordered_multimap<std::int32_t, std::shared_ptr<entry>> by_pid;
  };
  std::array<shard, shard_count> all;

  shard& of(std::int32_t pid) { return all[static_cast<std::uint32_t>(pid) % shard_count]; }

  // Compares with every candidate, so that the time tells nothing of which one is near.
  std::shared_ptr<entry> find(std::int32_t pid, protocol::bytes key) {
    shard& in = of(pid);
    const std::lock_guard lock(in.guard);
    std::shared_ptr<entry> found;
    const auto [begin, end] = in.by_pid.equal_range(pid);
    for (auto each = begin; each != end; ++each) {
      if (same_key(each->second->key, key)) found = each->second;
    }
    return found;
  }

  // False when the key is taken already.
  bool add(const std::shared_ptr<entry>& made) {
    shard& in = of(made->pid);
    const std::lock_guard lock(in.guard);
    const auto [begin, end] = in.by_pid.equal_range(made->pid);
    if (std::any_of(begin, end, [&](const auto& each) { return same_key(each.second->key, made->key); }))
      return false;
    in.by_pid.emplace(made->pid, made);
    return true;
  }

  void remove(const entry& gone) {
    shard& in = of(gone.pid);
    const std::lock_guard lock(in.guard);
    const auto [begin, end] = in.by_pid.equal_range(gone.pid);
    const auto found = std::find_if(begin, end, [&](const auto& each) { return each.second.get() == &gone; });
    if (found != end) in.by_pid.erase(found);
  }
};

// A bucket of tokens per source, in a table of fixed size: sources that share a slot share a bucket.
struct cancel_registry::miss_limiter {
  struct bucket {
    double tokens = 0;
    std::chrono::steady_clock::time_point filled;
  };

  miss_limiter(const limits& bounds, std::uint64_t random)
      : rate(bounds.misses_per_second), now(bounds.now), seed(random), buckets(1024) {
    for (bucket& each : buckets) each = {rate * 2, now()};
  }

  bucket& of(const net::peer_address& source) {
    std::string name = source.host();
    if (!source.is_unix && source.ip.is_v6()) {
      const auto bytes = source.ip.to_v6().to_bytes();
      name.assign(bytes.begin(), bytes.begin() + 8);
    }
    return buckets[(std::hash<std::string>{}(name) ^ seed) * 0x9e3779b97f4a7c15u >> 54];
  }

  bool allows(const net::peer_address& source) {
    const std::lock_guard lock(guard);
    bucket& of_source = of(source);
    const auto at = now();
    const std::chrono::duration<double> passed = at - of_source.filled;
    of_source.tokens = std::min(rate * 2, of_source.tokens + passed.count() * rate);
    of_source.filled = at;
    return of_source.tokens >= 1;
  }

  void spend(const net::peer_address& source) {
    const std::lock_guard lock(guard);
    of(source).tokens -= 1;
  }

  const double rate;
  const std::function<std::chrono::steady_clock::time_point()> now;
  const std::uint64_t seed;
  std::mutex guard;
  std::vector<bucket> buckets;
};

cancel_registration::cancel_registration(cancel_registry& registry, std::shared_ptr<entry> made)
    : registry_(&registry), entry_(std::move(made)) {}

cancel_registration::cancel_registration(cancel_registration&& other) noexcept
    : registry_(std::exchange(other.registry_, nullptr)), entry_(std::move(other.entry_)) {}

cancel_registration& cancel_registration::operator=(cancel_registration&& other) noexcept {
  cancel_registration earlier(std::move(*this));
  registry_ = std::exchange(other.registry_, nullptr);
  entry_ = std::move(other.entry_);
  return *this;
}

cancel_registration::~cancel_registration() {
  if (!entry_) return;
  registry_->shards_->remove(*entry_);
  entry_->point_to(nullptr);
}

std::int32_t cancel_registration::pid() const {
  return entry_->pid;
}
const protocol::byte_buffer& cancel_registration::key() const {
  return entry_->key;
}

void cancel_registration::set_target(std::shared_ptr<const cancel_target> target) {
  entry_->point_to(std::move(target));
}

void cancel_registration::clear_target() {
  entry_->point_to(nullptr);
}

void cancel_registration::on_request(std::function<void()> callback) {
  const std::lock_guard lock(entry_->guard);
  entry_->asked = std::move(callback);
}

unsigned cancel_registration::in_flight() const {
  return entry_->in_flight.load();
}

cancel_registry::cancel_registry(gateway_identity identity, random_source random)
    : cancel_registry(identity, std::move(random), limits{}) {}

cancel_registry::cancel_registry(gateway_identity identity, random_source random, limits bounds)
    : identity_(identity),
      random_(random ? std::move(random) : random_source(net::random_bytes)),
      limits_(std::move(bounds)),
      shards_(std::make_unique<shards>()) {
  assert(identity_.id_bits <= 16);
  std::array<std::byte, 8> seed;
  net::random_bytes(seed);
  misses_ = std::make_unique<miss_limiter>(limits_, protocol::load_uint64(seed.data()));
}

cancel_registry::~cancel_registry() = default;

cancel_registration cancel_registry::enroll(std::int32_t pid, protocol::protocol_version of_client,
                                            std::shared_ptr<const cancel_target> target) {
  const auto made = std::make_shared<cancel_registration::entry>();
  made->pid = pid;
  made->target = std::move(target);
  do {
    if (of_client >= protocol::protocol_3_2) {
      made->key.assign(long_key_size, std::byte{});
      made->key[0] = key_layout;
      made->key[2] = static_cast<std::byte>(identity_.id >> 8);
      made->key[3] = static_cast<std::byte>(identity_.id);
      random_(std::span(made->key).subspan(4));
    } else {
      made->key.assign(4, std::byte{});
      random_(made->key);
      if (identity_.id_bits != 0) {
        const unsigned shift = 32 - identity_.id_bits;
        const std::uint32_t random_part = protocol::load_uint32(made->key.data()) & ((1u << shift) - 1);
        protocol::store_uint32(made->key.data(), std::uint32_t{identity_.id} << shift | random_part);
      }
    }
  } while (!shards_->add(made));
  return {*this, made};
}

bool cancel_registry::comes_from_peer(protocol::bytes key) {
  return (key.size() == 5 || key.size() == long_key_size + 1) && key.back() == forwarded_mark;
}

std::byte cancel_registry::answer_for_peer(cancel_outcome outcome) {
  switch (outcome) {
    case cancel_outcome::forwarded:
      return delivered;
    case cancel_outcome::unknown:
      return not_known;
    case cancel_outcome::failed:
      break;
  }
  return std::byte{'F'};
}

// None: not of a gateway that has peers.
std::optional<unsigned> cancel_registry::owner_of(protocol::bytes key) const {
  if (identity_.id_bits == 0) return std::nullopt;
  if (key.size() == 4) return protocol::load_uint32(key.data()) >> (32 - identity_.id_bits);
  if (key.size() != long_key_size || key[0] != key_layout) return std::nullopt;
  return std::to_integer<unsigned>(key[2]) << 8 | std::to_integer<unsigned>(key[3]);
}

asio::awaitable<cancel_outcome> cancel_registry::cancel(std::int32_t pid, protocol::byte_buffer key,
                                                        net::peer_address source, net::deadline& until,
                                                        peer_finder peer) {
  const counted under_way(in_flight_);
  if (under_way.value() > limits_.in_flight || !misses_->allows(source)) {
    ++counters_.limited;
    co_return cancel_outcome::failed;
  }
  const bool by_peer = comes_from_peer(key);
  if (by_peer) key.pop_back();
  const auto entry = shards_->find(pid, key);
  const auto owner = owner_of(key);
  if (!entry && !by_peer && owner && *owner != identity_.id) {
    if (const server_endpoint_ptr other = peer ? peer(*owner) : nullptr) {
      const auto outcome = co_await ask_peer(other, pid, key, until);
      if (outcome == cancel_outcome::unknown) misses_->spend(source);
      ++(!outcome || outcome == cancel_outcome::failed ? counters_.failed
         : outcome == cancel_outcome::unknown          ? counters_.unknown
                                                       : counters_.forwarded);
      co_return outcome.value_or(cancel_outcome::failed);
    }
  }
  if (!entry) {
    misses_->spend(source);
    ++counters_.unknown;
    co_return cancel_outcome::unknown;
  }
  // Counted before the target is read: once the session has changed it and sees 0, nothing of the old one is
  // under way.
  const counted of_entry(entry->in_flight);
  std::function<void()> asked;
  {
    const std::lock_guard lock(entry->guard);
    asked = entry->asked;
  }
  if (asked) asked();
  const auto [target, generation] = entry->current();
  if (!target) {
    ++counters_.outdated;
    co_return cancel_outcome::failed;
  }
  auto server = co_await open_connection(target->endpoint,
                                         target->over_tls ? encryption::tls : encryption::plain, until);
  if (!server) {
    ++counters_.failed;
    co_return cancel_outcome::failed;
  }
  if (entry->current().second != generation) {
    ++counters_.outdated;
    co_return cancel_outcome::failed;
  }
  if (!co_await deliver(*server, *target, until)) {
    ++counters_.failed;
    co_return cancel_outcome::failed;
  }
  ++counters_.forwarded;
  co_return cancel_outcome::forwarded;
}

std::optional<cancel_target> cancel_registry::find(std::int32_t pid, protocol::bytes key) const {
  const auto entry = shards_->find(pid, key);
  if (!entry) return std::nullopt;
  const auto target = entry->current().first;
  return target ? std::optional(*target) : std::nullopt;
}

std::size_t cancel_registry::size() const {
  std::size_t count = 0;
  for (const auto& each : shards_->all) {
    const std::lock_guard lock(each.guard);
    count += each.by_pid.size();
  }
  return count;
}

}  // namespace tidegate::pool
