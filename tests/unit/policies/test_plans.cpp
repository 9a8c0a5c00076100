// Runs tests/cases/plans/*.test: a statement, facts, and the steps that it comes to.

#include "policies/engine.hpp"
#include "policies/fact_request.hpp"
#include "policies/plan/planner.hpp"
#include "policies/sql/parse.hpp"
#include "tests/unit/policies/case_file.hpp"
#include "tests/unit/policies/catalog_text.hpp"
#include "tests/unit/policies/policy_text.hpp"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using namespace policies;

const std::filesystem::path case_folder = std::filesystem::path(TIDEGATE_SOURCE_DIR) / "tests/cases/plans";

std::vector<behaviour_case> all_cases() {
  std::vector<behaviour_case> all;
  for (const auto& entry : std::filesystem::directory_iterator(case_folder))
    for (auto& each : read_cases(entry.path())) all.push_back(std::move(each));
  return all;
}

struct outcome {
  verdict action;
  planned plan;
};

outcome plan_of(const behaviour_case& given) {
  catalog_text catalog;
  policy in_force;
  for (const auto& [key, value] : given.givens) {
    if (key == "catalog")
      catalog.add(value);
    else if (key == "policy")
      add_to_policy(in_force, value);
    else
      throw std::runtime_error("plans know catalog: and policy: only");
  }
  const auto parsed = sql::parse(given.sql);
  if (!parsed.ok() || parsed.statements.size() != 1)
    throw std::runtime_error("a plan is of one statement: " + given.sql);
  const sql::statement& statement = parsed.statements.front();
  const auto snapshot = catalog.snapshot(facts_needed(statement));
  const session_facts session{.role = "app", .application = {}, .database = "app", .lock_timeout = {}};
  const transaction_history history;
  const rule_input input{statement, given.sql, snapshot, session, history};
  const decision decided = decide(input, in_force);
  return {decided.action, make_plan(input, decided)};
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

class PlanCase : public testing::TestWithParam<behaviour_case> {};

TEST_P(PlanCase, comes_to_the_steps_as_written) {
  const behaviour_case& given = GetParam();
  SCOPED_TRACE("tests/cases/plans/" + given.file + ".test:" + std::to_string(given.line));
  const outcome result = plan_of(given);
  EXPECT_TRUE(result.action == verdict::plan || result.action == verdict::rewrite)
      << "the verdict is " << name(result.action) << ", so nobody would ask for a plan";
  std::vector<std::string> steps;
  if (result.plan.steps)
    for (const auto& step : result.plan.steps->steps)
      steps.push_back(std::string(name(step.kind)) + ": " + step.sql);
  const auto expected = given.expected.find("plan");
  if (expected != given.expected.end()) {
    ASSERT_TRUE(result.plan.steps) << "no plan: " << result.plan.why_not;
    EXPECT_EQ(joined(steps), joined(expected->second));
    if (const auto undo = given.expected.find("undo"); undo != given.expected.end()) {
      std::vector<std::string> taken_back;
      for (const auto& step : result.plan.steps->steps)
        if (!step.undo.empty()) taken_back.push_back(step.undo);
      EXPECT_EQ(joined(taken_back), joined(undo->second));
    }
    return;
  }
  ASSERT_TRUE(given.expected.contains("no plan")) << "a case expects a plan, or none";
  EXPECT_FALSE(result.plan.steps) << joined(steps);
  for (const auto& line : given.expected.at("no plan"))
    EXPECT_NE(result.plan.why_not.find(line), std::string::npos) << result.plan.why_not;
}

// Whatever is interrupted can be gone on with, and whatever is taken back is taken back by SQL that parses.
TEST_P(PlanCase, can_be_read_back) {
  const outcome result = plan_of(GetParam());
  if (!result.plan.steps) return;
  EXPECT_FALSE(result.plan.steps->tag.empty());
  for (const auto& step : result.plan.steps->steps)
    for (const auto& text : {step.sql, step.done, step.undo})
      EXPECT_TRUE(text.empty() || sql::parse(text).ok()) << text;
}

INSTANTIATE_TEST_SUITE_P(Plans, PlanCase, testing::ValuesIn(all_cases()), [](const auto& given) {
  std::string name;
  for (const char c : given.param.file + "_" + std::to_string(given.param.line))
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace tidegate::test
