#pragma once
// Unguessable bytes: nonces, salts, cancel keys. From OpenSSL's generator, which is asked for many at a time:
// a login needs few, and asking costs it more than all else that is done for its cancel key.

#include <cstddef>
#include <span>

namespace tidegate::net {

// Any thread; each has a store of its own, and what was given out is wiped from it. Throws std::runtime_error
// when the generator fails.
void random_bytes(std::span<std::byte> into);

}  // namespace tidegate::net
