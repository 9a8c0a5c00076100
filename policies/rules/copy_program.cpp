// COPY … PROGRAM runs a shell command on the database server, as the operating system's user of PostgreSQL.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& copy_program_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* copy = input.statement.as<sql::copy>();
  if (!copy || !copy->program) return;
  const std::string what = copy->relation ? sql::quote_name(*copy->relation) : "(SELECT …)";
  finding f;
  f.rule = copy_program_rule().id;
  f.at = input.statement.range.begin;
  f.message = "COPY … PROGRAM runs a shell command on the database server";
  f.detail =
      "It runs as the operating system's user of PostgreSQL, who can read and change every file of the "
      "cluster.";
  f.steps = {"COPY " + what + (copy->from ? " FROM STDIN;" : " TO STDOUT;")};
  f.hint = "Instead: " + f.steps[0] + "  -- and run the program beside the client: psql's \\copy … program";
  out.push_back(std::move(f));
}

}  // namespace

const rule& copy_program_rule() {
  static constexpr rule r{"copy-program", "COPY … PROGRAM runs a shell command on the database server",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
