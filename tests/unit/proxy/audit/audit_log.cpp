#include "proxy/audit/audit_log.hpp"

#include "proxy/metrics/thread_metrics.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidegate::audit {
namespace {

using config::audit_settings;
using config::audit_target;
using metrics::audit_failure;
using testing::HasSubstr;
using testing::Not;

class audit_file : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("tidegate-audit-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  audit_settings to_file(const std::string& name) const {
    return {.target = audit_target::file, .file = folder_ / name};
  }
  std::string read(const std::string& name) const {
    std::ifstream in(folder_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static audit_record by_user(std::string name) {
    audit_record record;
    record.user = std::move(name);
    return record;
  }

  std::filesystem::path folder_;
  metrics::process_metrics metrics_;
};

TEST_F(audit_file, has_a_line_for_each_record_in_order) {
  audit_log log(to_file("audit"), metrics_);
  log.record(by_user("ann"));
  log.record(by_user("bob"));
  log.flush();
  const std::string text = read("audit");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_LT(text.find("ann"), text.find("bob"));
  EXPECT_EQ(metrics_.audit_records.value(), 2u);
}

TEST_F(audit_file, is_appended_to) {
  { audit_log(to_file("audit"), metrics_).record(by_user("ann")); }
  { audit_log(to_file("audit"), metrics_).record(by_user("bob")); }
  EXPECT_THAT(read("audit"), HasSubstr("ann"));
  EXPECT_THAT(read("audit"), HasSubstr("bob"));
}

TEST_F(audit_file, is_not_readable_by_everybody) {
  audit_log log(to_file("audit"), metrics_);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ / "audit").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007, 0u);
}

TEST_F(audit_file, is_opened_again_after_rotation) {
  audit_log log(to_file("audit"), metrics_);
  log.record(by_user("ann"));
  log.flush();
  std::filesystem::rename(folder_ / "audit", folder_ / "audit.1");
  log.reopen();
  log.record(by_user("bob"));
  log.flush();
  EXPECT_THAT(read("audit.1"), HasSubstr("ann"));
  EXPECT_THAT(read("audit"), HasSubstr("bob"));
}

TEST_F(audit_file, goes_on_in_the_old_file_when_the_new_one_cannot_be_opened) {
  audit_log log(to_file("audit"), metrics_);
  EXPECT_THROW(log.configure(to_file("no/such/folder")), std::system_error);
  log.record(by_user("ann"));
  log.flush();
  EXPECT_THAT(read("audit"), HasSubstr("ann"));
}

TEST_F(audit_file, changes_with_the_settings) {
  audit_log log(to_file("one"), metrics_);
  log.configure(to_file("two"));
  log.record(by_user("ann"));
  log.flush();
  log.configure({.target = audit_target::off, .file = {}});
  log.record(by_user("bob"));
  log.flush();
  EXPECT_EQ(read("one"), "");
  EXPECT_THAT(read("two"), HasSubstr("ann"));
  EXPECT_THAT(read("two"), Not(HasSubstr("bob")));
}

TEST_F(audit_file, takes_every_record_of_many_threads) {
  audit_log log(to_file("audit"), metrics_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) log.record(by_user("ann"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  log.flush();
  const std::string text = read("audit");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 800);
}

TEST(audit_log_on_a_full_disk, counts_what_it_loses) {
  metrics::process_metrics metrics;
  audit_log log({.target = audit_target::file, .file = "/dev/full"}, metrics);
  log.record({});
  log.record({});
  log.flush();
  EXPECT_EQ(metrics.audit_records.value(), 0u);
  EXPECT_EQ(metrics.audit_failures[audit_failure::write_failed].value(), 2u);
}

TEST_F(audit_file, that_nobody_reads_neither_blocks_nor_grows_and_tells_what_is_missing) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  auto log = std::make_unique<audit_log>(to_file("fifo"), metrics_);
  audit_record big = by_user("ann");
  big.statement = std::string(8000, 'x');
  const auto lost = [&] { return metrics_.audit_failures[audit_failure::queue_full].value(); };
  std::size_t recorded = 0;
  while (lost() == 0 && recorded < 100'000) {
    log->record(big);
    ++recorded;
  }
  EXPECT_EQ(lost(), 1u);
  EXPECT_LT(recorded, 10'000u);

  // the reader comes back: everything that was kept arrives, and how many are missing
  std::thread ending([&] {
    log->flush();
    log->record(by_user("bob"));
    log.reset();
  });
  ::fcntl(reader, F_SETFL, 0);
  std::string text;
  char buffer[65536];
  for (ssize_t n = 0; (n = ::read(reader, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  ending.join();
  ::close(reader);
  EXPECT_THAT(text, HasSubstr(R"({"lost_records":1})"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), static_cast<long>(recorded) + 1);
}

}  // namespace
}  // namespace tidegate::audit
