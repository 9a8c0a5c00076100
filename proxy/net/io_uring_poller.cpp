// The relay's poller on io_uring. Each channel has one receive that goes on by itself, into buffers that all
// channels share; what handlers send during a batch of completions is collected and handed over, with all
// else, by one system call, which also makes the completions of the next batch.
//
// Bytes that were received are sent from where they are: a buffer goes back to the kernel after the sends of
// its batch. TLS channels belong to an epoll poller of their own, since OpenSSL works on the descriptor.

#include "proxy/net/nested_poller.hpp"
#include "proxy/net/ring.hpp"
#include "proxy/net/ring_readiness.hpp"
#include "proxy/net/thread_task.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace tidegate::net {
namespace {

using boost::system::error_code;

// What is collected for one channel before the kernel is asked how much of it it takes: a handler has to
// learn soon that its peer is slow.
constexpr std::size_t most_collected = 256 * 1024;
constexpr std::uint32_t most_pieces = 1000;  // IOV_MAX is 1024

error_code from_errno(int value) {
  return {value, boost::system::system_category()};
}

// Which of a channel's operations a completion belongs to: the low bits of its tag.
enum class operation : std::uint8_t { receive = 1, watch_peer, watch_room, send };
constexpr std::uint64_t operation_bits = 7;
static_assert(static_cast<std::uint64_t>(operation::send) < ring_readiness::mark);
// Operations of no channel: no seat has such an address.
constexpr std::uint64_t asio_tag = 8, tls_tag = 16;

// Of an operation that goes on until it is cancelled.
enum class progress : std::uint8_t {
  none,
  runs,
  ending,   // cancelled; its last completion is on its way
  starved,  // of a receive: to begin again when there are buffers
};

constexpr std::uint32_t no_piece = std::numeric_limits<std::uint32_t>::max();

}  // namespace

// What the kernel may still use of a channel. Outlives it until the last operation has ended.
struct alignas(8) ring_seat {
  channel* of = nullptr;         // null: removed
  released_stream stream;        // once removed
  std::vector<std::byte> early;  // received before the kernel knew that reading is off
  error_code breaking;           // what a send ran into
  std::size_t collected = 0;     // bytes of the pieces
  std::uint32_t pieces = 0;
  std::uint32_t first_piece = no_piece, last_piece = no_piece;
  std::optional<int> short_result;  // of a send that took less than all
  unsigned peer_state = 0;          // hang-ups and errors seen
  poller::released released;        // to be called when it is no longer in use
  progress receiving = progress::none;
  progress watching_peer = progress::none;
  progress watching_room = progress::none;
  bool has_room = false;  // for what is unsent
  bool is_noted = false;

  bool in_use() const {
    return receiving != progress::none || watching_peer != progress::none ||
           watching_room != progress::none || collected != 0;
  }
};

class io_uring_poller final : public poller, private waiting_place {
 public:
  explicit io_uring_poller(boost::asio::io_context& context)
      : context_(context),
        tls_(make_nested_epoll_poller(context)),
        task_(context, static_cast<waiting_place&>(*this)) {}

  void add(channel& c) override {
    if (c.stream_.ssl) return tls_->add(c);
    auto seat = std::make_unique<ring_seat>();
    seat->of = &c;
    c.registered_ = true;
    c.seat_ = seat.get();
    note(*c.seat_);
    seats_.emplace(c.seat_, std::move(seat));
  }

  void send(channel& c, std::span<const std::byte> bytes) override {
    if (c.stream_.ssl) return tls_->send(c, bytes);
    if (c.broken_ || bytes.empty()) return;
    if (c.unsent() != 0) {
      c.unsent_.insert(c.unsent_.end(), bytes.begin(), bytes.end());
    } else if (in_turn_) {
      collect(*c.seat_, bytes);
    } else if (bytes = bytes.subspan(send_now(c, bytes)); !bytes.empty()) {
      c.unsent_.assign(bytes.begin(), bytes.end());
      note(*c.seat_);
    }
  }

