#pragma once
// Which of a client's requests the server still owes an answer: the exact state of a pipeline, kept from
// message types alone.
//
// Every frontend message that will be answered is pushed when it is sent to the server, and popped by the
// backend message that ends its answer; see "Message Flow" and "Pipelining" in the manual (protocol-flow).
// With it the session knows when everything before a guarded statement has been answered, and whether the
// server is skipping messages until the next Sync.
//
// One per session, used by its thread only. No I/O. Short pipelines allocate nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidegate::core {

enum class transaction_status : char {
  idle = 'I',    // outside a transaction block
  open = 'T',    // inside one
  failed = 'E',  // inside a failed one
};

class pipeline {
 public:
  // A frontend message of this type was sent to the server. Types that are never answered are fine.
  void sent(char type);
  // A Parse or Close of the gateway's own was sent inside the client's batch: its answer is not the client's.
  void sent_own(char type);
  // A backend message of this type arrived; for ReadyForQuery call ready() instead. True: it answers a
  // message of the gateway's own, and the client must not see it. An error is always the client's.
  bool received(char type);
  void ready(transaction_status status);

  // Nothing sent so far waits for an answer: what the server still owes it will never send.
  bool answered() const { return size_ == 0; }
  // Extended-protocol messages were sent after the last Sync.
  bool unsynced() const { return unsynced_; }
  // … and an Execute was among them, so that undoing the batch would undo work.
  bool executed_unsynced() const { return executed_unsynced_; }
  // An error in a batch makes the server ignore everything until Sync.
  bool skipping() const { return skipping_; }
  // COPY FROM STDIN is on and its end was not sent yet: the server takes CopyData, CopyDone and CopyFail, and
  // ignores Sync and Flush.
  bool copying_in() const { return copying_in_; }
  // The client has said goodbye: the server closes when it has read that far.
  bool terminated() const { return terminated_; }
  // Between transactions, with nothing sent and nothing owed: the session may change servers here.
  bool at_rest() const { return size_ == 0 && !unsynced_ && status_ == transaction_status::idle; }
  // As of the last ReadyForQuery: an Execute of the batch at hand may have begun or ended a transaction
  // since.
  transaction_status status() const { return status_; }
  // Surely in a failed transaction: nothing runs but its end.
  bool failed() const { return status_ == transaction_status::failed && !executed_unsynced_; }
  std::size_t depth() const { return size_; }
  // Requests are numbered from 0 in the order they are sent: the next to be sent, and the first not yet
  // answered.
  std::uint64_t next_number() const { return popped_ + size_; }
  std::uint64_t answered_before() const { return popped_; }
  // The server sent something that no request explains. Forwarding goes on; nothing may be intercepted any
  // more.
  bool desynchronised() const { return desynchronised_; }

  // A message to be answered was sent by the gateway itself and its answers taken away again; only the batch
  // flags change.
  void batch_undone() { unsynced_ = executed_unsynced_ = false; }
  void mark_skipping() { skipping_ = true; }
  void set_status(transaction_status status) { status_ = status; }

 private:
  enum class request : std::uint8_t {
    query,
    function_call,
    parse,
    bind,
    describe,
    execute,
    close,
    sync,
    own_parse,
    own_close,
    copy_end,  // CopyDone or CopyFail that was sent before the server asked for data
    nothing,   // a place whose message turned out to have no answer
  };

  void push(request r) {
    if (size_ == capacity_) grow();
    ring()[(head_ + size_) & (capacity_ - 1)] = r;
    ++size_;
  }
  void grow();
  // Never one of those that have no answer.
  request front() const { return ring()[head_ & (capacity_ - 1)]; }
  void pop() {
    pop_one();
    while (size_ != 0 && (front() == request::copy_end || front() == request::nothing)) pop_one();
  }
  void pop_one() {
    ++head_;
    ++popped_;
    if (--size_ == 0) emptied();
  }
  void emptied() {
    head_ = 0;
    if (!heap_.empty()) {  // idle sessions hold no memory for a burst that is over
      heap_ = {};
      capacity_ = inline_capacity;
    }
  }
  void fail_batch();
  void copy_in_started();
  const request* ring() const { return heap_.empty() ? inline_.data() : heap_.data(); }
  request* ring() { return heap_.empty() ? inline_.data() : heap_.data(); }

  static constexpr std::size_t inline_capacity = 32;  // a power of two
  std::array<request, inline_capacity> inline_{};
  std::vector<request> heap_;
  std::size_t capacity_ = inline_capacity;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  std::uint64_t popped_ = 0;
  transaction_status status_ = transaction_status::idle;
  bool unsynced_ = false;
  bool executed_unsynced_ = false;
  bool skipping_ = false;
  bool copying_in_ = false;
  bool synced_in_copy_ = false;
  bool terminated_ = false;
  bool desynchronised_ = false;
};

}  // namespace tidegate::core
