#pragma once
// The first look at every query string, on the data path: certainly harmless text is forwarded without being
// parsed or copied. One pass over the bytes; no allocation, no lock, any thread.
//
// Harmless means: whatever PostgreSQL 12 to 18 makes of the text, it changes no catalog, takes no lock beyond
// what reading and writing rows takes, sets no setting, and every UPDATE and DELETE in it has a WHERE (one of
// nothing but constants counts as none). Everything else, and every doubt, is suspicious
// and goes to parse.hpp. What functions do inside can't be seen (docs/limitations.md).

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

enum class suspicion { harmless, suspicious };

// As the server reported them (ParameterStatus). A client that changes one of them and sends on without
// waiting for the answer is read with the old value: pass both as false until the answer is known.
struct lexical_settings {
  bool standard_conforming_strings = true;
  bool ascii_safe_encoding = true;  // encoding.hpp: of client_encoding
};

suspicion classify(std::string_view text, lexical_settings settings);

// Whether a single statement that classify() calls harmless runs another that was prepared before, or a part
// of its result: EXECUTE, FETCH, MOVE.
bool reaches_prepared(std::string_view text);

// Whether an identifier of the text may be one of the names (as PostgreSQL keeps them: folded, without
// quotes). True in doubt: an unterminated quote, U&"", a name behind byte 0x7f, a name inside $$ or a DO
// body.
bool mentions_any(std::string_view text, lexical_settings settings, std::span<const std::string_view> names);

// Every word and quoted identifier of the text as PostgreSQL keeps it (folded, without quotes, cut), in
// order. None in doubt: the text may name anything (as for mentions_any, and within $$ anywhere).
std::optional<std::vector<std::string>> identifiers_of(std::string_view text, lexical_settings settings);

// Whether the text holds these ASCII letters anywhere, in any case: `prefix` is lower case.
bool mentions_prefix(std::string_view text, std::string_view prefix);

// Whether the text begins like a command of the replication protocol (IDENTIFY_SYSTEM, START_REPLICATION, …).
// Only a walsender connection understands them; there they are no SQL and need no parser.
bool is_replication_command(std::string_view text);

}  // namespace tidegate::sql
