#include "proxy/net/stream.hpp"

#include "proxy/net/poller.hpp"
#include "proxy/net/system_calls.hpp"

#include <cerrno>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tidegate::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using wait_type = asio::posix::descriptor_base::wait_type;

constexpr auto values = asio::as_tuple(asio::use_awaitable);

error_code from_errno(int value) {
  return {value, boost::system::system_category()};
}

void set_option(int descriptor, int level, int name) {
  const int on = 1;
  ::setsockopt(descriptor, level, name, &on, sizeof on);  // a unix socket refuses, and needs none of them
}

int prepare(int descriptor) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY);
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE);
  return descriptor;
}

// What ended a TLS handshake, in words: the certificate's fault first, for OpenSSL says only "verify failed"
// of it.
tls::failure handshake_failure(const SSL* ssl, error_code code) {
  const std::string errors = tls::take_errors();
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
    return {std::string("certificate refused: ") + X509_verify_cert_error_string(verdict)};
  if (!errors.empty()) return {errors};
  if (code == asio::error::eof) return {"the peer closed the connection during the TLS handshake"};
  if (code == asio::error::timed_out) return {"the TLS handshake took too long"};
  return {code.message()};
}

}  // namespace

released_stream::released_stream(released_stream&& other) noexcept
    : descriptor(std::exchange(other.descriptor, -1)),
      known(other.known),
      ssl(std::move(other.ssl)),
      peer(std::move(other.peer)) {}

released_stream& released_stream::operator=(released_stream&& other) noexcept {
  if (this != &other) {
    close();
    descriptor = std::exchange(other.descriptor, -1);
    known = other.known;
    ssl = std::move(other.ssl);
    peer = std::move(other.peer);
  }
  return *this;
}

void released_stream::close() noexcept {
  ssl.reset();
  if (descriptor >= 0) ::close(std::exchange(descriptor, -1));
}

stream::stream(asio::any_io_executor executor, int descriptor)
    : stream(std::move(executor), prepare(descriptor), peer_of(descriptor)) {}

stream::stream(asio::any_io_executor executor, int descriptor, peer_address peer, poller* place)
    : executor_(std::move(executor)), descriptor_(descriptor), place_(place), peer_(std::move(peer)) {}

stream::stream(stream&& other) noexcept
    : executor_(other.executor_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      place_(other.place_),
      known_(other.known_),
      waiting_(std::move(other.waiting_)),
      ssl_(std::move(other.ssl_)),
      peer_(std::move(other.peer_)),
      has_asked_(other.has_asked_) {
  other.waiting_.reset();
}

stream& stream::operator=(stream&& other) noexcept {
  if (this == &other) return *this;
  close();
  executor_ = other.executor_;
  descriptor_ = std::exchange(other.descriptor_, -1);
  place_ = other.place_;
  known_ = other.known_;
  waiting_ = std::move(other.waiting_);
  other.waiting_.reset();
  ssl_ = std::move(other.ssl_);
  peer_ = std::move(other.peer_);
  has_asked_ = other.has_asked_;
  return *this;
}

stream::~stream() {
  close();
}

// The coroutine that waits, resumed by the place.
struct stream::reader : awaited_read {
  virtual void abandon(const asio::any_io_executor& on) = 0;
};

template <typename Handler>
struct stream::reader_of final : stream::reader {
  reader_of(stream& whose, Handler&& resumed) : of(whose), handler(std::move(resumed)) {}

  void on_readable() override {
    of.reader_ = nullptr;
    Handler resumed = std::move(handler);
    std::move(resumed)(error_code());
  }
  // Not inside the deadline's call, which the coroutine takes away when it goes on.
  void abandon(const asio::any_io_executor& on) override {
    of.reader_ = nullptr;
    asio::post(on, [resumed = std::move(handler)]() mutable {
      std::move(resumed)(error_code(asio::error::operation_aborted));
    });
  }

  stream& of;
  Handler handler;
};

asio::awaitable<error_code> stream::wait_in_place(deadline& until) {
  const deadline::interruption interruption(until, [this] {
    if (reader_ == nullptr) return;
    const auto mine = place_->forget(descriptor_, known_, *reader_);
    reader_->abandon(executor_);
  });
  const auto [ec] = co_await asio::async_initiate<decltype(values), void(error_code)>(
      [this]<typename Handler>(Handler&& handler) {
        auto made = std::make_unique<reader_of<std::decay_t<Handler>>>(*this, std::move(handler));
        reader_ = made.get();
        std::unique_ptr<awaited_read> one = std::move(made);
        if (place_->await(descriptor_, known_, one)) reader_->abandon(executor_);
      },
      values);
  if (ec && until.expired()) co_return asio::error::timed_out;
  co_return ec;
}

asio::awaitable<error_code> stream::wait(wait_type what, deadline& until) {
  if (until.expired()) co_return asio::error::timed_out;
  if (place_ != nullptr && what == wait_type::wait_read) co_return co_await wait_in_place(until);
  if (!waiting_) {
    waiting_.emplace(executor_);
    error_code failed;
    waiting_->assign(descriptor_, failed);
    if (failed) {
      waiting_.reset();
      co_return failed;
    }
  }
  const deadline::interruption interruption(until, [this] {
    error_code ignored;
    waiting_->cancel(ignored);
  });
  const auto [ec] = co_await waiting_->async_wait(what, values);
  if (ec && until.expired()) co_return asio::error::timed_out;
  co_return ec;
}

// After an SSL_ call that returned <= 0: waits for what it wants (no error: call it again), or tells what is
// wrong.
asio::awaitable<error_code> stream::after_ssl(int returned, deadline& until) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      co_return co_await wait(wait_type::wait_read, until);
    case SSL_ERROR_WANT_WRITE:
      co_return co_await wait(wait_type::wait_write, until);
    case SSL_ERROR_ZERO_RETURN:
      co_return asio::error::eof;
    case SSL_ERROR_SYSCALL:
      co_return system_error == 0 ? error_code(asio::error::eof) : from_errno(system_error);
    default:
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        co_return asio::error::eof;
      }
      co_return boost::system::errc::make_error_code(boost::system::errc::protocol_error);
  }
}

