// The deepest nesting that fits the limit, on a stack half as big as callers must have.
#include "policies/sql/parse.hpp"
#include "policies/sql/parse_stack.hpp"
#include "policies/sql/prefilter.hpp"

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <pthread.h>

namespace tidegate::sql {
namespace {

std::string repeated(std::string_view unit, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += unit;
  return text;
}

struct nesting {
  const char* name;
  const char* head;
  const char* unit;
};

// The costliest of the forms that the grammar reads without a limit of its own.
constexpr nesting chains[] = {{"plus", "1", "+1"},
                              {"concatenation", "a", "||a"},
                              {"cast", "1", "::int"},
                              {"union", "1", " UNION SELECT 1"}};

void on_stack(std::size_t bytes, std::function<void()> body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, bytes);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &body), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST(parse_depth, survives_the_costliest_chains_at_the_limit_on_half_the_stack) {
  for (const nesting& chain : chains) {
    const std::string head = std::string("CREATE TABLE t AS SELECT ") + chain.head;
    const std::size_t times = (parse_limit_bytes - head.size()) / std::string_view(chain.unit).size();
    const std::string text = head + repeated(chain.unit, times);
    on_stack(parse_stack_bytes / 2, [&] {
      const parsed result = parse(text);
      ASSERT_TRUE(result.ok()) << chain.name << ": " << result.error->message;
      EXPECT_TRUE(result.statements.at(0).ddl) << chain.name;
    });
  }
}

TEST(parse_depth, sees_hundred_thousand_levels_as_ddl) {
  constexpr std::size_t levels = 100000;
  const std::string texts[] = {
      "SELECT 1; CREATE TABLE t AS SELECT " + repeated("(", levels) + "1" + repeated(")", levels),
      "DROP TABLE t; SELECT 1" + repeated("+1", levels),
      "DROP TABLE t; SELECT 1" + repeated("::int", levels),
      "DROP TABLE t; SELECT a" + repeated("||a", levels),
      "DROP TABLE t; SELECT 1" + repeated(" UNION SELECT 1", levels / 2),
      "DROP TABLE t; SELECT 1" + repeated(" ISNULL", levels),
      "DROP TABLE t; SELECT a" + repeated(" COLLATE a", levels),
      "DROP TABLE t; SELECT a" + repeated(" AND a", levels),
      "DROP TABLE t; SELECT a" + repeated("[1]", levels),
      "DROP TABLE t; SELECT " + repeated("CASE WHEN a THEN ", levels) + "1" + repeated(" END", levels),
      "DROP TABLE t; SELECT " + repeated("NOT ", levels) + "a",
      "DROP TABLE t; SELECT " + repeated("(SELECT ", levels) + "1" + repeated(")", levels),
      "DO $$ BEGIN " + repeated("BEGIN ", levels) + "DROP TABLE t; " + repeated("END; ", levels) + "END $$",
  };
  run_on_parse_stack([&] {
    for (const std::string& text : texts) {
      EXPECT_EQ(classify(text, {}), suspicion::suspicious) << text.substr(0, 60);
      const parsed result = parse(text);
      // Refused as unparsable (as the server's own parser refuses it), or seen.
      bool ddl = !result.ok();
      for (const statement& s : result.statements) ddl = ddl || s.ddl;
      EXPECT_TRUE(ddl) << text.substr(0, 60);
    }
  });
}

TEST(parse_stack, hands_exceptions_on) {
  EXPECT_THROW(run_on_parse_stack([] { throw std::runtime_error("x"); }), std::runtime_error);
}

TEST(parse_stack, joins_its_thread) {
  bool ran = false;
  {
    const big_stack_thread thread = make_big_stack_thread([&] { ran = true; });
  }
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace tidegate::sql
