#include "proxy/metrics/registry.hpp"

#include "proxy/log/json.hpp"
#include "proxy/metrics/registry_labels.hpp"

namespace tidegate::metrics {
namespace {

// The structure for `index`, made when this thread has none yet.
template <typename Metrics>
Metrics& at(std::vector<std::unique_ptr<Metrics>>& all, std::size_t index) {
  if (all.size() <= index) all.resize(index + 1);
  if (all[index] == nullptr) all[index] = std::make_unique<Metrics>();
  return *all[index];
}

// The number of a name; a new name gets the next one while there are some left, and then `other_index`.
template <typename Map, typename Key, typename Append>
std::size_t intern(Map& indices, const Key& key, std::size_t next, std::uint64_t& folded, Append append) {
  if (const auto known = indices.find(key); known != indices.end()) return known->second;
  if (next > max_label_values) {
    ++folded;
    return other_index;
  }
  append();
  indices.emplace(key, next);
  return next;
}

// A name as a label value: one byte that is no UTF-8 would make the whole page unreadable for Prometheus.
// Names are interned in this form, so that two of them never become the same series twice.
std::string label_value(std::string_view name) {
  static constexpr std::size_t longest = 128;
  std::string out;
  name = log::utf8_prefix(name, longest);
  while (!name.empty()) {
    const std::size_t length = log::utf8_length(name);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : name.substr(0, length);
    name.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace

registry::registry(std::string version) : labels_(std::make_unique<labels>(std::move(version))) {}
registry::~registry() = default;

thread_metrics& registry::add_thread() {
  const std::lock_guard lock(labels_->mutex);
  labels_->threads.push_back({std::make_unique<thread_metrics>(*this, labels_->threads.size()), {}, {}});
  return *labels_->threads.back().metrics;
}

void registry::read_from(metric m, std::function<double()> read) {
  const std::lock_guard lock(labels_->mutex);
  labels_->sources[m] = std::move(read);
}

std::size_t registry::intern_database(std::string_view name) {
  labels& l = *labels_;
  const std::string value = label_value(name);
  return intern(l.database_indices, value, l.databases.size(), l.folded,
                [&] { l.databases.push_back(value); });
}

session_metrics registry::session(thread_metrics& thread, std::string_view database, std::string_view user) {
  labels& l = *labels_;
  const std::lock_guard lock(l.mutex);
  const std::size_t database_index = intern_database(database);
  const std::pair pair(label_value(database), label_value(user));
  const std::size_t user_index =
      intern(l.user_indices, pair, l.users.size(), l.folded, [&] { l.users.push_back(pair); });
  labels::thread_entry& entry = l.threads[thread.index_];
  return {.thread = &thread,
          .database = &at(entry.databases, database_index),
          .user = &at(entry.users, user_index),
          .database_label = database_index};
}

database_metrics& registry::database(thread_metrics& thread, std::string_view name) {
  const std::lock_guard lock(labels_->mutex);
  return at(labels_->threads[thread.index_].databases, intern_database(name));
}

void registry::count_ddl(std::size_t database_label, std::string_view rule, ddl_action action) {
  const std::lock_guard lock(labels_->mutex);
  ++labels_->ddl_statements[{database_label, std::string(rule), action}];
}

session_metrics thread_metrics::session(std::string_view database_name, std::string_view user) {
  return owner_.session(*this, database_name, user);
}

database_metrics& thread_metrics::database(std::string_view name) {
  return owner_.database(*this, name);
}

void session_metrics::count_ddl(std::string_view rule, ddl_action action) const {
  thread->owner_.count_ddl(database_label, rule, action);
}

std::size_t sqlstate_class_counters::index_of(std::string_view sqlstate) noexcept {
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
    return -1;
  };
  if (sqlstate.size() != 5) return classes - 1;
  const int high = digit(sqlstate[0]), low = digit(sqlstate[1]);
  if (high < 0 || low < 0) return classes - 1;
  return static_cast<std::size_t>(high * 36 + low);
}

std::string_view sqlstate_class_counters::word(std::size_t index, std::array<char, 2>& storage) {
  static constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (index >= classes - 1) return "other";
  storage = {digits[index / 36], digits[index % 36]};
  return {storage.data(), storage.size()};
}

}  // namespace tidegate::metrics
