#pragma once
// What the parts of inverse_of() share: how names of the statement resolve, and what is known of its tables.
// Internal to policies/ledger.

#include "policies/ledger/inverse.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace tidegate::policies {

// There is no inverse; `what()` says why. Caught by inverse_of().
struct not_reversible : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// In ALTER and DROP; empty: not one that is reversed.
std::string_view words(sql::object_kind kind);

class reversal {
 public:
  explicit reversal(const rule_input& input) : input_(input) {}

  const rule_input& input() const { return input_; }
  const catalog_snapshot& catalog() const { return input_.catalog; }

  // Something that was there: as it resolves, or as it was written where that says its schema. Noted among
  // the objects.
  sql::qualified_name existing(const sql::qualified_name& written);
  // A type or domain that was there.
  sql::qualified_name existing_type(const sql::qualified_name& written);
  // Something that the statement makes; IF NOT EXISTS of what may have been there has no inverse.
  sql::qualified_name made(const sql::qualified_name& written);
  // The table's facts. Throws where they are not known, or the transaction had changed the table before.
  const relation_facts& facts_before(const sql::qualified_name& written) const;
  // Names that PostgreSQL chooses depend on what was there: true when all of that is known.
  bool knows_taken_names(const relation_facts& table) const;

  void note(const sql::qualified_name& object);
  void loses(std::string what) { result_.lost = std::move(what); }
  inverse take() { return std::move(result_); }

 private:
  bool changed_before(const std::string& name) const;

  const rule_input& input_;
  inverse result_;
};

std::string reverse_alter_table(reversal& of, const sql::alter_table& alter);

}  // namespace tidegate::policies
