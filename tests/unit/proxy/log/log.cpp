#include "proxy/log/log.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tidegate::log {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

using config::log_format;

std::chrono::steady_clock::time_point at(int milliseconds) {
  return std::chrono::steady_clock::time_point(std::chrono::milliseconds(milliseconds));
}

TEST(event_state, passes_a_bounded_number_per_second_and_tells_how_many_were_suppressed) {
  event_state event("storm");
  for (unsigned i = 0; i < lines_per_second; ++i) EXPECT_EQ(event.admit(at(5000)), 0u);
  EXPECT_EQ(event.admit(at(5001)), std::nullopt);
  EXPECT_EQ(event.admit(at(5999)), std::nullopt);
  EXPECT_EQ(event.admit(at(6000)), 2u);
  EXPECT_EQ(event.admit(at(6001)), 0u);
}

TEST(event_state, gives_the_suppressed_ones_once) {
  event_state event("storm");
  for (unsigned i = 0; i < lines_per_second + 3; ++i) (void)event.admit(at(0));
  EXPECT_EQ(event.take_suppressed(), 3u);
  EXPECT_EQ(event.take_suppressed(), 0u);
}

TEST(format_fields, writes_logfmt_with_quotes_only_where_needed) {
  EXPECT_EQ(
      format_fields(
          log_format::logfmt, "client_refused",
          {{"reason", "too many clients"}, {"user", std::string("app")}, {"count", 3}, {"tls", true}}, 0),
      R"(event=client_refused reason="too many clients" user=app count=3 tls=true)");
  EXPECT_EQ(format_fields(log_format::logfmt, "x",
                          {{"empty", ""}, {"forged", "a\nevent=y"}, {"quoted", "a\"b"}}, 7),
            R"(event=x empty="" forged="a\nevent=y" quoted="a\"b" suppressed=7)");
}

TEST(format_fields, writes_json_members) {
  EXPECT_EQ(format_fields(log_format::json, "x",
                          {{"s", "a"},
                           {"i", -1},
                           {"u", 18446744073709551615u},
                           {"d", 0.5},
                           {"b", false},
                           {"n", std::numeric_limits<double>::infinity()}},
                          0),
            R"("event":"x","s":"a","i":-1,"u":18446744073709551615,"d":0.5,"b":false,"n":null)");
}

TEST(format_fields, cuts_long_strings) {
  EXPECT_LT(format_fields(log_format::json, "x", {{"s", std::string(1 << 20, 'a')}}, 0).size(), 2000u);
}

class log_file : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("tidegate-log-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
    settings_.file = folder_ / "log";
    settings_.format = log_format::json;
  }
  void TearDown() override {
    configure({});
    std::filesystem::remove_all(folder_);
  }
  static std::string read(const std::filesystem::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::filesystem::path folder_;
  config::log_settings settings_;
};

TEST_F(log_file, has_one_line_per_event_with_time_and_level) {
  configure(settings_);
  info<"config_loaded">({{"databases", 2}});
  flush();
  EXPECT_THAT(read(settings_.file),
              MatchesRegex(R"(\{"time":"[0-9T:.-]+Z","level":"info","event":"config_loaded","databases":2\})"
                           "\n"));
}

TEST_F(log_file, has_nothing_below_the_level) {
  settings_.level = log_level::warning;
  configure(settings_);
  EXPECT_FALSE(is_enabled(log_level::info));
  info<"quiet">();
  warning<"loud">();
  flush();
  EXPECT_THAT(read(settings_.file), Not(HasSubstr("quiet")));
  EXPECT_THAT(read(settings_.file), HasSubstr("loud"));
}

TEST_F(log_file, is_opened_again_under_its_name_after_rotation) {
  configure(settings_);
  info<"before">();
  flush();
  std::filesystem::rename(settings_.file, folder_ / "log.1");
  reopen();
  info<"after">();
  flush();
  EXPECT_THAT(read(folder_ / "log.1"), HasSubstr("before"));
  EXPECT_THAT(read(settings_.file), HasSubstr("after"));
  EXPECT_THAT(read(settings_.file), Not(HasSubstr("before")));
}

TEST_F(log_file, keeps_the_old_target_when_the_new_one_cannot_be_opened) {
  configure(settings_);
  config::log_settings bad = settings_;
  bad.file = folder_ / "log" / "no folder";
  EXPECT_THROW(configure(bad), std::runtime_error);
  info<"still_here">();
  flush();
  EXPECT_THAT(read(settings_.file), HasSubstr("still_here"));
}

TEST_F(log_file, tells_how_many_lines_a_storm_lost) {
  configure(settings_);
  constexpr int threads = 4, lines = 500;
  std::vector<std::thread> storm;
  for (int t = 0; t < threads; ++t) {
    storm.emplace_back([] {
      for (int i = 0; i < lines; ++i) warning<"storm">({{"i", i}});
    });
  }
  for (std::thread& thread : storm) thread.join();
  report_suppressed();
  flush();
  const std::string text = read(settings_.file);
  long written = 0, suppressed = 0;
  for (std::size_t i = text.find("\"event\":\"storm\""); i != std::string::npos;
       i = text.find("\"event\":\"storm\"", i + 1)) {
    const std::string line = text.substr(i, text.find('\n', i) - i);
    if (line.find("\"i\":") != std::string::npos) ++written;
    if (const auto at = line.find("\"suppressed\":"); at != std::string::npos)
      suppressed += std::stol(line.substr(at + 13));
  }
  EXPECT_EQ(written + suppressed, threads * lines);
  EXPECT_LT(written, threads * lines / 2);
}

}  // namespace
}  // namespace tidegate::log
