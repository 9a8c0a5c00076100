#pragma once
// The version that --version, build_info and the log tell.

#include <string_view>

namespace tidegate {

inline constexpr std::string_view version = TIDEGATE_VERSION;

}  // namespace tidegate
