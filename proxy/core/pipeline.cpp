#include "proxy/core/pipeline.hpp"

#include <utility>

namespace tidegate::core {

void pipeline::sent(char type) {
  if (skipping_ && type != 'S') return;  // the server reads it and does nothing
  switch (type) {
    case 'Q':
      push(request::query);
      unsynced_ = executed_unsynced_ = false;  // it ends the batch before it, and its transaction
      break;
    case 'F':
      push(request::function_call);
      break;
    case 'P':
      push(request::parse);
      unsynced_ = true;
      break;
    case 'B':
      push(request::bind);
      unsynced_ = true;
      break;
    case 'D':
      push(request::describe);
      unsynced_ = true;
      break;
    case 'C':
      push(request::close);
      unsynced_ = true;
      break;
    case 'E':
      push(request::execute);
      unsynced_ = executed_unsynced_ = true;
      break;
    case 'S':
      if (copying_in_) {  // ignored by a server that reads COPY data
        synced_in_copy_ = true;
        return;
      }
      push(request::sync);
      unsynced_ = executed_unsynced_ = skipping_ = false;
      break;
    case 'c':
    case 'f':
      // Sent ahead of the server's request for data, its place tells which Syncs the server will read in COPY
      // mode.
      if (!copying_in_ && size_ != 0) push(request::copy_end);
      copying_in_ = false;
      break;
    case 'X':
      terminated_ = true;
      break;
    default:
      break;  // Flush and CopyData: no answer of their own
  }
}

void pipeline::sent_own(char type) {
  if (skipping_) return;
  push(type == 'P' ? request::own_parse : request::own_close);
  unsynced_ = true;
}

bool pipeline::received(char type) {
  if (size_ == 0) {
    // Notices, notifications, parameters and a last FATAL come unasked; anything else has no request to
    // belong to.
    if (type != 'N' && type != 'A' && type != 'S' && type != 'E') desynchronised_ = true;
    return false;
  }
  const request at = front();
  if ((at == request::own_parse && type == '1') || (at == request::own_close && type == '3')) {
    pop();
    return true;
  }
  switch (type) {
    case '1':
      if (at == request::parse)
        pop();
      else
        desynchronised_ = true;
      break;
    case '2':
      if (at == request::bind)
        pop();
      else
        desynchronised_ = true;
      break;
    case '3':
      if (at == request::close)
        pop();
      else
        desynchronised_ = true;
      break;
    case 'n':
    case 'T':
      if (at == request::describe)
        pop();  // else RowDescription of a simple query, or of an Execute that returns a tuple set
      break;
    case 'C':
    case 'I':
    case 's':
      if (at == request::execute) {
        copying_in_ = synced_in_copy_ = false;
        pop();
      }
      break;
    case 'G':
      copy_in_started();
      break;
    case 'E':
      copying_in_ = false;
      if (at != request::query && at != request::function_call && at != request::sync) fail_batch();
      break;
    default:
      break;
  }
  return false;
}

void pipeline::ready(transaction_status status) {
  status_ = status;
  copying_in_ = synced_in_copy_ = false;
  if (size_ == 0) {
    desynchronised_ = true;
    skipping_ = false;
    return;
  }
  const request at = front();
  if (at == request::query || at == request::function_call || at == request::sync)
    pop();
  else
    desynchronised_ = true;
}

void pipeline::grow() {
  std::vector<request> grown(capacity_ * 2);
  for (std::size_t i = 0; i < size_; ++i) grown[i] = ring()[(head_ + i) & (capacity_ - 1)];
  heap_ = std::move(grown);
  capacity_ *= 2;
  head_ = 0;
}

// ErrorResponse inside a batch: the server skips to the next Sync, so nothing before it will be answered.
void pipeline::fail_batch() {
  while (size_ != 0 && front() != request::sync) pop();
  if (size_ != 0) return;
  skipping_ = true;
  if (synced_in_copy_) {
    // Whether the server has read that Sync as COPY data or behind its error can't be told: nothing is taken
    // for skipped, and nothing can be decided any more.
    skipping_ = false;
    desynchronised_ = true;
  }
}

// CopyInResponse: Syncs that were sent ahead, before the end of the COPY data, are read in COPY mode and
// ignored. Places stay, so that numbers do.
void pipeline::copy_in_started() {
  synced_in_copy_ = false;
  bool ended = false;
  bool synced = false;
  for (std::size_t i = 1; i < size_; ++i) {
    request& r = ring()[(head_ + i) & (capacity_ - 1)];
    if (ended) {
      synced = synced || r == request::sync;
    } else if (r == request::sync || r == request::copy_end) {
      ended = r == request::copy_end;
      r = request::nothing;
    }
  }
  copying_in_ = !ended;
  if (front() == request::execute && !synced) unsynced_ = executed_unsynced_ = true;
}

}  // namespace tidegate::core
