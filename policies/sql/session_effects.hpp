#pragma once
// What a text may leave behind in its session once its transaction is over: settings, channels, cursors,
// locks, temporary objects, names of prepared statements. Transaction pooling asks the server about exactly
// those before it lends it to somebody else. One pass over the tokens; may report what is not there, never
// the reverse, but for what functions do out of sight (docs/limitations.md). No state, any thread.

#include "policies/sql/prefilter.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

enum class session_effect : std::uint16_t {
  settings = 1,
  channels = 2,
  cursors = 4,
  advisory_locks = 8,
  temporary_objects = 16,
  statement_names = 32,  // PREPARE, EXECUTE, DEALLOCATE, DISCARD, pg_prepared_statements
  unmovable = 64,        // what nobody can ask for and no other connection can be given: LOAD, setseed()
  sequence_value = 128,  // currval(), lastval(): reads what the session's last nextval() left
  releases = 256,        // takes away something of the above
  local_settings = 512,  // SET LOCAL: ends with the transaction, but gives texts another meaning meanwhile
  draws_values = 1024,   // may call nextval()
  // Of a text with statement_names: it may also run or show the statements, or do anything else. Without it
  // the text drops some, and matters to their names only.
  statement_texts = 2048,
};

class session_effects {
 public:
  constexpr session_effects() = default;
  constexpr session_effects(session_effect one) : bits_(static_cast<std::uint16_t>(one)) {}

  constexpr bool has(session_effect one) const { return (bits_ & static_cast<std::uint16_t>(one)) != 0; }
  // Whether the server has to be asked when the transaction is over.
  constexpr bool lasting() const { return (bits_ & 127u) != 0; }
  constexpr std::uint16_t bits() const { return bits_; }
  constexpr session_effects& operator|=(session_effects other) {
    bits_ |= other.bits_;
    return *this;
  }
  friend constexpr session_effects operator|(session_effects a, session_effects b) { return a |= b; }
  friend constexpr bool operator==(session_effects, session_effects) = default;

  // Everything that can be asked for: of a DO block, or of a text that can't be read.
  static constexpr session_effects all() {
    session_effects every;
    every.bits_ = 1 | 2 | 4 | 8 | 16 | 32 | 256 | 512 | 1024 | 2048;
    return every;
  }
  constexpr session_effects without(session_effect one) const {
    session_effects others;
    others.bits_ = static_cast<std::uint16_t>(bits_ & ~static_cast<std::uint16_t>(one));
    return others;
  }

 private:
  std::uint16_t bits_ = 0;
};

constexpr session_effects operator|(session_effect a, session_effect b) {
  return session_effects(a) | session_effects(b);
}

// `listed`: functions, lower case, that the configuration says change a session out of sight.
session_effects effects_of(std::string_view text, lexical_settings settings,
                           std::span<const std::string> listed = {});

// classify() and effects_of() in one pass, where the text is harmless.
struct assessment {
  suspicion is = suspicion::harmless;
  session_effects effects;
};
assessment assess(std::string_view text, lexical_settings settings, std::span<const std::string> listed = {});

// Names of customised settings (with a dot) that the text may set: behind SET and RESET, as the first
// argument of set_config(), and every dotted name within $$. Lower case. No view of the server shows these.
// Appends what is new; false when there are more than `most`, or when a name is not written there.
bool collect_custom_settings(std::string_view text, std::vector<std::string>& names, std::size_t most);

}  // namespace tidegate::sql
