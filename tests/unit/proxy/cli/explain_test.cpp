#include "proxy/cli/explain.hpp"

#include "policies/registry.hpp"
#include "policies/rule.hpp"

#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace tidegate::cli {
namespace {

struct answered {
  int code;
  std::string out, err;
};

answered explain(const std::string& rule) {
  std::ostringstream out, err;
  const int code = run_explain(rule, out, err);
  return {code, out.str(), err.str()};
}

TEST(explain, prints_the_page_of_each_rule) {
  for (const policies::rule* rule : policies::all_rules()) {
    const auto told = explain(std::string(rule->id));
    EXPECT_EQ(told.code, 0) << rule->id;
    EXPECT_TRUE(told.out.starts_with("# `" + std::string(rule->id) + "`\n")) << told.out;
    EXPECT_TRUE(told.out.ends_with("\n")) << rule->id;
    EXPECT_EQ(told.err, "");
  }
}

TEST(explain, lists_every_rule_without_a_name) {
  const auto told = explain("");
  EXPECT_EQ(told.code, 0);
  for (const policies::rule* rule : policies::all_rules()) {
    EXPECT_NE(told.out.find(std::string(rule->id) + "  "), std::string::npos) << rule->id;
    EXPECT_NE(told.out.find("  " + std::string(rule->summary) + "\n"), std::string::npos) << rule->id;
  }
}

TEST(explain, says_what_there_is_when_there_is_no_such_rule) {
  const auto told = explain("set-not-null");
  EXPECT_EQ(told.code, 2);
  EXPECT_EQ(told.out, "");
  EXPECT_TRUE(
      told.err.starts_with("tidegate explain: no rule \"set-not-null\"; without a name it lists them all\n"));
  EXPECT_NE(told.err.find("set-not-null-scan  "), std::string::npos);
  EXPECT_EQ(explain("../../etc/passwd").code, 2);
}

}  // namespace
}  // namespace tidegate::cli
