#pragma once
// A table of the console and its messages. Values; any thread.

#include "protocol/bytes.hpp"
#include "protocol/format_code.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::admin {

enum class column_type : std::uint8_t { text, int4, int8 };

struct column {
  std::string_view name;
  column_type type = column_type::text;
};

using row = std::vector<std::optional<std::string>>;  // one cell for each column, as text; none: NULL
using rows = std::vector<row>;

// Every table's columns are known without making it: Describe tells them.
using columns = std::span<const column>;

// `formats` as in Bind: none, one for all, or one each.
void append_row_description(protocol::byte_buffer& out, columns of,
                            std::span<const protocol::format_code> formats);
void append_row(protocol::byte_buffer& out, columns of, const row& cells,
                std::span<const protocol::format_code> formats);

}  // namespace tidegate::admin
