#pragma once
// A connected descriptor (TCP or unix socket) of a client or a server while its handshake and login run as
// coroutines. TLS, when begun, works on the descriptor itself. Once logged in, the stream is released to the
// thread's poller, which relays (poller.hpp). One coroutine at a time, on the thread of its executor.
//
// Errors are values; asio::error::timed_out when the deadline passed, asio::error::eof when the peer closed.

#include "proxy/net/address.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/tls.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace tidegate::net {

class poller;

// A stream that has left Asio: non-blocking, owned, in no event loop. Closes its descriptor when destroyed.
struct released_stream {
  int descriptor = -1;
  bool known = false;  // to the poller that its stream waited in
  tls::ssl_ptr ssl;    // null without TLS; bytes may be pending in it (SSL_has_pending)
  peer_address peer;

  released_stream() = default;
  released_stream(released_stream&& other) noexcept;
  released_stream& operator=(released_stream&& other) noexcept;
  ~released_stream() { close(); }

  bool tls_pending() const { return ssl && SSL_has_pending(ssl.get()) != 0; }
  // Frees the session without a close notify and closes the descriptor. Again: nothing.
  void close() noexcept;
};

class stream {
 public:
  // Takes over a connected socket: non-blocking from here on, TCP_NODELAY and keepalive on when it is TCP.
  stream(boost::asio::any_io_executor executor, int descriptor);
  // The same, of a socket that is so already, as a listener's are. It waits for the client in `place`, the
  // poller of the executor's thread, which outlives it.
  stream(boost::asio::any_io_executor executor, int descriptor, peer_address peer, poller* place = nullptr);
  stream(stream&& other) noexcept;
  stream& operator=(stream&& other) noexcept;
  ~stream();

  const boost::asio::any_io_executor& get_executor() const { return executor_; }
  const peer_address& peer() const { return peer_; }
  bool is_open() const { return descriptor_ >= 0; }

  // What can be read without waiting: 0 when nothing can, or when that isn't known (TLS).
  boost::system::result<std::size_t> read_now(std::span<std::byte> into);

  // At least one byte; eof when the peer has closed (with or without a TLS close notify).
  boost::asio::awaitable<boost::system::result<std::size_t>> read_some(std::span<std::byte> into,
                                                                       deadline& until);
  boost::asio::awaitable<boost::system::error_code> write_all(std::span<const std::byte> bytes,
                                                              deadline& until);

  // Waits for the first byte and leaves it where it is. Only before TLS.
  boost::asio::awaitable<boost::system::result<std::byte>> peek(deadline& until);

  // TLS from the next byte on. Returns no failure, or one in words; the stream is of no use after it.
  boost::asio::awaitable<tls::failure> accept_tls(tls::context_ptr context, deadline& until);
  // `host` is sent as SNI when it is a name, and checked against the certificate with verify-full.
  boost::asio::awaitable<tls::failure> connect_tls(tls::context_ptr context, std::string host,
                                                   config::tls_mode mode, deadline& until);
  bool is_tls() const { return ssl_ != nullptr; }
  // The peer has closed, as far as the kernel knows now; whatever it sent before may still be unread.
  bool peer_has_closed() const;
  SSL* ssl() const { return ssl_.get(); }

  // Leaves Asio. The stream is closed afterwards.
  released_stream release();
  // Says goodbye when it is TLS (one try, no waiting) and closes.
  void close() noexcept;

 private:
  struct reader;
  template <typename Handler>
  struct reader_of;

  void leave_reactor() noexcept;
  boost::asio::awaitable<boost::system::error_code> wait_in_place(deadline& until);
  boost::asio::awaitable<boost::system::error_code> wait(boost::asio::posix::descriptor_base::wait_type what,
                                                         deadline& until);
  boost::asio::awaitable<boost::system::error_code> after_ssl(int returned, deadline& until);
  boost::asio::awaitable<tls::failure> shake_hands(deadline& until);

  boost::asio::any_io_executor executor_;
  int descriptor_ = -1;
  poller* place_ = nullptr;
  bool known_ = false;        // to the place
  reader* reader_ = nullptr;  // that waits there
  // The same descriptor in Asio's reactor, for the waits that the place does not do. Many a stream needs
  // none: Asio knows of it only after the first.
  std::optional<boost::asio::posix::stream_descriptor> waiting_;
  tls::ssl_ptr ssl_;
  peer_address peer_;
  bool has_asked_ = false;  // something was written since the last read: the answer takes a while
};

// Where a server is reached: a host (name or address) and port, or the folder of a unix socket ('/…' or
// '@…').
struct connect_failure {
  boost::system::error_code code;
  std::string why;  // "could not connect to 10.0.0.1:5432: connection refused"
};
// Tries each address of the name in turn until one accepts. The name is resolved by Asio off this thread.
boost::asio::awaitable<boost::system::result<stream, connect_failure>> connect(std::string host,
                                                                               std::uint16_t port,
                                                                               deadline& until);

}  // namespace tidegate::net
