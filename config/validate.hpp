#pragma once
// What must hold between settings of different places. Problems are noted where the one of them stands that
// is easier to change.

#include "config/section_reader.hpp"
#include "config/settings.hpp"

namespace tidegate::config {

void validate(const settings& all, reading& into);

}  // namespace tidegate::config
