#pragma once
// What a ring is asked about descriptors that are no channels: whether they are readable (poller.hpp, watch
// and await). A part of io_uring_poller; on its thread.

#include "proxy/net/poller.hpp"
#include "proxy/net/ring.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace tidegate::net {

class ring_readiness {
 public:
  // In the low bits of the tags of its operations.
  static constexpr std::uint64_t mark = 7;
  static bool is_about(std::uint64_t tag) { return (tag & mark) == mark; }

  explicit ring_readiness(ring& on);
  ~ring_readiness();
  ring_readiness(const ring_readiness&) = delete;
  ring_readiness& operator=(const ring_readiness&) = delete;

  void watch(int descriptor, readiness_handler& handler);
  void unwatch(readiness_handler& handler);
  void await(int descriptor, std::unique_ptr<awaited_read> reader);
  std::unique_ptr<awaited_read> forget(awaited_read& reader);

  // Asks for what has not been asked yet: before each wait.
  void ask();
  // An operation of its own has completed.
  void completed(std::uint64_t tag);

 private:
  ring_watch& add(int descriptor);
  void cancel(ring_watch& watch);

  ring& ring_;
  std::unordered_map<ring_watch*, std::unique_ptr<ring_watch>> watches_;
  std::vector<ring_watch*> to_ask_;  // those that the kernel does not look at
};

}  // namespace tidegate::net
