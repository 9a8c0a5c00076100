#pragma once
// What `tidegate check` found, and the ways to print it.

#include "policies/verdict.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace tidegate::cli {

struct reported_finding {
  std::string rule;
  policies::verdict action = policies::verdict::block;
  std::string lock;
  std::vector<std::string> relations;
  std::string message, detail, hint;
  int line = 1, column = 1;
  std::vector<std::string> steps;
};

struct reported_statement {
  int index = 0;  // in the file, from 0
  int line = 1;
  std::string sql;
  policies::verdict verdict = policies::verdict::allow;
  std::vector<reported_finding> findings;  // warn and above, hardest first
};

struct reported_file {
  std::string file;
  std::string layout = "sql";  // whose convention it follows (migrations/layout.hpp)
  std::vector<reported_statement> statements;
};

enum class report_format { text, json, github, sarif };

// json: one object, as the contract has it (docs/check.md). text: one paragraph per finding and a last line
// that counts. github: one workflow command per finding. sarif: one log of SARIF 2.1.0, as code scanning
// takes it; its rules are all those that a finding is about.
void print_report(std::ostream& out, report_format format, const std::vector<reported_file>& files);

}  // namespace tidegate::cli
