#include "policies/sql/parse_stack.hpp"

#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <pthread.h>

namespace tidegate::sql {
namespace {

void* run_body(void* argument) {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
  (*body)();
  return nullptr;
}

struct thread_attributes {
  pthread_attr_t value;
  thread_attributes() { pthread_attr_init(&value); }
  ~thread_attributes() { pthread_attr_destroy(&value); }
  thread_attributes(const thread_attributes&) = delete;
  thread_attributes& operator=(const thread_attributes&) = delete;
};

}  // namespace

big_stack_thread::big_stack_thread(std::function<void()> body) {
  thread_attributes attributes;
  int error = pthread_attr_setstacksize(&attributes.value, parse_stack_bytes);
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  if (error == 0) error = pthread_create(&handle_, &attributes.value, run_body, owned.get());
  if (error != 0) throw std::system_error(error, std::generic_category(), "a thread for the parser");
  owned.release();  // the thread's now
}

big_stack_thread::~big_stack_thread() {
  if (joinable()) join();
}

big_stack_thread::big_stack_thread(big_stack_thread&& other) noexcept
    : handle_(std::exchange(other.handle_, 0)) {}

big_stack_thread& big_stack_thread::operator=(big_stack_thread&& other) noexcept {
  if (this != &other) {
    if (joinable()) join();
    handle_ = std::exchange(other.handle_, 0);
  }
  return *this;
}

void big_stack_thread::join() {
  pthread_join(std::exchange(handle_, 0), nullptr);
}

void run_on_parse_stack(const std::function<void()>& body) {
  std::exception_ptr failure;
  big_stack_thread([&] {
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace tidegate::sql
