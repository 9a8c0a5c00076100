#include "policies/transaction_history.hpp"

#include "policies/engine.hpp"
#include "policies/locks.hpp"
#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace tidegate::policies {

namespace {

using entry = transaction_history::entry;
using kind = entry::kind;

bool is_temporary_schema(std::string_view schema) {
  return schema == "pg_temp" || schema.starts_with("pg_temp_");
}

// The entry that made it, if nothing has dropped it since.
const entry* creation(std::span<const entry> entries, const sql::qualified_name& relation) {
  for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
    const bool temporary = it->what == kind::created_temporary;
    const bool made = temporary || it->what == kind::created_relation;
    if (!made && it->what != kind::dropped_relation) continue;
    if (it->relation.name != relation.name) continue;
    const bool same_schema =
        it->relation.schema == relation.schema ||
        (temporary && (relation.schema.empty() || is_temporary_schema(relation.schema)) &&
         (it->relation.schema.empty() || is_temporary_schema(it->relation.schema)));
    if (same_schema) return made ? &*it : nullptr;
  }
  return nullptr;
}

bool created(std::span<const entry> entries, const sql::qualified_name& relation) {
  return creation(entries, relation) != nullptr;
}

// Behind it an unqualified name may mean another relation than before.
bool may_change_names(const sql::statement& statement) {
  if (const auto* set = statement.as<sql::variable_set>())
    return set->form == sql::set_form::reset_all || set->name == "search_path" || set->name == "role" ||
           set->name == "session_authorization";
  if (const auto* query = statement.as<sql::query>())
    return query->sets_settings || std::any_of(query->functions.begin(), query->functions.end(),
                                               [](const auto& f) { return f.name == "set_config"; });
  return statement.as<sql::discard>() != nullptr || statement.as<sql::do_block>() != nullptr ||
         statement.as<sql::call>() != nullptr || statement.as<sql::execute>() != nullptr;
}

// Collects what one statement adds.
class recorder {
 public:
  recorder(std::vector<entry>& entries, const std::string& schema, bool existed,
           const catalog_snapshot& catalog)
      : entries_(entries), schema_(schema), existed_(existed), catalog_(catalog) {}

  void record(const sql::statement& statement) {
    if (const auto* made = statement.as<sql::create_table>())
      create(made->relation, made->temporary, made->if_not_exists);
    else if (const auto* from_query = statement.as<sql::create_table_as>())
      create(from_query->relation, from_query->temporary, from_query->if_not_exists);
    else if (const auto* view = statement.as<sql::create_view>())
      create(view->relation, view->temporary, view->replace);
    else if (const auto* index = statement.as<sql::create_index>())
      index_made(*index);
    else if (const auto* gone = statement.as<sql::drop>())
      for (const auto& object : gone->objects) push(kind::dropped_relation, object);
    else if (const auto* renamed = statement.as<sql::rename>())
      rename(*renamed);
    else if (const auto* moved = statement.as<sql::set_schema>())
      move(*moved);
    else if (const auto* altered = statement.as<sql::alter_table>())
      alter(*altered);
    else if (const auto* domain = statement.as<sql::alter_domain>())
      alter_domain(*domain);
    else if (const auto* about = statement.as<sql::on_relation>();
             about && about->kind == sql::object_kind::policy && about->verb == sql::on_relation_verb::create)
      push(kind::created_policy, about->relation, about->name);
    else if (const auto* query = statement.as<sql::query>())
      for (const auto& target : query->targets) push(kind::wrote_rows, target);
    else if (const auto* copy = statement.as<sql::copy>(); copy && copy->from && copy->relation)
      push(kind::wrote_rows, *copy->relation);
    else if (const auto* made_enum = statement.as<sql::create_enum>())
      push(kind::created_object, made_enum->type);
    else if (const auto* function = statement.as<sql::create_function>())
      push(kind::created_object, function->name);
    else if (const auto* grown = statement.as<sql::alter_enum>(); grown && !grown->rename)
      entries_.push_back({.what = kind::added_enum_value,
                          .relation = qualify(grown->type, schema_),
                          .name = grown->value,
                          .may_have_existed = grown->if_not_exists});
    if (const auto* renamed = statement.as<sql::rename>(); renamed &&
                                                           renamed->kind == sql::object_kind::column &&
                                                           renamed->relation_kind == sql::object_kind::view)
      push(kind::changed_view, renamed->relation);
    const std::size_t before = entries_.size();
    for (const auto& lock : own_locks(statement, catalog_))
      if (blocks_writes(lock.level)) lock_taken(statement, lock);
    if (entries_.size() > before) follow_name(statement);
  }

