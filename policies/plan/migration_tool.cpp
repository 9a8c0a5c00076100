#include "policies/plan/migration_tool.hpp"

#include <algorithm>
#include <array>

namespace tidegate::policies {
namespace {

struct known_tool {
  std::string_view in_name;     // part of application_name, lower case
  std::string_view in_comment;  // part of a comment, lower case
  std::string_view way;
};

// From the tools' own documentation.
constexpr std::array tools = {
    known_tool{"rails", "framework='rails", "Rails: disable_ddl_transaction! in the migration class"},
    known_tool{"rake", "controller_with_namespace", "Rails: disable_ddl_transaction! in the migration class"},
    known_tool{"django", "framework='django", "Django: atomic = False in the Migration class"},
    known_tool{"alembic", "alembic", "Alembic: with op.get_context().autocommit_block():"},
    known_tool{"flyway", "flyway", "Flyway: executeInTransaction=false in the script's .conf file"},
    known_tool{"liquibase", "liquibase", "Liquibase: runInTransaction: false on the changeSet"},
    known_tool{"node-pg-migrate", "node-pg-migrate", "node-pg-migrate: pgm.noTransaction()"},
    known_tool{"knex", "knex", "Knex: exports.config = { transaction: false }"},
    known_tool{"golang-migrate", "golang-migrate",
               "golang-migrate: the statement in a file of its own, without BEGIN"},
    known_tool{"dbmate", "dbmate", "dbmate: -- migrate:up transaction:false"},
    known_tool{"goose", "goose", "goose: -- +goose NO TRANSACTION"},
    known_tool{"typeorm", "typeorm",
               "TypeORM: transaction = false in the migration class, and --transaction each"},
    known_tool{"drizzle", "drizzle",
               "drizzle: between COMMIT; and BEGIN;, with --> statement-breakpoint between them"},
    known_tool{"sequelize", "sequelize", "Sequelize: the statement without { transaction }"},
    known_tool{"prisma", "prisma", "Prisma: the statement in a migration.sql of its own"},
};

bool contains(std::string_view text, std::string_view lower) {
  return std::search(text.begin(), text.end(), lower.begin(), lower.end(), [](char c, char l) {
           return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == l;
         }) != text.end();
}

bool has_comment(std::string_view text) {
  return text.find("/*") != std::string_view::npos || text.find("--") != std::string_view::npos;
}

}  // namespace

std::string_view outside_transaction(std::string_view application, std::string_view statement) {
  for (const auto& tool : tools)
    if (contains(application, tool.in_name)) return tool.way;
  if (!has_comment(statement)) return {};
  for (const auto& tool : tools)
    if (contains(statement, tool.in_comment)) return tool.way;
  return {};
}

}  // namespace tidegate::policies
