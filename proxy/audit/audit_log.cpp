#include "proxy/audit/audit_log.hpp"

#include "proxy/log/log.hpp"
#include "proxy/metrics/thread_metrics.hpp"

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace tidegate::audit {

using metrics::audit_failure;

// An open file, or stderr.
class audit_log::target {
 public:
  explicit target(std::string file) : file_(std::move(file)) {
    if (file_.empty()) {
      descriptor_ = STDERR_FILENO;
    } else {
      descriptor_ = open_file(file_);
      if (descriptor_ < 0) {
        throw std::system_error(errno, std::generic_category(), "cannot open the audit log " + file_);
      }
    }
  }
  ~target() { close_file(); }
  target(const target&) = delete;

  // False when the name cannot be opened; then the old file goes on.
  bool reopen() {
    if (file_.empty()) return true;
    const int opened = open_file(file_);
    if (opened < 0) return false;
    close_file();
    descriptor_ = opened;
    is_line_cut_ = false;
    return true;
  }

  // The whole line, or false. After a line that was cut (disk full) the next one begins on a line of its own.
  bool write_line(std::string_view line) {
    if (is_line_cut_ && !write_all("\n")) return false;
    is_line_cut_ = false;
    return write_all(line);
  }

 private:
  static int open_file(const std::string& file) {
    return ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  }

  void close_file() {
    if (!file_.empty() && descriptor_ >= 0) ::close(descriptor_);
  }

  bool write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(written));
        is_line_cut_ = true;
      } else if (written == 0 || errno != EINTR) {
        return false;
      }
    }
    is_line_cut_ = false;
    return true;
  }

  const std::string file_;
  int descriptor_ = -1;
  bool is_line_cut_ = false;
};

namespace {

std::string lost_line(std::uint64_t lost) {
  return R"({"lost_records":)" + std::to_string(lost) + "}\n";
}

}  // namespace

audit_log::audit_log(const config::audit_settings& settings, metrics::process_metrics& metrics)
    : metrics_(metrics) {
  configure(settings);
  writer_ = std::thread([this] { run(); });
}

audit_log::~audit_log() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  writer_.join();
}

void audit_log::configure(const config::audit_settings& settings) {
  std::shared_ptr<target> opened;
  switch (settings.target) {
    case config::audit_target::off:
      break;
    case config::audit_target::stderr_stream:
      opened = std::make_shared<target>(std::string());
      break;
    case config::audit_target::file:
      opened = std::make_shared<target>(settings.file);
      break;
  }
  const std::lock_guard lock(mutex_);
  target_ = std::move(opened);
}

void audit_log::record(const audit_record& record) {
  if (hear_) hear_(record);
  {
    const std::lock_guard lock(mutex_);
    if (target_ == nullptr) return;
  }
  std::string line = to_json_line(record);
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < max_queued_records && queued_bytes_ + line.size() <= max_queued_bytes) {
      queued_bytes_ += line.size();
      queue_.push_back(std::move(line));
      ++recorded_;
      line.clear();
    } else {
      ++lost_;
    }
  }
  if (!line.empty()) {
    metrics_.audit_failures[audit_failure::queue_full].add();
    log::error<"audit_record_lost">({{"reason", "queue full"}});
    return;
  }
  changed_.notify_all();
}

void audit_log::reopen() {
  const std::lock_guard lock(mutex_);
  is_reopen_wanted_ = true;
}

void audit_log::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, until = recorded_] { return done_ >= until; });
}

void audit_log::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !queue_.empty() || is_ending_; });
    if (queue_.empty()) return;
    std::deque<std::string> lines;
    lines.swap(queue_);
    queued_bytes_ = 0;
    const std::shared_ptr<target> to = target_;
    const bool reopens = std::exchange(is_reopen_wanted_, false);
    std::uint64_t missing = std::exchange(lost_, 0);
    lock.unlock();

    if (to != nullptr && reopens && !to->reopen()) {
      log::error<"audit_reopen_failed">({{"reason", std::generic_category().message(errno)}});
    }
    for (const std::string& line : lines) {
      if (to != nullptr && missing > 0 && to->write_line(lost_line(missing))) missing = 0;
      if (to != nullptr && to->write_line(line)) {
        metrics_.audit_records.add();
      } else {
        ++missing;
        metrics_.audit_failures[audit_failure::write_failed].add();
        log::error<"audit_record_lost">({{"reason", std::generic_category().message(errno)}});
      }
    }
    lock.lock();
    lost_ += missing;
    done_ += lines.size();
    changed_.notify_all();
  }
}

}  // namespace tidegate::audit
