// Runs tests/cases/rules/*.test, and holds rules, case files and pages together.

#include "policies/engine.hpp"
#include "policies/fact_request.hpp"
#include "policies/registry.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"
#include "tests/unit/policies/case_file.hpp"
#include "tests/unit/policies/catalog_text.hpp"
#include "tests/unit/policies/policy_text.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::test {

namespace {

using namespace policies;

const std::filesystem::path source_folder = TIDEGATE_SOURCE_DIR;
const std::filesystem::path case_folder = source_folder / "tests/cases/rules";

// Everything a case sets up, and what came out for its statements.
class run {
 public:
  explicit run(const behaviour_case& given) : case_(given) {
    session_.role = "app";
    session_.database = "app";
    for (const auto& [key, value] : given.givens) {
      if (key == "catalog") catalog_.add(value);
      if (key == "session")
        for (const auto& word : split(value, ',')) set_session(word);
      if (key == "policy") add_to_policy(policy_, value);
      if (key == "before") before(value);
    }
    decide_all();
  }

  verdict hardest() const {
    verdict action = verdict::allow;
    for (const auto& decision : decisions_) action = std::max(action, decision.action);
    return action;
  }

  std::vector<const finding*> reported() const {
    std::vector<const finding*> all;
    for (const auto& decision : decisions_)
      for (const auto& found : decision.reported) all.push_back(&found);
    return all;
  }

  // What the file's rule says, or the first finding where the file is about no rule.
  const finding* subject() const {
    for (const finding* found : reported())
      if (found->rule == case_.file || !find_rule(case_.file)) return found;
    return nullptr;
  }

  std::vector<std::string> locks() const {
    std::vector<std::string> all;
    for (const auto& decision : decisions_)
      for (const auto& lock : decision.locks)
        all.push_back(std::string(name(lock.level)) + " on " + sql::quote_name(lock.relation));
    return all;
  }

 private:
  sql::parsed parse(const std::string& text) const {
    auto parsed = sql::parse(text, {.standard_conforming_strings = conforming_});
    if (!parsed.ok()) throw std::runtime_error("does not parse: " + parsed.error->message + ": " + text);
    return parsed;
  }

  void set_session(const std::string& word) {
    const auto equals = word.find('=');
    const auto value = equals == std::string::npos ? std::string() : word.substr(equals + 1);
    if (word == "in transaction") {
      session_.in_transaction = true;
      session_.alone_in_message = true;
    } else if (word == "not alone")
      session_.alone_in_message = false;
    else if (word == "at end")
      session_.at_end = true;
    else if (word == "unguarded")
      session_.guarded = false;
    else if (word.starts_with("role="))
      session_.role = value;
    else if (word.starts_with("application="))
      session_.application = value;
    else if (word.starts_with("database="))
      session_.database = value;
    else if (word.starts_with("lock_timeout="))
      session_.lock_timeout = value;
    else if (word == "standard_conforming_strings=off")
      conforming_ = false;
    else
      throw std::runtime_error("session: " + word + " is not known");
  }

  void before(const std::string& text) {
    session_.in_transaction = true;
    for (const auto& statement : parse(text).statements) history_.add(statement);
  }

  void decide_all() {
    const auto parsed = parse(case_.sql);
    const auto snapshot = catalog_.snapshot(facts_needed(parsed.statements));
    if (parsed.statements.size() > 1) session_.alone_in_message = false;
    for (const auto& statement : parsed.statements) {
      session_facts session = session_;
      session.in_transaction = session_.in_transaction || history_.in_transaction();
      session.at_end = false;
      decisions_.push_back(decide({statement, case_.sql, snapshot, session, history_}, policy_));
      history_.add(statement, false, snapshot);
    }
    if (session_.at_end) judge_end(snapshot);
  }

  // As `check` does behind the last statement of a file.
  void judge_end(const catalog_snapshot& snapshot) {
    const sql::statement end{.node = sql::other_statement{}};
    session_facts session = session_;
    session.in_transaction = history_.in_transaction();
    decisions_.push_back(decide({end, case_.sql, snapshot, session, history_}, policy_));
  }

