#pragma once
// What a client has been told its named prepared statements return (Describe), in session mode, so that a
// statement which a schema change has made stale is prepared anew only where the client sees no difference:
// PostgreSQL refuses it with "cached plan must not change result type" for exactly that.
//
// Effects wait for the server's answers by their number in the pipeline, as in prepared_statements.hpp.

#include "proxy/core/fifo.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tidegate::core {

// Names, types and type modifiers of a result's columns, as a hash.
enum class result_shape : std::uint64_t {
  unknown = 0,  // equal to none
  no_rows = 1,
};
// Of a RowDescription message, whole with its header. Unknown when it is malformed.
result_shape shape_of(std::span<const std::byte> row_description);
inline bool same_shape(result_shape a, result_shape b) {
  return a == b && a != result_shape::unknown;
}

class told_results {
 public:
  bool empty() const { return by_name_.empty() && pending_.empty(); }
  // A Describe of a named statement was sent, or a Close.
  void asked(std::uint64_t number, std::string_view name);
  void close_sent(std::uint64_t number, std::string_view name);
  bool waits() const { return !pending_.empty(); }
  bool waits_for(std::uint64_t number) const {
    return !pending_.empty() && pending_.front().number == number;
  }
  // The request with this number has succeeded. `shape`: of a Describe.
  void answered(std::uint64_t number, result_shape shape);
  // Requests before this number were answered or skipped.
  void abandoned_before(std::uint64_t number);

  // None: the client was told nothing, and takes what comes. (A Describe that is not answered counts as
  // nothing: it will tell what is true by then.)
  std::optional<result_shape> find(std::string_view name) const;

 private:
  struct pending {
    std::uint64_t number = 0;
    std::string name = {};
    bool closes = false;
  };

  std::map<std::string, result_shape, std::less<>> by_name_;
  fifo<pending> pending_;
  bool forgot_some_ = false;
};

}  // namespace tidegate::core