  void set_reading(channel& c, bool reading) override {
    if (c.stream_.ssl) return tls_->set_reading(c, reading);
    if (c.reading_ == reading) return;
    c.reading_ = reading;
    if (reading) c.closing_seen_ = false;
    if (c.seat_ != nullptr) note(*c.seat_);
  }

  void shut_down_sending(channel& c) override {
    if (c.stream_.ssl) return tls_->shut_down_sending(c);
    if (c.broken_ || !c.registered_) return;
    if (c.unsent() != 0 || c.seat_->collected != 0)
      c.shut_when_drained_ = true;
    else
      ::shutdown(c.stream_.descriptor, SHUT_WR);
  }

  void release(channel& c, released done) override {
    if (c.stream_.ssl) return tls_->release(c, std::move(done));
    if (!c.registered_) return boost::asio::post(context_, [done = std::move(done)] { done({}); });
    if (c.seat_->collected != 0) know_what_is_unsent();
    c.registered_ = false;
    ring_seat& seat = *std::exchange(c.seat_, nullptr);
    seat.of = nullptr;
    seat.released = std::move(done);
    note(seat);
  }

  void remove(channel& c) override {
    if (c.stream_.ssl) return tls_->remove(c);
    if (!c.registered_) return;
    c.registered_ = false;
    c.broken_ = true;
    c.unsent_ = {};
    c.unsent_begin_ = 0;
    ring_seat& seat = *std::exchange(c.seat_, nullptr);
    seat.of = nullptr;
    seat.early = {};
    seat.stream = std::move(c.stream_);
    note(seat);
  }

  void watch(int descriptor, readiness_handler& handler) override { readiness_.watch(descriptor, handler); }
  void unwatch(int /*descriptor*/, readiness_handler& handler) override { readiness_.unwatch(handler); }

  error_code await(int descriptor, bool& /*known*/, std::unique_ptr<awaited_read>& reader) override {
    readiness_.await(descriptor, std::move(reader));
    return {};
  }
  std::unique_ptr<awaited_read> forget(int /*descriptor*/, bool& /*known*/, awaited_read& reader) override {
    return readiness_.forget(reader);
  }

  std::chrono::steady_clock::time_point now() const override { return std::max(now_, tls_->now()); }

 private:
  // A part of what is sent to a channel in this batch.
  struct piece {
    std::span<const std::byte> bytes;
    std::uint32_t next;
  };

  static std::uint64_t tag(ring_seat& seat, operation what) {
    return reinterpret_cast<std::uintptr_t>(&seat) | static_cast<std::uint64_t>(what);
  }
  static ring_seat& seat_of(const completion& c) {
    return *reinterpret_cast<ring_seat*>(c.tag & ~operation_bits);
  }
  static operation operation_of(const completion& c) {
    return static_cast<operation>(c.tag & operation_bits);
  }

  // ---- turns ----

  // Something about the seat has changed: what it wants of the kernel is looked at before the next wait.
  void note(ring_seat& seat) {
    if (std::exchange(seat.is_noted, true)) return;
    noted_.push_back(&seat);
  }

  // What the handlers of one batch send is handed over by the system call that waits for the next.
  bool wait(long microseconds) override {
    in_turn_ = true;
    if (!std::exchange(enabled_, true)) ring_.enable();
    // It waits for nothing while there is something to do, also for the handlers that settle() calls.
    if (!noted_.empty() || !batch_.empty() || !starved_.empty()) microseconds = 0;
    settle();
    readiness_.ask();
    if (!std::exchange(awaits_asio_, true)) ring_.wait_readable(task_.asio_descriptor(), asio_tag);
    if (!std::exchange(awaits_tls_, true)) ring_.wait_readable(tls_->descriptor(), tls_tag);
    enter(microseconds);
    deliver();
    settle();
    return !awaits_asio_;
  }

  void leave() override {
    in_turn_ = false;
    if (!senders_.empty()) enter(0);
  }

