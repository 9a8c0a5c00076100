#include "proxy/net/nested_poller.hpp"
#include "proxy/net/system_calls.hpp"
#include "proxy/net/thread_task.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

constexpr std::size_t receive_buffer_bytes = 256 * 1024;
constexpr int events_per_wait = 128;
// Receives from one channel before the others get a turn.
constexpr int receives_per_event = 4;

boost::system::error_code last_error() {
  return {errno, boost::system::system_category()};
}
boost::system::error_code tls_error() {
  return {EPROTO, boost::system::system_category()};
}

}  // namespace

class epoll_poller final : public nested_poller, private waiting_place {
 public:
  enum class place : std::uint8_t { of_the_thread, nested };

  epoll_poller(boost::asio::io_context& context, place where)
      : context_(context),
        watched_(::epoll_create1(EPOLL_CLOEXEC)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(receive_buffer_bytes)) {
    if (watched_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    if (where == place::of_the_thread) watch_asio();
    now_ = std::chrono::steady_clock::now();
  }

  ~epoll_poller() override {
    // With a reader goes who waits by it, and whose descriptor it is.
    while (!readers_.empty()) take(*readers_.back());
    ::close(watched_);
  }

  void add(channel& c) override {
    c.registered_ = c.reading_ = true;
    c.closing_seen_ = false;
    epoll_event event{};
    event.events = c.watched_ = EPOLLIN | EPOLLRDHUP;
    event.data.u64 = reinterpret_cast<std::uintptr_t>(&c);
    const int how = std::exchange(c.stream_.known, false) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (::epoll_ctl(watched_, how, c.stream_.descriptor, &event) != 0) {
      const auto why = last_error();
      break_soon(c, why);
      return;
    }
    // TLS may have decrypted bytes that the descriptor will never announce again.
    if (c.stream_.ssl && ::SSL_pending(c.stream_.ssl.get()) > 0) read_late(c);
  }

  void send(channel& c, std::span<const std::byte> bytes) override {
    if (c.broken_ || bytes.empty()) return;
    if (c.unsent() == 0) {
      bytes = bytes.subspan(write_some(c, bytes));
      if (bytes.empty()) return;
    }
    c.unsent_.insert(c.unsent_.end(), bytes.begin(), bytes.end());
    watch(c);
  }

  void set_reading(channel& c, bool reading) override {
    if (c.reading_ == reading) return;
    c.reading_ = reading;
    if (reading) c.closing_seen_ = false;
    if (reading && c.hung_up_) read_late(c);
    watch(c);
    if (reading && c.stream_.ssl && ::SSL_pending(c.stream_.ssl.get()) > 0) read_late(c);
  }

  void shut_down_sending(channel& c) override {
    if (c.broken_ || !c.registered_) return;
    if (c.unsent() != 0) {
      c.shut_when_drained_ = true;
      return;
    }
    if (c.stream_.ssl) {
      ::ERR_clear_error();
      ::SSL_shutdown(c.stream_.ssl.get());
    }
    ::shutdown(c.stream_.descriptor, SHUT_WR);
  }

  void remove(channel& c) override {
    if (!c.registered_) return;
    forget(c);
    c.broken_ = true;
    c.unsent_ = {};
    c.unsent_begin_ = 0;
    c.stream_.close();  // leaves epoll with its last descriptor
  }

  void release(channel& c, released done) override {
    if (c.registered_) {
      forget(c);
      if (!c.hung_up_ && !c.broken_) ::epoll_ctl(watched_, EPOLL_CTL_DEL, c.stream_.descriptor, nullptr);
    }
    boost::asio::post(context_, [done = std::move(done)] { done({}); });
  }

  void watch(int descriptor, readiness_handler& handler) override {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    event.data.u64 = tag_of(handler);
    if (::epoll_ctl(watched_, EPOLL_CTL_ADD, descriptor, &event) != 0)
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }

  void unwatch(int descriptor, readiness_handler& handler) override {
    ::epoll_ctl(watched_, EPOLL_CTL_DEL, descriptor, nullptr);
    forget_event(tag_of(handler));
  }

  boost::system::error_code await(int descriptor, bool& known,
                                  std::unique_ptr<awaited_read>& reader) override {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
    event.data.u64 = tag_of(*reader);
    if (::epoll_ctl(watched_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event) != 0)
      return last_error();
    known = true;
    reader->place_ = readers_.size();
    readers_.push_back(std::move(reader));
    return {};
  }

  std::unique_ptr<awaited_read> forget(int descriptor, bool& known, awaited_read& reader) override {
    ::epoll_ctl(watched_, EPOLL_CTL_DEL, descriptor, nullptr);
    known = false;
    forget_event(tag_of(reader));
    return take(reader);
  }

  std::chrono::steady_clock::time_point now() const override { return now_; }

  int descriptor() const override { return watched_; }
  void turn() override { wait(0); }

 private:
  // An event's tag is the address of a channel, of this (Asio has events), or with one of these bits of whom
  // readiness is told.
  static constexpr std::uintptr_t is_watched = 1, is_awaited = 2;
  static_assert(alignof(readiness_handler) >= 4 && alignof(awaited_read) >= 4 && alignof(channel) >= 4);

  static std::uintptr_t tag_of(readiness_handler& handler) {
    return reinterpret_cast<std::uintptr_t>(&handler) | is_watched;
  }
  static std::uintptr_t tag_of(awaited_read& reader) {
    return reinterpret_cast<std::uintptr_t>(&reader) | is_awaited;
  }

  std::unique_ptr<awaited_read> take(awaited_read& reader) {
    const std::size_t at = reader.place_;
    std::swap(readers_[at], readers_.back());
    readers_[at]->place_ = at;
    auto taken = std::move(readers_.back());
    readers_.pop_back();
    return taken;
  }

  // No event of it is delivered any more.
  void forget(channel& c) {
    c.registered_ = false;
    std::replace(late_reads_.begin(), late_reads_.end(), &c, static_cast<channel*>(nullptr));
    for (auto& broken : broken_) {
      if (broken.first == &c) broken.first = nullptr;
    }
    forget_event(reinterpret_cast<std::uintptr_t>(&c));
  }

  void forget_event(std::uintptr_t tag) {
    for (epoll_event& event : pending_) {
      if (event.data.u64 == tag) event.data.u64 = 0;
    }
  }

  void watch_asio() {
    task_.emplace(context_, static_cast<waiting_place&>(*this));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = reinterpret_cast<std::uintptr_t>(this);
    if (::epoll_ctl(watched_, EPOLL_CTL_ADD, task_->asio_descriptor(), &event) == 0) return;
    const int error = errno;
    ::close(watched_);
    throw std::system_error(error, std::generic_category(), "epoll_ctl");
  }

  bool wait(long microseconds) override {
    const int milliseconds = microseconds < 0 ? -1 : static_cast<int>((microseconds + 999) / 1000);
    const int count = system_calls::epoll_wait(watched_, events_, events_per_wait, milliseconds);
    if (count <= 0) return false;
    now_ = std::chrono::steady_clock::now();
    bool asio_has_events = false;
    pending_ = std::span(events_, static_cast<std::size_t>(count));
    while (!pending_.empty()) {
      const epoll_event event = pending_.front();
      pending_ = pending_.subspan(1);
      const std::uintptr_t tag = event.data.u64;
      if (tag == reinterpret_cast<std::uintptr_t>(this))
        asio_has_events = true;
      else if ((tag & is_watched) != 0)
        reinterpret_cast<readiness_handler*>(tag & ~is_watched)->on_readable();
      else if ((tag & is_awaited) != 0)
        take(*reinterpret_cast<awaited_read*>(tag & ~is_awaited))->on_readable();
      else if (tag != 0)
        handle(*reinterpret_cast<channel*>(tag), event.events);
    }
    return asio_has_events;
  }

  void leave() override {}

  void handle(channel& c, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
      if (c.read_wants_write_) read(c);
      if (c.registered_ && c.unsent() != 0) flush(c);
    }
    if (c.registered_ && (events & EPOLLIN) != 0) {
      if (c.write_wants_read_) flush(c);
      if (c.registered_ && c.reading_) read(c);
    }
    if (!c.registered_) return;
    if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && c.read_ended_)) {
      if (c.reading_) read(c);  // the last bytes first, then the error itself
      if (c.registered_) break_off(c, {ECONNRESET, boost::system::system_category()});
    } else if ((events & EPOLLHUP) != 0) {
      hang_up(c);
    } else if ((events & EPOLLRDHUP) != 0 && !c.reading_ && !c.read_ended_) {
      c.closing_seen_ = true;
      watch(c);
      c.handler_->on_closing(c);
    }
  }

  // Both directions are shut. What the kernel still has is read in turns, as far as it is wanted; epoll would
  // report this for ever.
  void hang_up(channel& c) {
    c.hung_up_ = true;
    ::epoll_ctl(watched_, EPOLL_CTL_DEL, c.stream_.descriptor, nullptr);
    if (c.reading_) read_late(c);
  }

  void read(channel& c) {
    read_now(c);
    if (c.registered_ && c.hung_up_ && c.reading_ && !c.read_ended_ && !c.broken_) read_late(c);
  }

  void read_now(channel& c) {
    for (int round = 0;
         round < receives_per_event && c.registered_ && c.reading_ && !c.read_ended_ && !c.broken_; ++round) {
      std::size_t got = 0;
      bool more = false;
      if (c.stream_.ssl) {
        if (!read_tls(c, got, more)) return;
      } else {
        const ssize_t n = system_calls::recv(c.stream_.descriptor, buffer_.get(), receive_buffer_bytes, 0);
        if (n < 0) {
          if (errno == EINTR || (errno == EAGAIN && !c.hung_up_)) return;
          return break_off(c, last_error());
        }
        if (n == 0) return end_reading(c);
        got = static_cast<std::size_t>(n);
        more = got == receive_buffer_bytes;
      }
      if (got != 0) c.handler_->on_received(c, std::span(buffer_.get(), got));
      if (!more) return;
    }
    if (c.registered_ && c.stream_.ssl && c.reading_ && ::SSL_pending(c.stream_.ssl.get()) > 0) read_late(c);
  }

  // Reads as many records as fit. False: the channel ended.
  bool read_tls(channel& c, std::size_t& got, bool& more) {
    SSL* ssl = c.stream_.ssl.get();
    c.read_wants_write_ = false;
    while (got + 16 * 1024 <= receive_buffer_bytes) {
      ::ERR_clear_error();
      std::size_t n = 0;
      if (::SSL_read_ex(ssl, buffer_.get() + got, receive_buffer_bytes - got, &n) == 1) {
        got += n;
        if (::SSL_pending(ssl) == 0 && n < 16 * 1024) return true;  // a short record: very likely the last
        continue;
      }
      switch (::SSL_get_error(ssl, 0)) {
        case SSL_ERROR_WANT_READ:
          return true;
        case SSL_ERROR_WANT_WRITE:
          c.read_wants_write_ = true;
          watch(c);
          return true;
        default: {
          const bool orderly = (::SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
          if (got != 0) c.handler_->on_received(c, std::span(buffer_.get(), got));
          got = 0;
          if (!c.registered_) return false;
          if (orderly)
            end_reading(c);
          else
            break_off(c, tls_error());
          return false;
        }
      }
    }
    more = true;
    return true;
  }

  // Sends what can be sent now; returns how much was taken. A broken channel takes everything and ends a
  // little later, so that a handler is never called back from inside its own send().
  std::size_t write_some(channel& c, std::span<const std::byte> bytes) {
    if (!c.stream_.ssl) {
      for (;;) {
        const ssize_t n = system_calls::send(c.stream_.descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0) return static_cast<std::size_t>(n);
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return 0;
        return break_soon(c, last_error()), bytes.size();
      }
    }
    SSL* ssl = c.stream_.ssl.get();
    c.write_wants_read_ = false;
    std::size_t taken = 0;
    while (taken < bytes.size()) {
      ::ERR_clear_error();
      std::size_t n = 0;
      if (::SSL_write_ex(ssl, bytes.data() + taken, bytes.size() - taken, &n) == 1) {
        taken += n;
        continue;
      }
      switch (::SSL_get_error(ssl, 0)) {
        case SSL_ERROR_WANT_WRITE:
          return taken;
        case SSL_ERROR_WANT_READ:
          c.write_wants_read_ = true;
          return taken;
        default:
          return break_soon(c, tls_error()), bytes.size();
      }
    }
    return taken;
  }

  void flush(channel& c) {
    const std::span<const std::byte> rest(c.unsent_.data() + c.unsent_begin_, c.unsent());
    c.unsent_begin_ += write_some(c, rest);
    if (c.unsent() != 0) return watch(c);
    c.unsent_ = {};
    c.unsent_begin_ = 0;
    watch(c);
    if (c.shut_when_drained_) {
      c.shut_when_drained_ = false;
      shut_down_sending(c);
    }
    c.handler_->on_drained(c);
  }

  void watch(channel& c) {
    if (!c.registered_ || c.hung_up_) return;
    std::uint32_t events = 0;
    if (!c.read_ended_) {
      if (!c.closing_seen_) events |= EPOLLRDHUP;
      if (c.reading_ || c.write_wants_read_) events |= EPOLLIN;
    }
    if (c.unsent() != 0 || c.read_wants_write_) events |= EPOLLOUT;
    if (events == c.watched_) return;
    c.watched_ = events;
    epoll_event event{};
    event.events = events;
    event.data.u64 = reinterpret_cast<std::uintptr_t>(&c);
    ::epoll_ctl(watched_, EPOLL_CTL_MOD, c.stream_.descriptor, &event);
  }

  void end_reading(channel& c) {
    if (c.read_ended_ || c.broken_) return;
    c.read_ended_ = true;
    watch(c);
    c.handler_->on_ended(c, {});
  }

  void break_off(channel& c, boost::system::error_code why) {
    if (c.broken_) return;
    c.broken_ = c.read_ended_ = true;
    c.unsent_ = {};
    c.unsent_begin_ = 0;
    // Nothing more is wanted of it: an error would be reported for ever.
    ::epoll_ctl(watched_, EPOLL_CTL_DEL, c.stream_.descriptor, nullptr);
    c.handler_->on_ended(c, why);
  }

  void break_soon(channel& c, boost::system::error_code why) {
    broken_.emplace_back(&c, why);
    if (broken_.size() != 1) return;
    boost::asio::post(context_, [this] {
      for (std::size_t i = 0; i < broken_.size(); ++i) {
        if (broken_[i].first != nullptr) break_off(*broken_[i].first, broken_[i].second);
      }
      broken_.clear();
    });
  }

  // TLS keeps decrypted bytes that the descriptor does not announce: they are read in a turn of their own.
  void read_late(channel& c) {
    late_reads_.push_back(&c);
    if (late_reads_scheduled_) return;
    late_reads_scheduled_ = true;
    boost::asio::post(context_, [this] {
      late_reads_scheduled_ = false;
      const std::size_t count = late_reads_.size();  // what is added meanwhile waits for the next turn
      for (std::size_t i = 0; i < count; ++i) {
        if (channel* late = late_reads_[i]; late != nullptr && late->reading_) read(*late);
      }
      late_reads_.erase(late_reads_.begin(), late_reads_.begin() + static_cast<std::ptrdiff_t>(count));
    });
  }

  boost::asio::io_context& context_;
  int watched_;
  std::optional<thread_task> task_;  // of_the_thread
  std::unique_ptr<std::byte[]> buffer_;
  epoll_event events_[events_per_wait];
  std::span<epoll_event> pending_;  // of the batch being handled
  std::chrono::steady_clock::time_point now_;
  std::vector<std::unique_ptr<awaited_read>> readers_;
  std::vector<channel*> late_reads_;
  bool late_reads_scheduled_ = false;
  std::vector<std::pair<channel*, boost::system::error_code>> broken_;
};

std::unique_ptr<poller> make_epoll_poller(boost::asio::io_context& context) {
  return std::make_unique<epoll_poller>(context, epoll_poller::place::of_the_thread);
}

std::unique_ptr<nested_poller> make_nested_epoll_poller(boost::asio::io_context& context) {
  return std::make_unique<epoll_poller>(context, epoll_poller::place::nested);
}

}  // namespace tidegate::net
