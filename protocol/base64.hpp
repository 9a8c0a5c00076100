#pragma once
// Base64 of RFC 4648, strictly: standard alphabet, padded, no white space, no stray bits. Pure; any thread.

#include "protocol/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::protocol {

std::string encode_base64(bytes data);

// Nothing if the text is not the one encoding of some bytes.
std::optional<byte_buffer> decode_base64(std::string_view text);

}  // namespace tidegate::protocol
