#pragma once
// Text or binary: how a value is written on the wire. Shared by the messages that carry values. Pure; any
// thread.

#include "protocol/reader.hpp"
#include "protocol/writer.hpp"

#include <cstdint>
#include <vector>

namespace tidegate::protocol {

enum class format_code : std::uint16_t { text = 0, binary = 1 };

// Fails the reader with bad_value when it is neither.
format_code read_format_code(reader& in);

// A counted list. Its meaning where the message allows it: none, all text; one, for all; else one each.
std::vector<format_code> read_format_codes(reader& in);
void write_format_codes(writer& to, const std::vector<format_code>& codes);

}  // namespace tidegate::protocol