  void enter(long microseconds) {
    hand_over_sends();
    if (senders_.empty()) give_back_buffers();
    ring_.enter(microseconds);
    take_completions();
    end_sends();
    give_back_buffers();
    for (ring_seat* seat : starved_) {
      seat->receiving = progress::none;
      note(*seat);
    }
    starved_.clear();
    if (!batch_.empty()) now_ = std::chrono::steady_clock::now();
  }

  void give_back_buffers() {
    ring_.give_back(lent_);
    lent_.clear();
  }

  void take_completions() {
    ring_.take_completions([this](const completion& c) {
      if (c.tag == asio_tag)
        awaits_asio_ = false;
      else if (c.tag != tls_tag && operation_of(c) == operation::send)
        seat_of(c).short_result = c.result;
      else
        batch_.push_back(c);
    });
  }

  void deliver() {
    for (std::size_t i = 0; i < batch_.size(); ++i) {  // grows when sends are handed over on the way
      const completion c = batch_[i];
      if (c.tag == tls_tag) {
        awaits_tls_ = false;
        tls_->turn();
        continue;
      }
      if (ring_readiness::is_about(c.tag)) {
        readiness_.completed(c.tag);
        continue;
      }
      ring_seat& seat = seat_of(c);
      switch (operation_of(c)) {
        case operation::receive:
          received(seat, c);
          break;
        case operation::watch_peer:
          if (c.is_last) seat.watching_peer = progress::none;
          if (c.result > 0) seat.peer_state |= static_cast<unsigned>(c.result);
          note(seat);
          break;
        case operation::watch_room:
          if (c.is_last) seat.watching_room = progress::none;
          seat.has_room = true;
          note(seat);
          break;
        case operation::send:
          break;
      }
    }
    batch_.clear();
  }

  // ---- receiving ----

  void received(ring_seat& seat, const completion& c) {
    if (c.has_buffer) lent_.push_back(c.buffer);
    if (c.result == -ENOBUFS) return starve(seat);
    if (c.is_last) {
      seat.receiving = progress::none;
      note(seat);
    }
    channel* to = seat.of;
    if (to == nullptr && seat.released && c.result > 0) {
      const auto bytes = ring_.received(c);
      seat.early.insert(seat.early.end(), bytes.begin(), bytes.end());
    }
    if (to == nullptr || to->broken_ || to->read_ended_) return;
    if (c.result > 0) {
      const auto bytes = ring_.received(c);
      if (to->reading_ && seat.early.empty())
        to->handler_->on_received(*to, bytes);
      else
        seat.early.insert(seat.early.end(), bytes.begin(), bytes.end());
      return;
    }
    switch (-c.result) {
      case 0:
        // While reading is off it stays untold, and the next receive finds it again.
        if (to->reading_ && seat.early.empty()) end_reading(*to);
        break;
      case ECANCELED:
      case EINTR:
      case EAGAIN:
        break;
      default:
        if (to->reading_ && !seat.early.empty()) deliver_early(seat);
        if (seat.of != nullptr) break_off(*seat.of, from_errno(-c.result));
    }
  }

  // No buffer was free: it receives again when those of this batch have been given back.
  void starve(ring_seat& seat) {
    // One channel with much to say empties a ring of any size; more buffers are for more channels.
    if (seats_.size() > ring_.buffers()) ring_.add_buffers();
    seat.receiving = progress::starved;
    starved_.push_back(&seat);
  }

  void deliver_early(ring_seat& seat) {
    const auto bytes = std::exchange(seat.early, {});
    seat.of->handler_->on_received(*seat.of, bytes);
  }

  void end_reading(channel& c) {
    know_what_is_unsent();
    c.read_ended_ = true;
    note(*c.seat_);
    c.handler_->on_ended(c, {});
  }

  void break_off(channel& c, error_code why) {
    if (c.broken_) return;
    know_what_is_unsent();
    c.broken_ = c.read_ended_ = true;
    c.unsent_ = {};
    c.unsent_begin_ = 0;
    c.seat_->early = {};
    note(*c.seat_);
    c.handler_->on_ended(c, why);
  }

  // ---- sending ----

