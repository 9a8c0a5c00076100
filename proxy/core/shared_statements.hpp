#pragma once
// Prepared statements when servers are shared (transaction pooling). A client's names are its own; on servers
// each text stands under one name of the gateway's, so that clients with the same text use the same plan. The
// unnamed statement keeps its name: its Parse is sent again where a later Bind finds another server.
//
// As in prepared_statements.hpp, effects wait in order until the server confirms them, by their number in the
// pipeline: an error makes a server skip what was sent behind it.

#include "policies/sql/session_effects.hpp"
#include "proxy/core/fifo.hpp"
#include "proxy/core/reading.hpp"
#include "proxy/core/told_results.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tidegate::core {

// Names on servers begin so; a client's own that does is never taken for one.
inline constexpr std::string_view shared_name_prefix = "tidegate_";

struct shared_statement {
  std::uint64_t id = 0;
  std::string name;                      // on servers
  std::string meaning;                   // what gives the text its own, besides the text
  std::vector<std::byte> body;           // of the Parse message, behind the name: text, NUL, types
  std::optional<core::reading> reading;  // none: the text is plain
  sql::session_effects effects;
};
using shared_statement_ptr = std::shared_ptr<const shared_statement>;

// All statements that some client or server has, by text, types and what gives the text its meaning. Any
// thread; used when a named statement is parsed, not when it runs.
class statement_registry {
 public:
  // `meaning`: the client's settings, in any form that is equal when they are.
  shared_statement_ptr intern(std::string_view meaning, const core::reading& reading,
                              std::span<const std::byte> body, sql::session_effects effects);

  struct statement_row {
    std::string name, text;
    long uses = 0;  // clients and servers that have it
  };
  std::vector<statement_row> rows() const;

 private:
  struct shard {
    mutable std::mutex guard;
    std::unordered_multimap<std::size_t, std::weak_ptr<const shared_statement>> by_hash;
    std::size_t sweep_at = 64;  // entries nobody has any more are taken out when the map grows to this
  };
  static constexpr std::size_t shard_count = 16;

  shard shards_[shard_count];
};

// Which of them one server has. Belongs to the server; told by the session that it is lent to.
class server_statements {
 public:
  // Under a later epoch than they were prepared under (schema_epochs.hpp), none of them counts any more: each
  // is prepared anew before it is used.
  void renew(std::uint64_t now) {
    if (epoch_ != now) forget_all();
    epoch_ = now;
  }
  std::uint64_t epoch() const { return epoch_; }

  // Sent before in the same batch, or confirmed: a message that names it may be sent now, which counts as a
  // use.
  bool use(const shared_statement& statement, std::uint64_t batch);
  // Answers that are under way decide what it has.
  bool awaits_answers() const { return !pending_.empty(); }

  void parse_sent(std::uint64_t number, std::uint64_t batch, shared_statement_ptr statement);
  // It was prepared between the client's messages, and returns this.
  void prepared(shared_statement_ptr statement, result_shape shape);
  // What it returns on this server. None: it was not asked yet.
  std::optional<result_shape> shape(const shared_statement& statement) const;
  void described(const shared_statement& statement, result_shape shape);
  // When there are `most` or more, or they have so many bytes: the one that was not used for the longest
  // time; it is forgotten, the caller closes it on the server. Null: there is room, or nothing that is
  // confirmed.
  shared_statement_ptr evict(std::size_t most, std::size_t most_bytes);
  void confirmed(std::uint64_t number);
  void abandoned_before(std::uint64_t number);
  // The names of ours that the server still has; what is not among them is forgotten.
  void keep_only(const std::set<std::string, std::less<>>& names);
  void forget_all();

  std::size_t size() const { return by_id_.size(); }

 private:
  struct entry {
    shared_statement_ptr statement;
    std::optional<result_shape> shape = {};
  };
  struct pending {
    std::uint64_t number, batch;
    shared_statement_ptr statement;
  };
  void pop_pending();

  std::list<entry> by_use_;  // the latest first
  std::unordered_map<std::uint64_t, std::list<entry>::iterator> by_id_;
  std::deque<pending> pending_;
  std::unordered_map<std::uint64_t, pending*>
      latest_;             // of those, by id: deep pipelines are asked about each
  std::size_t bytes_ = 0;  // of the texts, pending ones included
  std::uint64_t epoch_ = 0;
};