void stream::leave_reactor() noexcept {
  if (!waiting_) return;
  waiting_->release();
  waiting_.reset();
}

boost::system::result<std::size_t> stream::read_now(std::span<std::byte> into) {
  if (ssl_) return std::size_t{0};
  for (;;) {
    const ssize_t count = system_calls::recv(descriptor_, into.data(), into.size(), 0);
    if (count > 0) return static_cast<std::size_t>(count);
    if (count == 0) return error_code(asio::error::eof);
    if (errno == EAGAIN) return std::size_t{0};
    if (errno != EINTR) return from_errno(errno);
  }
}

asio::awaitable<boost::system::result<std::size_t>> stream::read_some(std::span<std::byte> into,
                                                                      deadline& until) {
  for (;;) {
    if (until.expired()) co_return error_code(asio::error::timed_out);
    if (ssl_) {
      ERR_clear_error();
      errno = 0;
      std::size_t count = 0;
      const int returned = SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
      if (returned == 1) co_return count;
      if (const error_code ec = co_await after_ssl(returned, until)) co_return ec;
      continue;
    }
    if (std::exchange(has_asked_, false)) {
      if (const error_code ec = co_await wait(wait_type::wait_read, until)) co_return ec;
    }
    const ssize_t count = system_calls::recv(descriptor_, into.data(), into.size(), 0);
    if (count > 0) co_return static_cast<std::size_t>(count);
    if (count == 0) co_return error_code(asio::error::eof);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return from_errno(errno);
    if (const error_code ec = co_await wait(wait_type::wait_read, until)) co_return ec;
  }
}

asio::awaitable<error_code> stream::write_all(std::span<const std::byte> bytes, deadline& until) {
  while (!bytes.empty()) {
    if (ssl_) {
      ERR_clear_error();
      errno = 0;
      std::size_t count = 0;
      const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
      if (returned == 1) {
        bytes = bytes.subspan(count);
        continue;
      }
      if (const error_code ec = co_await after_ssl(returned, until)) co_return ec;
      continue;
    }
    const ssize_t count = system_calls::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      has_asked_ = true;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return from_errno(errno);
    if (const error_code ec = co_await wait(wait_type::wait_write, until)) co_return ec;
  }
  co_return error_code();
}

asio::awaitable<boost::system::result<std::byte>> stream::peek(deadline& until) {
  for (;;) {
    std::byte first{};
    const ssize_t count = system_calls::recv(descriptor_, &first, 1, MSG_PEEK);
    if (count == 1) co_return first;
    if (count == 0) co_return error_code(asio::error::eof);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return from_errno(errno);
    if (const error_code ec = co_await wait(wait_type::wait_read, until)) co_return ec;
  }
}

asio::awaitable<tls::failure> stream::shake_hands(deadline& until) {
  for (;;) {
    if (until.expired()) co_return handshake_failure(ssl_.get(), asio::error::timed_out);
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_do_handshake(ssl_.get());
    if (returned == 1) co_return tls::failure();
    if (const error_code ec = co_await after_ssl(returned, until))
      co_return handshake_failure(ssl_.get(), ec);
  }
}

asio::awaitable<tls::failure> stream::accept_tls(tls::context_ptr context, deadline& until) {
  ssl_.reset(SSL_new(context->native()));
  if (!ssl_ || SSL_set_fd(ssl_.get(), descriptor_) != 1)
    co_return tls::failure{"cannot begin TLS: " + tls::take_errors()};
  SSL_set_accept_state(ssl_.get());
  co_return co_await shake_hands(until);
}

asio::awaitable<tls::failure> stream::connect_tls(tls::context_ptr context, std::string host,
                                                  config::tls_mode mode, deadline& until) {
  ssl_.reset(SSL_new(context->native()));
  if (!ssl_ || SSL_set_fd(ssl_.get(), descriptor_) != 1)
    co_return tls::failure{"cannot begin TLS: " + tls::take_errors()};
  SSL_set_connect_state(ssl_.get());

  error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  if (not_an_address)
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data());
  if (mode == config::tls_mode::verify_ca || mode == config::tls_mode::verify_full)
    SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, nullptr);
  if (mode == config::tls_mode::verify_full) {
    X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int taken = not_an_address ? X509_VERIFY_PARAM_set1_host(expected, host.data(), host.size())
                                     : X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str());
    if (taken != 1) co_return tls::failure{"cannot check a certificate against the host \"" + host + "\""};
  }
  co_return co_await shake_hands(until);
}

bool stream::peer_has_closed() const {
  pollfd asked{descriptor_, POLLRDHUP, 0};
  return ::poll(&asked, 1, 0) > 0;
}

released_stream stream::release() {
  leave_reactor();
  released_stream released;
  released.peer = std::move(peer_);
  released.ssl = std::move(ssl_);
  released.known = known_;
  released.descriptor = std::exchange(descriptor_, -1);
  return released;
}

void stream::close() noexcept {
  if (descriptor_ < 0) return;
  if (ssl_) {
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    ssl_.reset();
  }
  leave_reactor();
  ::close(std::exchange(descriptor_, -1));
}

}  // namespace tidegate::net
