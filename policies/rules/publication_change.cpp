// What a publication publishes decides what its subscribers get; they hear of a change only when they
// refresh.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& publication_change_rule();

namespace {

struct change_in_words {
  std::string what;
  std::string detail;
};

const char* const refresh_hint =
    "Instead: tell who subscribes first; then, on each of them, ALTER SUBSCRIPTION … REFRESH PUBLICATION;";

change_in_words words_for(const sql::publication_change& change, const std::string& tables) {
  using enum sql::publication_action;
  const std::string some = tables.empty() ? "what it is told to" : tables;
  switch (change.action) {
    case add:
      return {"also publishes " + some,
              "Subscribers get it only after REFRESH PUBLICATION; a table without a replica identity refuses "
              "UPDATE and DELETE from now on."};
    case drop:
      return {"no longer publishes " + some, "Subscribers get no more changes of it, and no error either."};
    case set:
      return {"publishes nothing but " + some,
              "Subscribers get no more changes of every other table, and no error either."};
    case options:
      return {"publishes other operations",
              "Subscribers get no more of what is left out, and no error "
              "either."};
    case create:
      break;
  }
  return {};
}

void report(const rule_input& input, findings& out, std::string message, std::string detail) {
  finding f;
  f.at = input.statement.range.begin;
  f.message = std::move(message);
  f.detail = std::move(detail);
  f.hint = refresh_hint;
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  if (const auto* change = input.statement.as<sql::publication_change>()) {
    if (change->action == sql::publication_action::create) return;
    std::string tables;
    for (const auto& table : change->relations)
      tables += (tables.empty() ? "" : ", ") + sql::quote_name(table);
    const auto words = words_for(*change, tables);
    report(input, out, "publication " + sql::quote_identifier(change->name) + " " + words.what,
           words.detail +
               " SHARE UPDATE EXCLUSIVE on the tables blocks schema changes and VACUUM for a "
               "moment.");
    for (const auto& table : change->relations) {
      out.back().relations.push_back(sql::quote_name(table));
      out.back().lock = lock_level::share_update_exclusive;
    }
  } else if (const auto* drop = input.statement.as<sql::drop>();
             drop && drop->kind == sql::object_kind::publication) {
    for (const auto& object : drop->objects)
      report(input, out, "publication " + sql::quote_name(object) + " is gone for its subscribers",
             "Their workers fail, again and again, until the subscription is changed.");
  } else if (const auto* rename = input.statement.as<sql::rename>();
             rename && rename->kind == sql::object_kind::publication) {
    report(
        input, out,
        "publication " + sql::quote_name(rename->relation) + " is gone for its subscribers under that name",
        "They subscribe by name: their workers fail until the subscription is changed.");
  }
}

}  // namespace

const rule& publication_change_rule() {
  static constexpr rule r{"publication-change", "subscribers get something else, and hear nothing of it",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
