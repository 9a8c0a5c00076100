#pragma once
// Schema changes of a session whose transaction has not ended yet: what of them stands is told when it has.
//
// In a transaction a custom setting is the witness: before each change its number is appended to
// tidegate.ledger, which PostgreSQL takes back with the transaction and with each savepoint, seen by the
// gateway or not. When the session is at rest it is read and emptied. Pure; one per session.

#include "proxy/control/ddl_ledger.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::session {

class ddl_trail {
 public:
  // Changes of one transaction: both bounds hold.
  static constexpr std::size_t most = 10'000;
  static constexpr std::size_t most_bytes = 16 * 1024 * 1024;

  enum class witness : std::uint8_t {
    setting,    // its number stands in the setting
    no_errors,  // alone in its batch: it stands unless an error has followed
    none,
  };

  // For the next change; never 0.
  std::uint64_t next_number() { return ++last_; }
  // What marks it, to be run on the client's connection before it.
  std::string mark(std::uint64_t number);
  // Reads the setting, and empties it.
  static std::string_view read_marks();
  // Whether the setting, as it was read, has the number.
  static bool is_marked(std::string_view marks, std::uint64_t number);
  static std::string_view clear_marks();

  // A change that has succeeded. `errors`: that the session had seen by then. False: there are too many.
  bool keep(control::ddl_entry entry, witness by, std::uint64_t number, std::uint64_t errors);
  // The transaction was prepared.
  void prepared();

  bool empty() const { return kept_.empty() && !marked_; }
  bool marked() const { return marked_; }  // the setting has to be read and emptied

  // What stands, in order, and forgets all. `marks`: the setting; none: it could not be read.
  std::vector<control::ddl_entry> settle(const std::optional<std::string>& marks, std::uint64_t errors);
  // The same where nothing can be asked any more.
  std::vector<control::ddl_entry> abandon();

 private:
  struct change {
    control::ddl_entry entry;
    witness by = witness::none;
    std::uint64_t number = 0;
    std::uint64_t errors = 0;
  };
  std::vector<change> kept_;
  std::size_t kept_bytes_ = 0;
  std::uint64_t last_ = 0;
  bool marked_ = false;
};

}  // namespace tidegate::session
