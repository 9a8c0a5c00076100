#pragma once
// The tools whose migrations `tidegate check` reads, and the signs by which a file tells whose it is. What
// each of them does is in docs/check.md. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::cli::migrations {

enum class layout { sql, flyway, golang_migrate, dbmate, goose, node_pg_migrate, prisma, drizzle, sqitch };

enum class direction { up, down };

std::string_view name(layout which);  // as on the command line: "golang-migrate"
std::optional<layout> parse_layout(std::string_view name);
std::string layout_names();  // "sql, flyway, …", for messages

// By the name of a file; none: any tool may have such a name.
std::optional<layout> layout_of_name(std::string_view path);
// By the marks in its text.
std::optional<layout> layout_of_text(std::string_view text);

}  // namespace tidegate::cli::migrations