// The statements of one client, by its own names.
class client_statements {
 public:
  enum class answer : std::uint8_t {
    none,  // no such statement
    found,
    in_doubt,  // an unanswered batch decides it: ask again when it is answered
  };
  struct lookup {
    answer is = answer::none;
    const shared_statement_ptr* statement = nullptr;  // found: until the statements change
    std::optional<result_shape> told = {};            // what the client knows that it returns
  };
  lookup find(std::string_view name) const;
  // The client was told what it returns.
  void told(std::string_view name, result_shape shape);
  // The same text with another meaning, which it has got since it was prepared.
  void replace(std::string_view name, shared_statement_ptr statement);

  struct unnamed_lookup {
    answer is = answer::none;
    bool in_batch = false;  // found: it was parsed in the batch at hand; none: it was closed in it
    sql::session_effects effects;
    const core::reading* reading = nullptr;  // of an earlier batch; null: the text is plain
  };
  unnamed_lookup find_unnamed() const;
  // What it was last parsed from, but for the batch at hand.
  std::span<const std::byte> unnamed_body() const { return unnamed_; }

  void parse_sent(std::uint64_t number, std::string_view name, shared_statement_ptr statement);
  // `reading`: null, the text is plain.
  void unnamed_sent(std::uint64_t number, const core::reading* reading, std::span<const std::byte> body,
                    sql::session_effects effects);
  void close_sent(std::uint64_t number, std::string_view name);
  void query_sent(std::uint64_t number);  // drops the unnamed statement
  void sync_sent() { ++batch_; }
  // True: the unnamed statement was parsed or closed, so the server's is this client's.
  bool confirmed(std::uint64_t number);
  // The request was answered by an error.
  void failed(std::uint64_t number);
  void abandoned_before(std::uint64_t number);

  std::uint64_t batch() const { return batch_; }
  // Answers that are under way decide some of them.
  bool awaits_answers() const { return !pending_.empty(); }
  // Sure only while nothing waits. In the order in which they were prepared.
  std::vector<std::pair<std::string_view, shared_statement_ptr>> named() const;
  bool has_named() const { return !named_.empty() || !outlooks_.empty(); }
  void forget(std::string_view name);
  void forget_unnamed() { has_unnamed_ = false; }
  // All but those whose shared statement is among these.
  void forget_named_but(const std::set<std::string, std::less<>>& prepared_since);
  // Of the named ones, those on their way included.
  std::size_t bytes() const { return bytes_; }

 private:
  enum class effect_kind : std::uint8_t { parse, parse_unnamed, close, query };
  struct effect {
    std::uint64_t number = 0;
    std::uint64_t batch = 0;
    effect_kind kind = effect_kind::parse;
    sql::session_effects effects;               // parse_unnamed
    std::string name;                           // parse, close
    shared_statement_ptr statement;             // parse
    std::vector<std::byte> body;                // parse_unnamed
    std::optional<core::reading> reading = {};  // parse_unnamed; none: the text is plain
  };

  struct named_statement {
    shared_statement_ptr statement;
    std::uint64_t order = 0;
    std::optional<result_shape> told = {};
  };
  // What the last effect that waits will make of a name. Deep pipelines ask for each message.
  struct outlook {
    std::uint64_t number = 0, batch = 0;
    shared_statement_ptr statement;  // null: none; of the unnamed one always
    bool parsed = false;
    sql::session_effects effects;  // of the unnamed one
  };

  void add(effect e);
  void apply(effect& e);
  void pop_pending();

  std::map<std::string, named_statement, std::less<>> named_;
  std::uint64_t next_order_ = 0;
  std::vector<std::byte> unnamed_;
  std::vector<std::byte> spare_;  // so that parsing the unnamed statement again allocates nothing
  sql::session_effects unnamed_effects_;
  std::optional<core::reading> unnamed_reading_;
  bool has_unnamed_ = false;
  fifo<effect> pending_;
  std::map<std::string, outlook, std::less<>> outlooks_;
  std::optional<outlook> unnamed_outlook_;
  std::size_t bytes_ = 0;
  std::uint64_t batch_ = 1;
};

}  // namespace tidegate::core
