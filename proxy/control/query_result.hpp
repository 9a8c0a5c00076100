#pragma once
// What a query of the gateway's own gives back, as text cells: the shape in which both libpq (control
// connections) and queries injected on a client's server connection deliver their rows, so that one decoder
// serves both. Values only.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/system/result.hpp>

namespace tidegate::control {

using text_cell = std::optional<std::string>;  // none: NULL
using text_row = std::vector<text_cell>;
using text_rows = std::vector<text_row>;

struct query_result {
  text_rows rows;
  std::string command_tag;  // "SELECT 3"
};

// SQLSTATEs of failures that the server did not report itself.
namespace failure {
inline constexpr std::string_view connection = "08006";  // could not connect, or the connection broke
inline constexpr std::string_view deadline = "57014";    // no answer in time
inline constexpr std::string_view overloaded = "53300";  // too many queries wait for a control connection
inline constexpr std::string_view shutdown = "57P01";    // the control plane is being stopped
}  // namespace failure

struct sql_error {
  std::string sqlstate;
  std::string message;  // one line, the server's own words; never logged together with parameters

  sql_error() = default;
  sql_error(std::string state, std::string words) : sqlstate(std::move(state)), message(std::move(words)) {}

  bool is_lock_timeout() const { return sqlstate == "55P03"; }
};

template <class T>
using outcome = boost::system::result<T, sql_error>;

// outcome<T>::value() on an error; callers of ours test first.
[[noreturn]] inline void throw_exception_from_error(const sql_error& error, const boost::source_location&) {
  throw std::runtime_error(error.sqlstate + ": " + error.message);
}

// A cell as text ("" for NULL or a missing column), as a number, as a boolean ('t').
std::string text(const text_row& row, std::size_t column);
template <class Number>
std::optional<Number> number(const text_row& row, std::size_t column);
bool truth(const text_row& row, std::size_t column);
// A time as SHOW spells it ("50ms", "2min", "0"), in milliseconds.
std::int64_t setting_in_ms(std::string_view shown);
// The elements of an array in PostgreSQL's output form, {a,"b c",NULL}; NULL elements become "".
std::vector<std::string> array(const text_row& row, std::size_t column);
// The input form of an array of oids or other plain words: {1,2,3}.
template <class Range>
std::string array_literal(const Range& words);
// The input form of an array of any texts.
std::string text_array(const std::vector<std::string>& texts);
// The input form of a bytea: \x0aff.
std::string bytea(std::span<const std::byte> bytes);

}  // namespace tidegate::control

#include "proxy/control/query_result_inl.hpp"