  void collect(ring_seat& seat, std::span<const std::byte> bytes) {
    if (!ring_.is_buffer(bytes)) bytes = copies_.emplace_back(bytes.begin(), bytes.end());
    const auto added = static_cast<std::uint32_t>(pieces_.size());
    pieces_.push_back({bytes, no_piece});
    if (seat.collected == 0) {
      senders_.push_back(&seat);
      seat.first_piece = added;
    } else {
      pieces_[seat.last_piece].next = added;
    }
    seat.last_piece = added;
    seat.collected += bytes.size();
    ++seat.pieces;
    if (seat.collected >= most_collected || seat.pieces == most_pieces) know_what_is_unsent();
  }

  // Makes unsent() true of every channel, in the middle of a batch.
  void know_what_is_unsent() {
    if (senders_.empty()) return;
    hand_over_sends();
    ring_.submit();
    take_completions();
    end_sends();
  }

  void hand_over_sends() {
    vectors_.clear();
    headers_.clear();
    vectors_.reserve(pieces_.size());
    headers_.reserve(senders_.size());
    for (ring_seat* seat : senders_) {
      const int descriptor = seat->of != nullptr ? seat->of->stream_.descriptor : seat->stream.descriptor;
      const piece& first = pieces_[seat->first_piece];
      if (first.next == no_piece) {
        ring_.send(descriptor, first.bytes, tag(*seat, operation::send));
        continue;
      }
      msghdr& header = headers_.emplace_back();
      header.msg_iov = vectors_.data() + vectors_.size();
      for (std::uint32_t i = seat->first_piece; i != no_piece; i = pieces_[i].next) {
        vectors_.push_back({const_cast<std::byte*>(pieces_[i].bytes.data()), pieces_[i].bytes.size()});
        ++header.msg_iovlen;
      }
      ring_.send(descriptor, header, tag(*seat, operation::send));
    }
  }

  // The kernel has taken what it could of what was handed over; the rest is kept.
  void end_sends() {
    for (ring_seat* seat : senders_) {
      const auto result = std::exchange(seat->short_result, std::nullopt);
      if (channel* c = seat->of; c != nullptr && !c->broken_) {
        if (result && *result < 0 && *result != -EAGAIN && *result != -EINTR)
          break_soon(*seat, -*result);
        else if (result)
          keep_rest(*c, static_cast<std::size_t>(std::max(*result, 0)));
        else
          finish_sending(*c);
      }
      seat->collected = seat->pieces = 0;
      seat->first_piece = seat->last_piece = no_piece;
      if (seat->of == nullptr) note(*seat);
    }
    senders_.clear();
    pieces_.clear();
    copies_.clear();
  }

  void keep_rest(channel& c, std::size_t taken) {
    for (std::uint32_t i = c.seat_->first_piece; i != no_piece; i = pieces_[i].next) {
      const auto bytes = pieces_[i].bytes;
      const std::size_t skipped = std::min(taken, bytes.size());
      taken -= skipped;
      c.unsent_.insert(c.unsent_.end(), bytes.begin() + static_cast<std::ptrdiff_t>(skipped), bytes.end());
    }
    note(*c.seat_);
  }

  void finish_sending(channel& c) {
    if (std::exchange(c.shut_when_drained_, false)) ::shutdown(c.stream_.descriptor, SHUT_WR);
  }

  // A handler is never called back from inside its own send().
  void break_soon(ring_seat& seat, int error) {
    seat.breaking = from_errno(error);
    note(seat);
  }

