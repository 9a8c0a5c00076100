#include "proxy/admin/table.hpp"

#include "protocol/simple_query.hpp"
#include "protocol/writer.hpp"

#include <cstdlib>

namespace tidegate::admin {
namespace {

// pg_type
constexpr std::uint32_t text_oid = 25, int4_oid = 23, int8_oid = 20;

protocol::format_code format_of(std::span<const protocol::format_code> formats, std::size_t index) {
  if (formats.empty()) return protocol::format_code::text;
  return formats.size() == 1      ? formats[0]
         : index < formats.size() ? formats[index]
                                  : protocol::format_code::text;
}

}  // namespace

void append_row_description(protocol::byte_buffer& out, columns of,
                            std::span<const protocol::format_code> formats) {
  protocol::row_description message;
  for (std::size_t i = 0; i < of.size(); ++i) {
    protocol::column_description described;
    described.name = of[i].name;
    described.type_oid = of[i].type == column_type::text   ? text_oid
                         : of[i].type == column_type::int4 ? int4_oid
                                                           : int8_oid;
    described.type_size = of[i].type == column_type::text ? -1 : of[i].type == column_type::int4 ? 4 : 8;
    described.format = format_of(formats, i);
    message.columns.push_back(described);
  }
  protocol::writer to(out);
  encode(to, message);
}

void append_row(protocol::byte_buffer& out, columns of, const row& cells,
                std::span<const protocol::format_code> formats) {
  protocol::writer to(out);
  to.begin_message('D');
  to.count(of.size());
  for (std::size_t i = 0; i < of.size(); ++i) {
    const auto& cell = cells.at(i);
    const bool binary =
        format_of(formats, i) == protocol::format_code::binary && of[i].type != column_type::text;
    if (!cell) {
      to.int32(-1);
    } else if (!binary) {
      to.value(protocol::as_bytes(*cell));
    } else if (of[i].type == column_type::int4) {
      to.int32(4);
      to.int32(static_cast<std::int32_t>(std::strtol(cell->c_str(), nullptr, 10)));
    } else {
      to.int32(8);
      to.int64(std::strtoll(cell->c_str(), nullptr, 10));
    }
  }
  to.end_message();
}

}  // namespace tidegate::admin