  const behaviour_case& case_;
  catalog_text catalog_;
  session_facts session_;
  policy policy_;
  transaction_history history_;
  bool conforming_ = true;
  std::vector<decision> decisions_;
};

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

std::string describe(const run& result) {
  std::string text = "verdict " + std::string(name(result.hardest()));
  for (const finding* found : result.reported())
    text += "\n  " + std::string(found->rule) + " " + std::string(name(found->action)) + ": " +
            found->message + "\n    " + found->detail + "\n    " + found->hint +
            "\n    lacked: " + found->lacked_fact;
  return text;
}

void expect_rules(const run& result, const std::vector<std::string>& lines) {
  for (const auto& line : lines) {
    const auto words = split(line, ' ');
    const bool absent = words[0].starts_with('-');
    const std::string id = absent ? words[0].substr(1) : words[0];
    const auto reported = result.reported();
    if (id == "none") {
      EXPECT_TRUE(reported.empty()) << "nothing should be reported";
      continue;
    }
    if (!find_rule(id)) {
      ADD_FAILURE() << "there is no rule " << id;
      continue;
    }
    const bool there = std::any_of(reported.begin(), reported.end(), [&](const finding* found) {
      return found->rule == id && (words.size() < 2 || name(found->action) == words[1]);
    });
    EXPECT_EQ(there, !absent) << line;
  }
}

class RuleCase : public testing::TestWithParam<behaviour_case> {};

TEST_P(RuleCase, behaves_as_written) {
  const behaviour_case& given = GetParam();
  SCOPED_TRACE("tests/cases/rules/" + given.file + ".test:" + std::to_string(given.line));
  ASSERT_FALSE(given.expected.empty()) << "a case expects something";
  const run result(given);
  SCOPED_TRACE(describe(result));
  for (const auto& [section, lines] : given.expected) {
    if (section == "verdict") {
      EXPECT_EQ(joined(lines), name(result.hardest()));
    } else if (section == "rules") {
      expect_rules(result, lines);
    } else if (section == "locks") {
      EXPECT_EQ(joined(lines), joined(result.locks()));
    } else {
      const finding* found = result.subject();
      ASSERT_NE(found, nullptr) << "no finding to take the " << section << " of";
      const std::string text = section == "message"        ? found->message
                               : section == "detail"       ? found->detail
                               : section.ends_with("hint") ? found->hint
                               : section == "lacked"       ? found->lacked_fact
                                                           : joined(found->steps);
      const bool absent = section == "no hint";
      for (const auto& line : lines)
        EXPECT_EQ(text.find(line) == std::string::npos, absent)
            << section << (absent ? " has: " : " lacks: ") << line;
    }
  }
}

std::vector<behaviour_case> all_cases() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(case_folder))
    if (entry.path().extension() == ".test") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<behaviour_case> cases;
  for (const auto& file : files)
    for (auto& each : read_cases(file)) cases.push_back(std::move(each));
  return cases;
}

std::string test_name(const testing::TestParamInfo<behaviour_case>& info) {
  std::string text = info.param.file + "_" + std::to_string(info.param.line);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

INSTANTIATE_TEST_SUITE_P(cases, RuleCase, testing::ValuesIn(all_cases()), test_name);

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Rules, each_has_a_safe_an_unsafe_and_a_near_miss_case) {
  for (const rule* each : all_rules()) {
    const auto file = case_folder / (std::string(each->id) + ".test");
    if (!std::filesystem::exists(file)) {
      ADD_FAILURE() << "missing: tests/cases/rules/" << each->id << ".test";
      continue;
    }
    std::set<std::string> seen;
    for (const auto& given : read_cases(file))
      for (const char* kind : {"safe", "unsafe", "near-miss"})
        if (given.name == kind || given.name.starts_with(std::string(kind) + " ")) seen.insert(kind);
    EXPECT_EQ(seen.size(), 3U) << each->id << ": a case of each kind, named safe …, unsafe …, near-miss …";
  }
}

TEST(Rules, each_case_file_belongs_to_a_rule) {
  for (const auto& given : all_cases()) EXPECT_NE(find_rule(given.file), nullptr) << given.file;
}

TEST(Rules, each_has_its_line_and_its_page) {
  const std::string list = read(source_folder / "docs/rules.md");
  for (const rule* each : all_rules()) {
    const std::string link = "[`" + std::string(each->id) + "`](rules/" + std::string(each->id) + ".md)";
    EXPECT_NE(list.find(link), std::string::npos) << "docs/rules.md lacks " << link;
    const std::string page = read(source_folder / "docs/rules" / (std::string(each->id) + ".md"));
    EXPECT_TRUE(page.starts_with("# `" + std::string(each->id) + "`")) << "docs/rules/" << each->id << ".md";
  }
}

TEST(Rules, ids_are_unique_and_summaries_short) {
  std::set<std::string_view> seen;
  for (const rule* each : all_rules()) {
    EXPECT_TRUE(seen.insert(each->id).second) << each->id;
    EXPECT_FALSE(each->summary.empty()) << each->id;
    EXPECT_LE(each->summary.size(), 110U) << each->id;
  }
}

}  // namespace

void PrintTo(const behaviour_case& given, std::ostream* out) {
  *out << given.file << ": " << given.name;
}

}  // namespace tidegate::test
