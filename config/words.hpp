#pragma once
// The words of the enumerations in settings.hpp, in the enumerators' order: what a file may say, and what
// messages print.

#include "config/settings.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace tidegate::config {

template <typename Enum>
inline constexpr std::array<std::string_view, 0> words_of{};

template <>
inline constexpr auto words_of<tls_mode> =
    std::to_array<std::string_view>({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"});
template <>
inline constexpr auto words_of<tls_version> = std::to_array<std::string_view>({"1.2", "1.3"});
template <>
inline constexpr auto words_of<auth_method> =
    std::to_array<std::string_view>({"trust", "scram-sha-256", "md5", "cert", "passthrough", "reject"});
template <>
inline constexpr auto words_of<connection_type> = std::to_array<std::string_view>({"any", "local", "host",
                                                                                   "hostssl", "hostnossl"});
template <>
inline constexpr auto words_of<pool_mode> = std::to_array<std::string_view>({"session", "transaction"});
template <>
inline constexpr auto words_of<log_level> = std::to_array<std::string_view>({"trace", "debug", "info",
                                                                             "warning", "error", "off"});
template <>
inline constexpr auto words_of<log_format> = std::to_array<std::string_view>({"logfmt", "json"});
template <>
inline constexpr auto words_of<relay_mode> = std::to_array<std::string_view>({"auto", "epoll", "io_uring"});
template <>
inline constexpr auto words_of<policies::policy_mode> = std::to_array<std::string_view>({"enforce", "observe",
                                                                                         "off"});
template <>
inline constexpr auto words_of<policies::ddl_mode> =
    std::to_array<std::string_view>({"wait", "async", "defer", "plan", "off"});
template <>
inline constexpr auto words_of<policies::verdict> =
    std::to_array<std::string_view>({"allow", "warn", "rewrite", "plan", "block"});

template <typename Enum>
constexpr std::string_view word(Enum value) {
  return words_of<Enum>[static_cast<std::size_t>(value)];
}

template <typename Enum>
constexpr std::optional<Enum> parse_word(std::string_view text) {
  for (std::size_t i = 0; i < words_of<Enum>.size(); ++i) {
    if (words_of<Enum>[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace tidegate::config
