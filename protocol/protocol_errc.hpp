#pragma once
// What can be wrong with bytes from a peer. Decoding never throws: each failure is one of these values in a
// boost::system::error_code, whose message is fit for an ErrorResponse (08P01) and a log line.

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace tidegate::protocol {

enum class protocol_errc {
  truncated = 1,         // the body ends inside a field
  trailing_bytes,        // the body goes on after its last field
  missing_terminator,    // a string without its NUL
  bad_count,             // a count that the body cannot hold
  bad_length,            // the length of a value is below -1 or beyond the body
  bad_value,             // a field that must be one of a few values has another
  frame_too_short,       // a length below that of the length field itself
  frame_too_long,        // a length beyond what the caller allows
  startup_length,        // a startup packet outside 8..10000 bytes
  unsupported_protocol,  // a protocol version that is none of ours
};

const boost::system::error_category& protocol_category() noexcept;

inline boost::system::error_code make_error_code(protocol_errc value) noexcept {
  return {static_cast<int>(value), protocol_category()};
}

template <typename T>
using result = boost::system::result<T>;

}  // namespace tidegate::protocol

template <>
struct boost::system::is_error_code_enum<tidegate::protocol::protocol_errc> : std::true_type {};
