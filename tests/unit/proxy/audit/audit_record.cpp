#include "proxy/audit/audit_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::audit {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

std::chrono::system_clock::time_point time_of_test() {
  return std::chrono::sys_days{std::chrono::year{2025} / 3 / 9} + 7h + 5min + 1s + 42ms;
}

TEST(audit_record, of_a_guarded_change_has_every_field_that_applies) {
  audit_record record;
  record.time = time_of_test();
  record.client = "192.0.2.7:51000";
  record.database = "shop";
  record.user = "migrator";
  record.application_name = "flyway";
  record.statement = "ALTER TABLE orders ADD COLUMN note text";
  record.action = action_taken::guarded;
  record.result = outcome::succeeded;
  record.duration = 1'234'567us;
  record.attempts = 3;
  record.lock_wait = 61'500us;
  record.tags = {{"migration", "0042"}, {"commit", "abc"}};
  policies::finding finding;
  finding.rule = "add-column";
  finding.action = policies::verdict::allow;
  finding.lock = policies::lock_level::access_exclusive;
  finding.relations = {"public.orders"};
  finding.message = "a strong lock for a moment";
  record.findings.push_back(finding);
  EXPECT_EQ(
      to_json_line(record),
      R"({"time":"2025-03-09T07:05:01.042Z","client":"192.0.2.7:51000","database":"shop","user":"migrator",)"
      R"("application_name":"flyway","statement":"ALTER TABLE orders ADD COLUMN note text","verdict":"allow",)"
      R"("action":"guarded","outcome":"succeeded","duration_ms":1234.567,"attempts":3,"lock_wait_ms":61.500,)"
      R"("findings":[{"rule":"add-column","action":"allow","lock":")" +
          std::string(policies::name(policies::lock_level::access_exclusive)) +
          R"(","relations":["public.orders"],"message":"a strong lock for a moment"}],)"
          R"("tags":{"migration":"0042","commit":"abc"}})"
          "\n");
}

TEST(audit_record, leaves_out_what_does_not_apply) {
  audit_record record;
  record.time = time_of_test();
  EXPECT_EQ(
      to_json_line(record),
      R"({"time":"2025-03-09T07:05:01.042Z","verdict":"allow","action":"forwarded","outcome":"unknown","duration_ms":0.000})"
      "\n");
}

TEST(audit_record, of_a_hostile_client_stays_one_line_of_valid_json) {
  audit_record record;
  record.user = "a\"},{\"user\":\"root\n";
  record.application_name = "\xFF\xFE";
  EXPECT_THAT(to_json_line(record), HasSubstr(R"("user":"a\"},{\"user\":\"root\n")"));
  EXPECT_THAT(to_json_line(record), HasSubstr("\"application_name\":\"\xEF\xBF\xBD\xEF\xBF\xBD\""));
  EXPECT_EQ(to_json_line(record).find('\n'), to_json_line(record).size() - 1);
}

TEST(audit_record, cuts_a_long_statement_and_tells_its_length) {
  audit_record record;
  record.statement = std::string(1'000'000, 'x');
  const std::string line = to_json_line(record);
  EXPECT_LT(line.size(), 10'000u);
  EXPECT_THAT(line, HasSubstr("\"statement_bytes\":1000000"));
  record.statement = "short";
  EXPECT_THAT(to_json_line(record), Not(HasSubstr("statement_bytes")));
}

}  // namespace
}  // namespace tidegate::audit
