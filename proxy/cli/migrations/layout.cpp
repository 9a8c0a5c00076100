#include "proxy/cli/migrations/layout.hpp"

#include "proxy/cli/migrations/file_names.hpp"
#include "proxy/cli/migrations/marks.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace tidegate::cli::migrations {

namespace {

constexpr std::array<std::pair<layout, std::string_view>, 9> names{
    {{layout::sql, "sql"},
     {layout::flyway, "flyway"},
     {layout::golang_migrate, "golang-migrate"},
     {layout::dbmate, "dbmate"},
     {layout::goose, "goose"},
     {layout::node_pg_migrate, "node-pg-migrate"},
     {layout::prisma, "prisma"},
     {layout::drizzle, "drizzle"},
     {layout::sqitch, "sqitch"}}};

}  // namespace

std::string_view name(layout which) {
  return names[static_cast<std::size_t>(which)].second;
}

std::optional<layout> parse_layout(std::string_view name) {
  for (const auto& [which, its_name] : names)
    if (its_name == name) return which;
  return std::nullopt;
}

std::string layout_names() {
  std::string all;
  for (const auto& [which, its_name] : names) all += (all.empty() ? "" : ", ") + std::string(its_name);
  return all;
}

std::optional<layout> layout_of_name(std::string_view path) {
  // a callback's name alone (afterMigrate.sql) is no sure sign
  if (role_of(layout::flyway, path) && path.find("__") != std::string_view::npos) return layout::flyway;
  for (const auto which : {layout::golang_migrate, layout::prisma})
    if (role_of(which, path)) return which;
  return std::nullopt;
}

std::optional<layout> layout_of_text(std::string_view text) {
  for (const auto& line : lines(text)) {
    if (dbmate_mark(line.text)) return layout::dbmate;
    if (is_goose_mark(line.text)) return layout::goose;
    if (node_pg_migrate_mark(line.text)) return layout::node_pg_migrate;
    if (line.text.find(drizzle_breakpoint) != std::string_view::npos) return layout::drizzle;
  }
  return std::nullopt;
}

}  // namespace tidegate::cli::migrations
