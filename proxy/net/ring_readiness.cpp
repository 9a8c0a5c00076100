#include "proxy/net/ring_readiness.hpp"

#include <utility>

namespace tidegate::net {

// What the kernel may still use of a descriptor: it outlives the wish until the operation has ended.
struct alignas(8) ring_watch {
  int descriptor = -1;
  readiness_handler* handler = nullptr;  // of watch()
  std::unique_ptr<awaited_read> reader;  // of await()
  bool is_asked = false;

  bool is_wanted() const { return handler != nullptr || reader != nullptr; }
};

namespace {

std::uint64_t tag_of(ring_watch& watch) {
  return reinterpret_cast<std::uintptr_t>(&watch) | ring_readiness::mark;
}

}  // namespace

ring_readiness::ring_readiness(ring& on) : ring_(on) {}

ring_readiness::~ring_readiness() {
  // With a reader goes who waits by it, and whose descriptor it is.
  while (!watches_.empty()) watches_.extract(watches_.begin());
}

void ring_readiness::watch(int descriptor, readiness_handler& handler) {
  add(descriptor).handler = &handler;
}

void ring_readiness::unwatch(readiness_handler& handler) {
  for (const auto& [watch, owned] : watches_) {
    if (watch->handler != &handler) continue;
    watch->handler = nullptr;
    return cancel(*watch);
  }
}

void ring_readiness::await(int descriptor, std::unique_ptr<awaited_read> reader) {
  ring_watch& watch = add(descriptor);
  reader->watch_ = &watch;
  watch.reader = std::move(reader);
}

std::unique_ptr<awaited_read> ring_readiness::forget(awaited_read& reader) {
  ring_watch& watch = *reader.watch_;
  auto taken = std::move(watch.reader);
  cancel(watch);
  return taken;
}

// Again after each answer: the kernel looks at the descriptor first, so nothing is missed.
void ring_readiness::ask() {
  for (ring_watch* watch : to_ask_) {
    if (!watch->is_wanted()) {
      watches_.erase(watch);
      continue;
    }
    watch->is_asked = true;
    ring_.wait_readable(watch->descriptor, tag_of(*watch), /*is_shared=*/watch->handler != nullptr);
  }
  to_ask_.clear();
}

void ring_readiness::completed(std::uint64_t tag) {
  ring_watch& watch = *reinterpret_cast<ring_watch*>(tag & ~mark);
  watch.is_asked = false;
  to_ask_.push_back(&watch);
  if (watch.handler != nullptr)
    watch.handler->on_readable();
  else if (const auto reader = std::move(watch.reader))
    reader->on_readable();
}

ring_watch& ring_readiness::add(int descriptor) {
  auto made = std::make_unique<ring_watch>();
  made->descriptor = descriptor;
  ring_watch& watch = *made;
  watches_.emplace(&watch, std::move(made));
  to_ask_.push_back(&watch);
  return watch;
}

// The descriptor may be closed, and its number be another's, as soon as this returns.
void ring_readiness::cancel(ring_watch& watch) {
  if (!watch.is_asked) return;
  ring_.cancel(tag_of(watch));
  ring_.submit();
}

}  // namespace tidegate::net
