#pragma once
// The comments by which tools divide a migration, line by line. Pure.

#include "proxy/cli/migrations/layout.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli::migrations {

struct text_line {
  std::size_t begin = 0, end = 0;  // in the text; end is behind its newline
  std::string_view text;           // without \r\n
};
std::vector<text_line> lines(std::string_view text);

// "-- migrate:up transaction:false"
struct dbmate_marked {
  direction runs = direction::up;
  bool in_transaction = true;
};
std::optional<dbmate_marked> dbmate_mark(std::string_view line);

// "-- +goose Up": a line of goose's own; some of them it refuses.
bool is_goose_mark(std::string_view line);
// What stands behind "+goose", in lower case: "up", "statementbegin", "no transaction".
std::string goose_word(std::string_view line);

// "-- Up Migration"
std::optional<direction> node_pg_migrate_mark(std::string_view line);

// Divides a text wherever it stands.
inline constexpr std::string_view drizzle_breakpoint = "--> statement-breakpoint";

}  // namespace tidegate::cli::migrations
