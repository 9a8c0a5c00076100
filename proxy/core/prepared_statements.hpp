#pragma once
// The prepared statements and portals of a session whose text the pre-filter did not call harmless: what a
// later Execute must be decided by. Sessions that have none (nearly all) pay one test of a bool per message.
//
// Exactness matters: a client that makes the server skip a Parse or Close (by an error earlier in the batch)
// must not make us forget a statement the server still has. So effects wait, in order, until the server
// confirms them; until then lookups answer with every possibility. Requests are named by their number in the
// pipeline (pipeline.hpp).

#include "proxy/core/fifo.hpp"
#include "proxy/core/reading.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::core {

struct suspect_statement {
  std::string text;
  core::reading reading;  // when it was prepared, whatever the settings are when it runs
};
using suspect = std::shared_ptr<const suspect_statement>;

struct suspect_portal {
  suspect statement;
  std::vector<std::byte>
      bind;  // the whole Bind message, to bind again for another try; empty when it was too big to keep
};

class prepared_statements {
 public:
  // Nothing suspicious is known or on its way: nothing needs to be told either.
  bool empty() const { return statements_.empty() && portals_.empty() && pending_.empty(); }
  // The bytes kept; the session refuses a Parse that would pass its bound.
  std::size_t bytes() const { return bytes_; }

  // What was sent. `statement` is null when the pre-filter called it harmless. Harmless ones need not be told
  // while empty().
  void parse_sent(std::uint64_t number, std::string_view name, suspect statement);
  void bind_sent(std::uint64_t number, std::string_view portal, std::string_view statement,
                 std::span<const std::byte> message);
  void close_sent(std::uint64_t number, char kind, std::string_view name);  // kind 'S' or 'P'
  void query_sent(std::uint64_t number);  // a simple query drops the unnamed statement
  void sync_sent() { ++batch_; }

  // The request with this number was answered with success: its effect holds.
  void confirmed(std::uint64_t number);
  // Requests before this number were answered or skipped: effects not confirmed among them never happened.
  void abandoned_before(std::uint64_t number);
  // The transaction that portals lived in has ended, as far as requests before this number go.
  void transaction_ended(std::uint64_t number);

  // Whether an Execute of this portal, sent now, may run something suspicious.
  bool may_be_suspect(std::string_view portal) const;
  // Exact once every request has been answered. Null: harmless or unknown.
  const suspect_portal* portal(std::string_view name) const;
  suspect statement(std::string_view name) const;
  std::vector<suspect> of_named_portals() const;
  bool has_named_statements() const;
  bool has_named_portals() const;
  // Whether a Bind of this statement, sent now, may be of a suspect.
  bool may_be_named(std::string_view statement) const;
  // Sent, and not known to have had their effect. Looking one up may go through all.
  std::size_t waiting() const { return pending_.size(); }

  // SQL has dropped the statement of this name.
  void forgotten(std::string_view name) { forget_statement(std::string(name.substr(0, 63))); }
  // PREPARE name AS …, seen in SQL.
  void prepared_in_sql(std::string_view name, suspect statement);

 private:
  enum class effect_kind : std::uint8_t { parse, bind, close_statement, close_portal, query };
  struct effect {
    std::uint64_t number = 0;
    std::uint64_t batch = 0;
    effect_kind kind = effect_kind::parse;
    std::string name;       // statement or portal
    std::string statement;  // of a bind
    suspect text;           // of a parse; null: harmless
    std::vector<std::byte> bind;
  };

  void apply(effect& e);
  void forget_statement(const std::string& name);
  void forget_portal(const std::string& name);

  std::map<std::string, suspect, std::less<>> statements_;
  struct placed_portal {
    suspect_portal portal;
    std::uint64_t number;
  };
  std::map<std::string, placed_portal, std::less<>> portals_;
  fifo<effect> pending_;
  std::uint64_t batch_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate::core
