#pragma once
// The relay's poller: it owns the receive buffer, delivers bytes to whoever handles a channel, takes bytes to
// send, and keeps what the kernel does not take. Shaped by completions, so that a poller on io_uring is a
// second implementation of this interface and the session does not notice.
//
// One poller per worker thread; nothing here may be called from another thread. A channel with nothing unsent
// holds no buffer.

#include "proxy/net/stream.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

namespace tidegate::net {

class channel;
struct ring_seat;
struct ring_watch;

// Who gets a channel's events. Calls are never nested: on_received does not run inside send().
class channel_handler {
 public:
  // Bytes arrived; they are valid during the call only.
  virtual void on_received(channel& from, std::span<const std::byte> bytes) = 0;
  // Everything that send() had kept has been taken by the kernel.
  virtual void on_drained(channel& to) = 0;
  // No error: the peer will send no more, but may still read. With an error: the channel is broken both ways.
  // Each at most once.
  virtual void on_ended(channel& from, boost::system::error_code why) = 0;
  // The peer has closed while reading is off: bytes may still be unread.
  virtual void on_closing(channel& from) = 0;

 protected:
  ~channel_handler() = default;
};

// Who waits for a descriptor that is no channel.
class readiness_handler {
 public:
  // It is readable, or can't be read any more. Said again in each turn for as long as that is so. Not inside
  // another call of the poller's.
  virtual void on_readable() = 0;

 protected:
  ~readiness_handler() = default;
};

// A wait for a descriptor to become readable, once. It belongs to the poller from await() until it is over.
class awaited_read {
 public:
  awaited_read() = default;
  virtual ~awaited_read() = default;
  awaited_read(const awaited_read&) = delete;
  awaited_read& operator=(const awaited_read&) = delete;
  // It is readable, or its peer has gone. The last call.
  virtual void on_readable() = 0;

 private:
  friend class epoll_poller;
  friend class ring_readiness;

  std::size_t place_ = 0;        // among those that wait
  ring_watch* watch_ = nullptr;  // what a ring knows of it
};

// One connected descriptor of a session, with TLS on the descriptor itself when there is any.
class channel {
 public:
  channel(channel_handler& handler, released_stream stream)
      : handler_(&handler), stream_(std::move(stream)) {}
  // set_handler() before it is added to a poller.
  explicit channel(released_stream stream) : stream_(std::move(stream)) {}

  // Bytes accepted by send() that the kernel did not take. A handler stops reading the other side while this
  // is not 0. A poller that sends by batches learns it at the end of a batch, or after 256 KiB, and always
  // before it tells a handler that a peer has ended or closes.
  std::size_t unsent() const { return unsent_.size() - unsent_begin_; }
  bool broken() const { return broken_; }
  // As set_reading() said last.
  bool reading() const { return reading_; }
  // Whose events these are from now on. Only the thread of the poller that has it.
  void set_handler(channel_handler& handler) { handler_ = &handler; }
  const released_stream& stream() const { return stream_; }

 private:
  friend class epoll_poller;
  friend class io_uring_poller;

  channel_handler* handler_ = nullptr;
  released_stream stream_;
  std::vector<std::byte> unsent_;
  std::size_t unsent_begin_ = 0;
  std::uint32_t watched_ = 0;  // the epoll events asked for now
  ring_seat* seat_ = nullptr;  // what a ring knows of it
  bool registered_ = false;
  bool reading_ = true;
  bool closing_seen_ = false;      // on_closing was called since reading stopped
  bool read_ended_ = false;        // the peer sends no more
  bool hung_up_ = false;           // both directions are shut, unread bytes may be left; no longer in epoll
  bool broken_ = false;            // nothing can be sent either
  bool read_wants_write_ = false;  // TLS: a read that waits for the descriptor to become writable
  bool write_wants_read_ = false;  // TLS: the reverse
  bool shut_when_drained_ = false;
};

class poller {
 public:
  virtual ~poller() = default;

  // Starts delivering events. The channel must live until remove().
  virtual void add(channel& c) = 0;
  // Sends, or keeps, all of it. The caller bounds what is kept by reading no more while unsent() is not 0.
  virtual void send(channel& c, std::span<const std::byte> bytes) = 0;
  // Whether on_received is wanted. While it is not, a peer that goes away altogether is still noticed.
  virtual void set_reading(channel& c, bool reading) = 0;
  // No more will be sent: after what is unsent, the peer sees the end of the stream. Reading goes on.
  virtual void shut_down_sending(channel& c) = 0;
  // Stops events, and closes the descriptor as soon as no operation of the kernel's needs it, in the poller's
  // next turn at the latest. What send() accepted and unsent() does not count is still sent. Safe inside a
  // handler's call.
  virtual void remove(channel& c) = 0;
  // Stops events and keeps the descriptor, so that another thread's poller may add the channel: `done` is
  // called for that in a later turn, when the kernel has no operation of ours on it any more, with what was
  // received meanwhile. Until then the channel must live, and nothing may be done with it. Nothing may be
  // unsent. With a channel that is not added, `done` is called all the same.
  using released = std::function<void(std::vector<std::byte> unread)>;
  virtual void release(channel& c, released done) = 0;
  // Tells `handler` when the descriptor is readable, until unwatch(). The pollers of several threads may
  // watch the same one, a listening socket say: then for each connection not all of them are woken. One
  // handler watches one descriptor. Throws std::system_error when the kernel has no room for it.
  virtual void watch(int descriptor, readiness_handler& handler) = 0;
  // Nothing is told any more, and the descriptor may be closed. Safe inside on_readable().
  virtual void unwatch(int descriptor, readiness_handler& handler) = 0;
  // For a descriptor that is no channel yet, while its login runs: tells `reader` once. One at a time for a
  // descriptor. `known`, which the owner keeps beside the descriptor, is whether this poller has met it:
  // false at first, and handed on in released_stream. On an error the reader is still the caller's.
  virtual boost::system::error_code await(int descriptor, bool& known,
                                          std::unique_ptr<awaited_read>& reader) = 0;
  // Takes it back before it was told.
  virtual std::unique_ptr<awaited_read> forget(int descriptor, bool& known, awaited_read& reader) = 0;
  // A time taken once per batch of events: cheap enough for every query.
  virtual std::chrono::steady_clock::time_point now() const = 0;
};

// Each is where the thread that runs the io_context waits (thread_task.hpp): one of them per context, made
// and destroyed while nobody runs it.
//
// epoll (docs/adr/0002, 0009).
std::unique_ptr<poller> make_epoll_poller(boost::asio::io_context& context);
// io_uring (docs/adr/0008). Throws std::system_error where io_uring_obstacle() tells of an obstacle.
std::unique_ptr<poller> make_io_uring_poller(boost::asio::io_context& context);

// Which of them carries the relay.
enum class relay : std::uint8_t { epoll, io_uring };

// Why io_uring can't carry the relay on this machine, in words for an operator; empty when it can. Tries on a
// pair of sockets what the poller relies on.
std::string io_uring_obstacle();

}  // namespace tidegate::net
