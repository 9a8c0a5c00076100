#pragma once
// Parse, Bind, Execute … Sync: statements and portals with names. Views point into the body. Pure; any
// thread. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY

#include "protocol/bytes.hpp"
#include "protocol/format_code.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tidegate::protocol {

struct parse {
  std::string_view statement;  // "" is the unnamed one
  std::string_view query;
  std::vector<std::uint32_t> parameter_types;  // 0: the server finds out; may be fewer than the parameters
};

// What Bind connects. Standing at its front, it can be read without the values behind it.
struct bind_names {
  std::string_view portal;
  std::string_view statement;
};

struct bind {
  bind_names names;
  std::vector<format_code> parameter_formats;  // none, one for all, or one each
  std::vector<std::optional<bytes>> parameters;
  std::vector<format_code> result_formats;  // none, one for all, or one each
};

enum class named_object : char { statement = 'S', portal = 'P' };

struct describe {
  named_object kind = named_object::statement;
  std::string_view name;
};

struct close {
  named_object kind = named_object::statement;
  std::string_view name;
};

struct execute {
  std::string_view portal;
  std::int32_t max_rows = 0;  // 0 (PostgreSQL: or less): all
};

struct sync {};
struct flush {};

struct parse_complete {};
struct bind_complete {};
struct close_complete {};
struct no_data {};
struct portal_suspended {};

struct parameter_description {
  std::vector<std::uint32_t> types;
};

[[nodiscard]] result<parse> decode_parse(bytes body);
[[nodiscard]] result<bind> decode_bind(bytes body);
// Reads no further than the names; allocates nothing.
[[nodiscard]] result<bind_names> decode_bind_names(bytes body);
[[nodiscard]] result<describe> decode_describe(bytes body);
[[nodiscard]] result<close> decode_close(bytes body);
[[nodiscard]] result<execute> decode_execute(bytes body);
[[nodiscard]] result<parameter_description> decode_parameter_description(bytes body);

void encode(writer& to, const parse& message);
void encode(writer& to, const bind& message);
void encode(writer& to, const describe& message);
void encode(writer& to, const close& message);
void encode(writer& to, const execute& message);
void encode(writer& to, sync);
void encode(writer& to, flush);
void encode(writer& to, parse_complete);
void encode(writer& to, bind_complete);
void encode(writer& to, close_complete);
void encode(writer& to, no_data);
void encode(writer& to, portal_suspended);
void encode(writer& to, const parameter_description& message);

}  // namespace tidegate::protocol
