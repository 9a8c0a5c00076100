#pragma once
// An UPDATE or DELETE that no WHERE keeps from any row, for the rules about each of them. Pure.

#include "policies/subject.hpp"

namespace tidegate::policies {

// One finding for each such change of the statement; what certainly has no rows of its own is left out.
void report_whole_changes(const rule_input& input, const rule& by, sql::dml_kind kind, findings& out);

}  // namespace tidegate::policies
