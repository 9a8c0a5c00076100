#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

struct other_kind {
  std::string_view parser_name, tag;
  bool ddl = true;
  object_kind kind = object_kind::other;
};

// Statements that are told apart only by their name. Those of the catalog unless it says otherwise.
constexpr other_kind others[] = {
    {"AlterCollationStmt", "ALTER COLLATION", true, object_kind::collation},
    {"AlterDatabaseRefreshCollStmt", "ALTER DATABASE", true, object_kind::database},
    {"AlterDatabaseStmt", "ALTER DATABASE", true, object_kind::database},
    {"AlterEventTrigStmt", "ALTER EVENT TRIGGER", true, object_kind::event_trigger},
    {"AlterExtensionContentsStmt", "ALTER EXTENSION", true, object_kind::extension},
    {"AlterExtensionStmt", "ALTER EXTENSION", true, object_kind::extension},
    {"AlterFdwStmt", "ALTER FOREIGN DATA WRAPPER"},
    {"AlterForeignServerStmt", "ALTER SERVER", true, object_kind::foreign_server},
    {"AlterFunctionStmt", "ALTER FUNCTION", true, object_kind::function},
    {"AlterObjectDependsStmt", "ALTER"},
    {"AlterOpFamilyStmt", "ALTER OPERATOR FAMILY"},
    {"AlterOperatorStmt", "ALTER OPERATOR", true, object_kind::operator_},
    {"AlterOwnerStmt", "ALTER"},
    {"AlterRoleStmt", "ALTER ROLE", true, object_kind::role},
    {"AlterSeqStmt", "ALTER SEQUENCE", true, object_kind::sequence},
    {"AlterStatsStmt", "ALTER STATISTICS", true, object_kind::statistics},
    {"AlterSubscriptionStmt", "ALTER SUBSCRIPTION", true, object_kind::subscription},
    {"AlterTSConfigurationStmt", "ALTER TEXT SEARCH CONFIGURATION"},
    {"AlterTSDictionaryStmt", "ALTER TEXT SEARCH DICTIONARY"},
    {"AlterTableSpaceOptionsStmt", "ALTER TABLESPACE", true, object_kind::tablespace},
    {"AlterTypeStmt", "ALTER TYPE", true, object_kind::type},
    {"AlterUserMappingStmt", "ALTER USER MAPPING"},
    {"CheckPointStmt", "CHECKPOINT", false},
    {"ClosePortalStmt", "CLOSE CURSOR", false},
    {"CompositeTypeStmt", "CREATE TYPE", true, object_kind::composite_type},
    {"ConstraintsSetStmt", "SET CONSTRAINTS", false},
    {"CreateAmStmt", "CREATE ACCESS METHOD"},
    {"CreateCastStmt", "CREATE CAST", true, object_kind::cast},
    {"CreateConversionStmt", "CREATE CONVERSION"},
    {"CreateDomainStmt", "CREATE DOMAIN", true, object_kind::domain},
    {"CreateEventTrigStmt", "CREATE EVENT TRIGGER", true, object_kind::event_trigger},
    {"CreateExtensionStmt", "CREATE EXTENSION", true, object_kind::extension},
    {"CreateFdwStmt", "CREATE FOREIGN DATA WRAPPER"},
    {"CreateForeignServerStmt", "CREATE SERVER", true, object_kind::foreign_server},
    {"CreateOpClassStmt", "CREATE OPERATOR CLASS"},
    {"CreateOpFamilyStmt", "CREATE OPERATOR FAMILY"},
    {"CreatePLangStmt", "CREATE LANGUAGE", true, object_kind::language},
    {"CreateRangeStmt", "CREATE TYPE", true, object_kind::type},
    {"CreateRoleStmt", "CREATE ROLE", true, object_kind::role},
    {"CreateSeqStmt", "CREATE SEQUENCE", true, object_kind::sequence},
    {"CreateSubscriptionStmt", "CREATE SUBSCRIPTION", true, object_kind::subscription},
    {"CreateTableSpaceStmt", "CREATE TABLESPACE", true, object_kind::tablespace},
    {"CreateTransformStmt", "CREATE TRANSFORM"},
    {"CreateUserMappingStmt", "CREATE USER MAPPING"},
    {"CreatedbStmt", "CREATE DATABASE", true, object_kind::database},
    {"DeallocateStmt", "DEALLOCATE", false},
    {"DefineStmt", "CREATE"},
    {"DropRoleStmt", "DROP ROLE", true, object_kind::role},
    {"DropSubscriptionStmt", "DROP SUBSCRIPTION", true, object_kind::subscription},
    {"DropTableSpaceStmt", "DROP TABLESPACE", true, object_kind::tablespace},
    {"DropUserMappingStmt", "DROP USER MAPPING"},
    {"FetchStmt", "FETCH", false},
    {"ImportForeignSchemaStmt", "IMPORT FOREIGN SCHEMA", true, object_kind::schema},
    {"ListenStmt", "LISTEN", false},
    {"LoadStmt", "LOAD", false},
    {"NotifyStmt", "NOTIFY", false},
    {"ReassignOwnedStmt", "REASSIGN OWNED"},
    {"SecLabelStmt", "SECURITY LABEL"},
    {"UnlistenStmt", "UNLISTEN", false},
    {"VariableShowStmt", "SHOW", false},
};

object_kind kind_in(tree_node node) {
  for (const std::string_view member : {"objectType", "objtype", "kind"}) {
    const object_kind kind = object_kind_of(node[member].string());
    if (kind != object_kind::other) return kind;
  }
  return object_kind::other;
}

void convert_other(const conversion& c, tree_node node, statement& out) {
  other_statement other;
  other.node = std::string(node.type());
  other.ddl = true;  // what is not known may be anything
  out.tag = "???";
  for (const auto& known : others) {
    if (known.parser_name != other.node) continue;
    out.tag = known.tag;
    other.ddl = known.ddl;
    other.kind = known.kind;
  }
  const tree_node inside = node.first();
  if (other.kind == object_kind::other) other.kind = kind_in(inside);
  other.name = inside["trigname"].string();
  other.relations = relations_under(c, node);
  out.ddl = other.ddl;
  out.node = std::move(other);
}

}  // namespace

statement convert_statement(const conversion& c, tree_node node) {
  statement out;
  const bool known = convert_create(c, node, out) || convert_alter_table(c, node, out) ||
                     convert_drop(c, node, out) || convert_rename(c, node, out) ||
                     convert_rights(c, node, out) || convert_maintenance(c, node, out) ||
                     convert_session(c, node, out) || convert_data(c, node, out);
  if (!known) convert_other(c, node, out);
  return out;
}

}  // namespace tidegate::sql
