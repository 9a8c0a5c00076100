#include "proxy/control/ledger_writer.hpp"

#include "proxy/log/log.hpp"
#include "proxy/metrics/thread_metrics.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::control {
namespace {

namespace asio = boost::asio;
using metrics::ledger_failure;

constexpr std::size_t rows_at_once = 32;
constexpr std::chrono::milliseconds first_pause{250};
constexpr std::chrono::milliseconds longest_pause{15'000};

// Another try may do: connection, resources, operator's intervention, deadlock, lock_timeout, read-only.
bool may_pass(const sql_error& error) {
  const std::string_view state = error.sqlstate;
  return state.starts_with("08") || state.starts_with("53") || state.starts_with("57") ||
         state.starts_with("40") || state == "55P03" || state == "25006";
}

}  // namespace

class ledger_writer::impl {
 public:
  impl(control_plane& plane, metrics::process_metrics& metrics) : plane_(plane), metrics_(metrics) {
    thread_ = std::thread([this] { context_.run(); });
  }

  ~impl() {
    asio::post(context_, [this] {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (auto& [target, each] : lanes_)
        if (each.pause) each.pause->cancel();
    });
    work_.reset();
    thread_.join();
  }

  void record(const control_target& target, ddl_entry entry) {
    const std::size_t bytes = memory_of(entry);
    {
      const std::lock_guard lock(mutex_);
      lane& to = lanes_[target];
      if (queued_ < most && queued_bytes_ + bytes <= most_bytes && to.rows.size() < most_per_database) {
        to.rows.push_back(std::move(entry));
        ++queued_;
        queued_bytes_ += bytes;
        if (!std::exchange(to.busy, true)) asio::co_spawn(context_, drain(target), asio::detached);
        return;
      }
    }
    lost(ledger_failure::queue_full, target.database, {});
  }

  void lost(ledger_failure why, std::string_view database, std::string_view sqlstate) {
    metrics_.ledger_failures[why].add();
    log::error<"ledger_row_lost">(
        {{"database", database},
         {"reason", metrics::words_of<ledger_failure>[static_cast<std::size_t>(why)]},
         {"sqlstate", sqlstate}});
  }

  void flush(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, at_most, [this] { return queued_ == 0; });
  }

 private:
  struct lane {
    std::deque<ddl_entry> rows;
    bool busy = false;                          // a coroutine writes them
    std::shared_ptr<asio::steady_timer> pause;  // before another try
    bool told = false;                          // that it can't be written
  };

  // Until the lane is empty. On the ledger's thread.
  asio::awaitable<void> drain(control_target target) {
    auto pause = first_pause;
    for (;;) {
      std::vector<ddl_entry> batch;
      {
        const std::lock_guard lock(mutex_);
        const auto& rows = lanes_[target].rows;
        const auto count = static_cast<std::ptrdiff_t>(std::min(rows.size(), rows_at_once));
        batch.assign(rows.begin(), rows.begin() + count);
        if (batch.empty()) {
          if (lanes_[target].told)
            lanes_[target].busy = false;
          else
            lanes_.erase(target);
          co_return;
        }
      }
      const auto source = plane_.querier_for(target);
      const auto written = co_await record_ddl(*source, batch);
      const bool again = settle(target, written);
      if (!again) {
        pause = first_pause;
        continue;
      }
      const auto timer = std::make_shared<asio::steady_timer>(context_, pause);
      {
        const std::lock_guard lock(mutex_);
        lanes_[target].pause = timer;
        if (stopping_) timer->expires_after(std::chrono::milliseconds(0));
      }
      co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
      pause = std::min(pause * 2, longest_pause);
    }
  }

  // Takes off the queue what is done with. True: the first row is to be tried again.
  bool settle(const control_target& target, const std::vector<outcome<query_result>>& written) {
    for (const auto& each : written) {
      bool tell = true;
      {
        const std::lock_guard lock(mutex_);
        lane& of = lanes_[target];
        if (!each && may_pass(each.error()) && !stopping_) return true;
        queued_bytes_ -= memory_of(of.rows.front());
        of.rows.pop_front();
        --queued_;
        tell = !each && !std::exchange(of.told, true);
        if (each) of.told = false;
        changed_.notify_all();
      }
      if (each) {
        metrics_.ledger_records.add();
        continue;
      }
      const auto why = may_pass(each.error()) ? ledger_failure::unreachable : ledger_failure::refused;
      if (tell)
        lost(why, target.database, each.error().sqlstate);
      else
        metrics_.ledger_failures[why].add();
    }
    return false;
  }

  control_plane& plane_;
  metrics::process_metrics& metrics_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::mutex mutex_;  // over what follows
  std::condition_variable changed_;
  std::map<control_target, lane> lanes_;
  std::size_t queued_ = 0, queued_bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

ledger_writer::ledger_writer(control_plane& plane, metrics::process_metrics& metrics)
    : impl_(std::make_shared<impl>(plane, metrics)) {}
ledger_writer::~ledger_writer() = default;

void ledger_writer::record(const control_target& target, ddl_entry entry) {
  impl_->record(target, std::move(entry));
}
void ledger_writer::lost() {
  impl_->lost(ledger_failure::queue_full, {}, {});
}
void ledger_writer::flush(std::chrono::milliseconds at_most) {
  impl_->flush(at_most);
}

}  // namespace tidegate::control
