#include "proxy/log/log.hpp"

#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <spdlog/async_logger.h>
#include <spdlog/details/file_helper.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace tidegate::log {
namespace {

constexpr std::size_t queue_lines = 8192;

// A file that can be opened again under its name.
class file_sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit file_sink(const std::string& file) { file_.open(file); }

  void reopen() {
    const std::lock_guard lock(mutex_);
    file_.reopen(false);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_.write(line);
    file_.flush();
  }
  void flush_() override { file_.flush(); }

  spdlog::details::file_helper file_;
};

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::trace:
      return spdlog::level::trace;
    case log_level::debug:
      return spdlog::level::debug;
    case log_level::info:
      return spdlog::level::info;
    case log_level::warning:
      return spdlog::level::warn;
    case log_level::error:
      return spdlog::level::err;
    case log_level::off:
      break;
  }
  return spdlog::level::off;
}

// Where lines go. The logger's thread ends, after it has written all it was given, with the last copy.
struct target {
  config::log_settings settings;
  std::shared_ptr<spdlog::details::thread_pool> writer;
  std::shared_ptr<file_sink> file;  // null for stderr
  std::shared_ptr<spdlog::logger> logger;

  ~target() { logger.reset(); }
};

std::shared_ptr<target> open_target(const config::log_settings& settings) {
  auto made = std::make_shared<target>();
  made->settings = settings;
  made->writer = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
  spdlog::sink_ptr sink;
  if (settings.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    try {
      made->file = std::make_shared<file_sink>(settings.file);
    } catch (const spdlog::spdlog_ex& reason) {
      throw std::runtime_error(std::string("cannot open the log: ") + reason.what());
    }
    sink = made->file;
  }
  made->logger = std::make_shared<spdlog::async_logger>("tidegate", sink, made->writer,
                                                        spdlog::async_overflow_policy::overrun_oldest);
  made->logger->set_level(spdlog::level::trace);  // lowest_level decides
  made->logger->set_pattern(settings.format == config::log_format::json
                                ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                : "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v",
                            spdlog::pattern_time_type::utc);
  made->logger->set_error_handler([](const std::string&) {});  // a full disk must not fill stderr as well
  return made;
}

std::mutex current_mutex;
std::shared_ptr<target> current;  // under current_mutex
std::atomic<event_state*> listed_events{nullptr};

std::shared_ptr<target> current_target() {
  const std::lock_guard lock(current_mutex);
  if (current == nullptr) current = open_target({});
  return current;
}

void list(event_state& event) {
  if (event.is_listed.exchange(true, std::memory_order_relaxed)) return;
  event.next_listed = listed_events.load(std::memory_order_relaxed);
  while (!listed_events.compare_exchange_weak(event.next_listed, &event, std::memory_order_release,
                                              std::memory_order_relaxed)) {
  }
}

}  // namespace

std::atomic<log_level> detail::lowest_level{log_level::info};

void detail::write(log_level level, event_state& event, std::initializer_list<field> fields) {
  if (!event.is_listed.load(std::memory_order_relaxed)) list(event);
  const auto suppressed = event.admit(std::chrono::steady_clock::now());
  if (!suppressed) return;
  const auto to = current_target();
  to->logger->log(to_spdlog(level), spdlog::string_view_t(format_fields(to->settings.format, event.name(),
                                                                        fields, *suppressed)));
}

void configure(const config::log_settings& settings) {
  auto opened = open_target(settings);
  detail::lowest_level.store(settings.level, std::memory_order_relaxed);
  const std::lock_guard lock(current_mutex);
  std::swap(current, opened);
}

void reopen() {
  const auto to = current_target();
  if (to->file != nullptr) to->file->reopen();
}

void report_suppressed() {
  for (event_state* event = listed_events.load(std::memory_order_acquire); event != nullptr;
       event = event->next_listed) {
    if (const std::uint64_t count = event->take_suppressed(); count > 0) {
      const auto to = current_target();
      to->logger->log(spdlog::level::warn,
                      spdlog::string_view_t(format_fields(to->settings.format, event->name(), {}, count)));
    }
  }
}

void flush() {
  std::shared_ptr<target> old;
  {
    const std::lock_guard lock(current_mutex);
    if (current == nullptr) return;
    auto opened = open_target(current->settings);
    old = std::exchange(current, std::move(opened));
  }
  old.reset();  // joins the writer once the other threads have let go of it
}

}  // namespace tidegate::log
