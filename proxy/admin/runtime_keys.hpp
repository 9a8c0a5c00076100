#pragma once
// The settings that SHOW CONFIG lists, by their names in the configuration file, and how SET changes those
// that can be changed while the gateway runs. No secrets among them. Pure; any thread.

#include "config/settings.hpp"

#include <span>
#include <string>
#include <string_view>

namespace tidegate::admin {

struct runtime_key {
  std::string_view name;
  std::string (*get)(const config::settings&);
  // Empty: done. Otherwise what would be right. Null: takes effect at a reload or a start only.
  std::string (*set)(config::settings&, std::string_view value) = nullptr;
};

std::span<const runtime_key> runtime_keys();
// Null: there is none of that name.
const runtime_key* find_runtime_key(std::string_view name);

}  // namespace tidegate::admin