  // Returns how much was taken; of a channel that broke, all.
  std::size_t send_now(channel& c, std::span<const std::byte> bytes) {
    for (;;) {
      const ssize_t n = ::send(c.stream_.descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return 0;
      break_soon(*c.seat_, errno);
      return bytes.size();
    }
  }

  void send_unsent(channel& c) {
    c.unsent_begin_ += send_now(c, {c.unsent_.data() + c.unsent_begin_, c.unsent()});
    if (c.unsent() != 0 || c.seat_->breaking) return;
    c.unsent_ = {};
    c.unsent_begin_ = 0;
    finish_sending(c);
    c.handler_->on_drained(c);
  }

  // ---- what a channel wants of the kernel ----

  void settle() {
    for (std::size_t i = 0; i < noted_.size(); ++i) {  // handlers may add to it
      ring_seat& seat = *noted_[i];
      seat.is_noted = false;
      if (seat.of != nullptr && seat.breaking) break_off(*seat.of, seat.breaking);
      if (seat.of != nullptr && seat.of->reading_ && !seat.early.empty()) deliver_early(seat);
      if (std::exchange(seat.has_room, false) && seat.of != nullptr && seat.of->unsent() != 0)
        send_unsent(*seat.of);
      if (seat.of != nullptr && seat.peer_state != 0) judge(*seat.of, seat.peer_state);
      ask(seat);
      if (seat.of == nullptr && !seat.in_use() && !seat.is_noted) forget(seat);
    }
    noted_.clear();
  }

  void forget(ring_seat& seat) {
    if (seat.released) {
      boost::asio::post(context_, [done = std::move(seat.released),
                                   unread = std::move(seat.early)]() mutable { done(std::move(unread)); });
    }
    seats_.erase(&seat);
  }

  // While the receive runs, it tells of all that happens to the peer.
  void judge(channel& c, unsigned state) {
    if (c.broken_ || (c.reading_ && !c.read_ended_)) return;
    if ((state & POLLERR) != 0 || ((state & POLLHUP) != 0 && c.read_ended_)) {
      break_off(c, from_errno(ECONNRESET));
    } else if ((state & POLLRDHUP) != 0 && !c.read_ended_ && !c.closing_seen_) {
      know_what_is_unsent();
      c.closing_seen_ = true;
      c.handler_->on_closing(c);
    }
  }

  void ask(ring_seat& seat) {
    const channel* c = seat.of != nullptr && !seat.of->broken_ ? seat.of : nullptr;
    const int descriptor = c != nullptr ? c->stream_.descriptor : -1;
    const bool receives = c != nullptr && c->reading_ && !c->read_ended_;
    ask(seat, operation::receive, seat.receiving, receives,
        [&](std::uint64_t tag) { ring_.receive(descriptor, tag); });
    // Once begun it goes on: it costs nothing until something happens to the peer.
    ask(seat, operation::watch_peer, seat.watching_peer,
        c != nullptr && (!receives || seat.watching_peer == progress::runs),
        [&](std::uint64_t tag) { ring_.watch(descriptor, POLLRDHUP, tag); });
    ask(seat, operation::watch_room, seat.watching_room, c != nullptr && c->unsent() != 0,
        [&](std::uint64_t tag) { ring_.watch(descriptor, POLLOUT, tag); });
  }

  template <typename Begin>
  void ask(ring_seat& seat, operation what, progress& now, bool wanted, Begin begin) {
    if (wanted && now == progress::none) {
      begin(tag(seat, what));
      now = progress::runs;
    } else if (!wanted && now == progress::runs) {
      ring_.cancel(tag(seat, what));
      now = progress::ending;
    }
  }

  boost::asio::io_context& context_;
  ring ring_;
  std::unique_ptr<nested_poller> tls_;
  thread_task task_;
  std::unordered_map<ring_seat*, std::unique_ptr<ring_seat>> seats_;
  std::vector<ring_seat*> noted_;
  std::vector<completion> batch_;
  std::vector<ring_seat*> starved_;
  std::vector<std::uint16_t> lent_;  // buffers whose bytes may be on their way

  // What is collected until the next entry.
  std::vector<ring_seat*> senders_;
  std::vector<piece> pieces_;
  std::vector<std::vector<std::byte>> copies_;  // of bytes that are not in a buffer of the ring
  std::vector<iovec> vectors_;
  std::vector<msghdr> headers_;

  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  bool enabled_ = false;
  bool awaits_asio_ = false;  // the ring tells when there is something
  bool awaits_tls_ = false;
  bool in_turn_ = false;
  ring_readiness readiness_{ring_};
};

std::unique_ptr<poller> make_io_uring_poller(boost::asio::io_context& context) {
  return std::make_unique<io_uring_poller>(context);
}

}  // namespace tidegate::net
