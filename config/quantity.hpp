#pragma once
// Durations and sizes as people write them. Pure.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate::config {

// "50ms", "1.5s", "5min" (or "5m"), "1h", "1d", and "0". A number without a unit is none, so that nobody
// takes seconds for milliseconds. None as well: negative, finer than a millisecond, beyond 2147483647 ms
// (what PostgreSQL's timeouts take).
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// "512kB", "8MB", "1GB", "8MiB", … or a plain number of bytes. Units are powers of 1024, with and without the
// i, as in PostgreSQL's settings. None: negative, a fraction of a byte, beyond 2^62.
std::optional<std::int64_t> parse_size(std::string_view text);

}  // namespace tidegate::config
