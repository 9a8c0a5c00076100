#pragma once
// What a line of the log is made of: an event's name, its rate limit, and fields. Any thread.

#include "config/settings.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace tidegate::log {

// A string literal as template argument: each event's state is found by the compiler, not by a look-up.
template <std::size_t N>
struct event_name {
  char text[N]{};
  consteval event_name(const char (&literal)[N]) {
    std::copy_n(literal, N, text);
  }  // NOLINT: meant to convert
  constexpr std::string_view view() const { return {text, N - 1}; }
};

// One field; a string is only looked at during the call.
struct field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  template <std::convertible_to<std::string_view> T>
  field(std::string_view field_name, const T& text) : name(field_name), value(std::string_view(text)) {}
  field(std::string_view field_name, bool truth) : name(field_name), value(truth) {}
  field(std::string_view field_name, std::floating_point auto number)
      : name(field_name), value(static_cast<double>(number)) {}
  field(std::string_view field_name, std::signed_integral auto number)
      : name(field_name), value(static_cast<std::int64_t>(number)) {}
  field(std::string_view field_name,
        std::unsigned_integral auto number) requires(!std::same_as<decltype(number), bool>)
      : name(field_name), value(static_cast<std::uint64_t>(number)) {}
};

// At most so many lines of one event per second; the rest is counted.
inline constexpr unsigned lines_per_second = 20;

// Rate limit of one event: windows of a second. Lock-free; under a race at a window's edge a few lines more
// may pass.
class event_state {
 public:
  constexpr explicit event_state(std::string_view name) : name_(name) {}

  std::string_view name() const { return name_; }

  // Whether a line may be written now, and then how many were suppressed since the last one that was.
  std::optional<std::uint64_t> admit(std::chrono::steady_clock::time_point now);

  // The suppressed ones that no line has told of yet; resets the count.
  std::uint64_t take_suppressed() { return suppressed_.exchange(0, std::memory_order_relaxed); }

 private:
  std::string_view name_;
  std::atomic<std::int64_t> window_{-1};
  std::atomic<unsigned> written_{0};
  std::atomic<std::uint64_t> suppressed_{0};

 public:
  // The list of events that were ever logged, for report_suppressed(): an event enters once and stays.
  std::atomic<bool> is_listed{false};
  event_state* next_listed = nullptr;
};

template <event_name name>
inline constinit event_state state_of{name.view()};

// The part of a line after time and level: `event=x field=value` or `"event":"x","field":"value"`. Strings
// longer than 1,024 bytes are cut.
std::string format_fields(config::log_format format, std::string_view event,
                          std::initializer_list<field> fields, std::uint64_t suppressed);

}  // namespace tidegate::log