 private:
  void push(kind what, const sql::qualified_name& relation, std::string name = {}) {
    entries_.push_back({.what = what, .relation = qualify(relation, schema_), .name = std::move(name)});
  }

  // Of a table that others use. What only this transaction or session can see is nobody's wait, and an index
  // is locked with its table.
  void lock_taken(const sql::statement& statement, const relation_lock& lock) {
    sql::qualified_name relation = qualify(lock.relation, schema_);
    if (created(entries_, relation)) return;
    auto facts = catalog_.relation(lock.relation);
    if (facts.state == presence::unknown)
      facts = catalog_.relation_by_full_name(sql::quote_name(lock.relation));
    if (facts) {
      if (facts->new_in_transaction || facts->fresh || facts->persistence == 't') return;
      if (std::string_view("rpmf").find(facts->kind) == std::string_view::npos) return;
      relation = {.database = {}, .schema = facts->schema, .name = facts->name};
    } else if (facts.state == presence::missing || names_no_table(statement, lock.relation)) {
      return;
    }
    entries_.push_back({.what = kind::strong_lock, .relation = relation, .name = {}, .lock = lock.level});
  }

  // A table that was locked under its old name is locked under the new one.
  void follow_name(const sql::statement& statement) {
    sql::qualified_name to;
    if (const auto* renamed = statement.as<sql::rename>(); renamed && renamed->kind == renamed->relation_kind)
      to = {.database = {}, .schema = renamed->relation.schema, .name = renamed->to};
    else if (const auto* moved = statement.as<sql::set_schema>())
      to = {.database = {}, .schema = moved->to, .name = moved->object.name};
    if (to.name.empty()) return;
    entries_.push_back({.what = kind::strong_lock,
                        .relation = qualify(to, schema_),
                        .name = {},
                        .lock = lock_level::access_exclusive});
  }

  static bool is_table(sql::object_kind object) {
    using enum sql::object_kind;
    return object != view && object != index && object != sequence && object != composite_type;
  }

  // By the text alone: DROP INDEX i, ALTER SEQUENCE s ….
  static bool names_no_table(const sql::statement& statement, const sql::qualified_name& relation) {
    if (const auto* gone = statement.as<sql::drop>())
      return !is_table(gone->kind) &&
             std::find(gone->objects.begin(), gone->objects.end(), relation) != gone->objects.end();
    if (const auto* renamed = statement.as<sql::rename>())
      return !is_table(renamed->relation_kind) || !is_table(renamed->kind);
    if (const auto* moved = statement.as<sql::set_schema>()) return !is_table(moved->kind);
    if (const auto* altered = statement.as<sql::alter_table>())
      return !is_table(altered->kind) && altered->relation == relation;
    if (const auto* rebuilt = statement.as<sql::reindex>())
      return rebuilt->target == sql::reindex_target::index;
    return statement.as<sql::create_view>() != nullptr;
  }

  void create(const sql::qualified_name& relation, bool temporary, bool may_exist) {
    if (may_exist && existed_) return;
    push(temporary || is_temporary_schema(relation.schema) ? kind::created_temporary : kind::created_relation,
         relation);
  }

  // An index lives in the schema of its table.
  void index_made(const sql::create_index& index) {
    if (index.name.empty()) return;
    create({.database = {}, .schema = index.relation.schema, .name = index.name}, false, index.if_not_exists);
  }

  void rename(const sql::rename& statement) {
    using enum sql::object_kind;
    const bool relation = statement.kind == table || statement.kind == view ||
                          statement.kind == materialized_view || statement.kind == index ||
                          statement.kind == sequence || statement.kind == foreign_table;
    if (!relation || !created(entries_, statement.relation)) return;
    push(kind::dropped_relation, statement.relation);
    push(kind::created_relation, {.database = {}, .schema = statement.relation.schema, .name = statement.to});
  }

