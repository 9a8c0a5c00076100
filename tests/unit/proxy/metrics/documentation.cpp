// docs/metrics.md and the table in metrics.hpp say the same, in both directions.

#include "proxy/metrics/labels.hpp"
#include "proxy/metrics/metrics.hpp"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::metrics {
namespace {

std::string page() {
  std::ifstream in(TIDEGATE_SOURCE_DIR "/docs/metrics.md");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string kind_word(metric_kind kind) {
  switch (kind) {
    case metric_kind::counter:
      return "counter";
    case metric_kind::gauge:
      return "gauge";
    case metric_kind::histogram:
      break;
  }
  return "histogram";
}

TEST(metrics_page, has_exactly_the_metrics_of_the_code) {
  std::set<std::string> in_code, on_page;
  for (const metric_description& m : metric_table) {
    std::string labels;
    for (char c : m.labels) labels += c == ',' ? std::string("`, `") : std::string(1, c);
    if (!labels.empty()) labels = "`" + labels + "`";
    in_code.insert("`" + std::string(m.name) + "` | " + kind_word(m.kind) + " | " + labels + " |");
  }
  const std::string text = page();
  const std::string begin = "\n| `tidegate_";
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    std::size_t end = at + 2;  // three cells: name, kind, labels
    for (int cells = 0; cells < 3; ++cells) end = text.find('|', end + 1);
    on_page.insert(text.substr(at + 3, end + 1 - (at + 3)));
  }
  EXPECT_EQ(on_page, in_code);
}

TEST(metrics_page, names_no_metric_that_does_not_exist) {
  std::set<std::string> known;
  for (const metric_description& m : metric_table) known.insert(std::string(m.name));
  const std::string text = page();
  const auto is_word = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  for (std::size_t at = text.find("tidegate_"); at != std::string::npos;
       at = text.find("tidegate_", at + 1)) {
    std::size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    std::string found = text.substr(at, end - at);
    if (found == "tidegate_") continue;  // the prefix itself
    if (!known.contains(found) && found.ends_with("_bucket")) found.resize(found.size() - 7);
    EXPECT_TRUE(known.contains(found)) << found;
  }
}

TEST(metrics_page, names_every_label_value) {
  const std::string text = page();
  const auto check = [&](const auto& words) {
    for (std::string_view word : words) {
      EXPECT_THAT(text, testing::HasSubstr("`" + std::string(word) + "`"));
    }
  };
  check(words_of<client_state>);
  check(words_of<server_state>);
  check(words_of<side>);
  check(words_of<refusal_reason>);
  check(words_of<disconnect_reason>);
  check(words_of<auth_method_label>);
  check(words_of<connect_failure>);
  check(words_of<statement_class>);
  check(words_of<parse_failure_reason>);
  check(words_of<ddl_action>);
  check(words_of<attempt_outcome>);
  check(words_of<clamped_setting>);
  check(words_of<ended_reason>);
  check(words_of<cancel_result>);
  check(words_of<fact_failure>);
  check(words_of<audit_failure>);
  check(words_of<ledger_failure>);
  check(words_of<reload_result>);
}

TEST(metric_table, follows_the_conventions) {
  for (const metric_description& m : metric_table) {
    EXPECT_EQ(m.name.ends_with("_total"), m.kind == metric_kind::counter) << m.name;
    EXPECT_TRUE(m.kind != metric_kind::histogram || m.name.ends_with("_seconds")) << m.name;
    EXPECT_TRUE(m.help.ends_with('.')) << m.name;
  }
}

}  // namespace
}  // namespace tidegate::metrics
