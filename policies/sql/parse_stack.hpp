#pragma once
// Deep stacks for the parser: libpg_query recurses with the nesting of the text, so parse() belongs on a
// thread with parse_stack_bytes of stack. The memory is reserved only; pages come as they are touched.

#include "policies/sql/parse.hpp"

#include <functional>

namespace tidegate::sql {

// A joinable thread with parse_stack_bytes of stack. Joins on destruction.
class big_stack_thread {
 public:
  big_stack_thread() = default;
  // Throws std::system_error when the thread can't be made. An exception that leaves `body` ends the process.
  explicit big_stack_thread(std::function<void()> body);
  ~big_stack_thread();

  big_stack_thread(big_stack_thread&& other) noexcept;
  big_stack_thread& operator=(big_stack_thread&& other) noexcept;

  bool joinable() const { return handle_ != 0; }
  void join();

 private:
  unsigned long handle_ = 0;  // pthread_t; 0: none
};

// A thread for a gateway's worker.
inline big_stack_thread make_big_stack_thread(std::function<void()> body) {
  return big_stack_thread(std::move(body));
}

// Runs `body` on a thread of its own and waits for it: for callers whose own stack is small (check, tests).
// Throws what `body` throws.
void run_on_parse_stack(const std::function<void()>& body);

}  // namespace tidegate::sql