  void move(const sql::set_schema& statement) {
    if (!created(entries_, statement.object)) return;
    push(kind::dropped_relation, statement.object);
    push(kind::created_relation, {.database = {}, .schema = statement.to, .name = statement.object.name});
  }

  void alter(const sql::alter_table& statement) {
    for (const auto& command : statement.commands)
      if (command.constraint && command.constraint->not_valid)
        push(kind::not_valid_constraint, statement.relation, command.constraint->name);
  }

  void alter_domain(const sql::alter_domain& statement) {
    if (statement.constraint && statement.constraint->not_valid)
      push(kind::not_valid_constraint, statement.domain, statement.constraint->name);
  }

  std::vector<entry>& entries_;
  const std::string& schema_;
  bool existed_;
  const catalog_snapshot& catalog_;
};

}  // namespace

void transaction_history::add(const sql::statement& statement, bool existed,
                              const catalog_snapshot& catalog) {
  if (const auto* control = statement.as<sql::transaction>()) {
    using enum sql::transaction_action;
    const auto mark = [&] {
      return std::find_if(entries_.rbegin(), entries_.rend(), [&](const entry& e) {
        return e.what == kind::savepoint && e.name == control->name;
      });
    };
    switch (control->action) {
      case begin:
        if (!open_) entries_.push_back({.what = kind::began, .relation = {}, .name = {}});
        open_ = true;
        break;
      case commit:
      case rollback:
      case prepare:
        clear();
        open_ = control->chain;
        break;
      case savepoint:
        entries_.push_back({.what = kind::savepoint, .relation = {}, .name = control->name});
        break;
      case release:
        if (const auto it = mark(); it != entries_.rend()) {
          if (static_cast<std::size_t>(std::next(it).base() - entries_.begin()) < made_since_) --made_since_;
          entries_.erase(std::next(it).base());
        }
        break;
      case rollback_to:
        // One that was set unseen, before anything here was done: nothing of it stands.
        if (const auto it = mark(); it != entries_.rend())
          entries_.erase(it.base(), entries_.end());
        else
          entries_.clear();
        made_since_ = std::min(made_since_, entries_.size());
        break;
      case commit_prepared:
      case rollback_prepared:
        break;
    }
    return;
  }

  for (const statement_part& part : parts_of(statement))
    if (part.runs) recorder(entries_, part.schema, existed, catalog).record(*part.statement);
  if (may_change_names(statement)) leave_the_past_to_the_catalog();
}

void transaction_history::forget_temporary_relations() {
  std::erase_if(entries_, [](const entry& e) { return e.what == kind::created_temporary; });
  made_since_ = std::min(made_since_, entries_.size());
}

void transaction_history::clear() {
  entries_.clear();
  made_since_ = 0;
  open_ = false;
}

bool transaction_history::created(const sql::qualified_name& relation) const {
  return policies::created(std::span(entries_).subspan(made_since_), relation);
}

bool transaction_history::created_temporary(const sql::qualified_name& relation) const {
  const entry* made = creation(std::span(entries_).subspan(made_since_), relation);
  return made != nullptr && made->what == kind::created_temporary;
}

bool transaction_history::added_not_valid(const sql::qualified_name& relation,
                                          std::string_view constraint) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const entry& e) {
    // a constraint that PostgreSQL named may be the one
    return e.what == kind::not_valid_constraint && e.relation == relation &&
           (e.name.empty() || e.name == constraint);
  });
}

bool transaction_history::created_object(const sql::qualified_name& type_or_function) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const entry& e) {
    return e.what == kind::created_object && e.relation == type_or_function;
  });
}

bool transaction_history::created_policy(const sql::qualified_name& relation) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const entry& e) {
    return e.what == kind::created_policy && e.relation == relation;
  });
}

bool transaction_history::has_strong_lock() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const entry& e) { return e.what == kind::strong_lock; });
}

bool transaction_history::has_strong_lock_on_other(const sql::qualified_name& relation) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const entry& e) {
    return e.what == kind::strong_lock && !(e.relation == relation);
  });
}

}  // namespace tidegate::policies
