#include "proxy/pool/pooled_server.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <utility>

namespace tidegate::pool {
namespace {

std::atomic<std::uint64_t> next_id{1};

// More than any server reports: one that goes on is not listened to.
constexpr std::size_t most_values = 1000;

}  // namespace

bool same_values(const value_set& a, const value_set& b) {
  if (a == b) return true;
  const bool a_empty = !a || a->empty();
  const bool b_empty = !b || b->empty();
  if (a_empty || b_empty) return a_empty == b_empty;
  return *a == *b;
}

bool unify(value_set& a, value_set& b) {
  if (a == b) return true;
  if (!same_values(a, b)) return false;
  // Whichever two meet, all come to have the one at the lowest address.
  if (std::less<>{}(a.get(), b.get()))
    b = a;
  else
    a = b;
  return true;
}

value_set with_value(const value_set& set, std::string_view name, std::string_view value) {
  auto copy =
      set ? std::make_shared<std::vector<parameter>>(*set) : std::make_shared<std::vector<parameter>>();
  const auto at = std::lower_bound(copy->begin(), copy->end(), name,
                                   [](const parameter& p, std::string_view n) { return p.name < n; });
  if (at != copy->end() && at->name == name) {
    if (at->value == value) return set;
    at->value = value;
  } else if (copy->size() >= most_values) {
    return set;
  } else {
    copy->insert(at, {std::string(name), std::string(value)});
  }
  return copy;
}

pooled_server_ptr make_server(logged_in_server&& login, const server_endpoint_ptr& endpoint) {
  cancel_target target;
  target.endpoint = endpoint;
  target.over_tls = login.stream.is_tls();
  target.backend_pid = login.backend_pid;
  target.backend_key = std::move(login.backend_key);
  auto made = std::make_unique<pooled_server>(login.stream.release());
  made->cancel = std::make_shared<const cancel_target>(std::move(target));
  made->backend_pid = login.backend_pid;
  made->id = next_id.fetch_add(1, std::memory_order_relaxed);
  auto parameters = std::make_shared<std::vector<parameter>>(std::move(login.parameters));
  std::sort(parameters->begin(), parameters->end(),
            [](const parameter& a, const parameter& b) { return a.name < b.name; });
  made->parameters = std::move(parameters);
  made->made = made->idle_since = made->checked = std::chrono::steady_clock::now();
  made->made_at = std::chrono::system_clock::now();
  return made;
}

}  // namespace tidegate::pool
