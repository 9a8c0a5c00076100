// From counters to Prometheus' text: one family for each row of the table, in its order.

#include "proxy/metrics/process_usage.hpp"
#include "proxy/metrics/registry.hpp"
#include "proxy/metrics/registry_labels.hpp"

#include <array>
#include <chrono>
#include <initializer_list>
#include <limits>
#include <span>
#include <utility>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace tidegate::metrics {
namespace {

using label_list = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// What several threads observed, added up.
struct histogram_sum {
  std::vector<std::uint64_t> counts;
  double sum = 0;

  template <const auto& bounds, typename Counter>
  void add(const histogram<bounds, Counter>& from) {
    counts.resize(histogram<bounds, Counter>::buckets);
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += from.count(i);
    sum += from.sum();
  }
};

class family_set {
 public:
  family_set() {
    for (const metric_description& m : metric_table) {
      families_.push_back(
          {.name = std::string(m.name), .help = std::string(m.help), .type = type_of(m.kind), .metric = {}});
    }
  }

  void value(metric m, label_list labels, double number) {
    prometheus::ClientMetric& sample = append(m, labels);
    if (description(m).kind == metric_kind::counter) {
      sample.counter.value = number;
    } else {
      sample.gauge.value = number;
    }
  }

  void buckets(metric m, label_list labels, const histogram_sum& sum, std::span<const double> bounds) {
    prometheus::ClientMetric& sample = append(m, labels);
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
      if (i < sum.counts.size()) cumulative += sum.counts[i];
      sample.histogram.bucket.push_back(
          {cumulative, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
    }
    sample.histogram.sample_count = cumulative;
    sample.histogram.sample_sum = sum.sum;
  }

  std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  static prometheus::MetricType type_of(metric_kind kind) {
    switch (kind) {
      case metric_kind::counter:
        return prometheus::MetricType::Counter;
      case metric_kind::gauge:
        return prometheus::MetricType::Gauge;
      case metric_kind::histogram:
        break;
    }
    return prometheus::MetricType::Histogram;
  }

  prometheus::ClientMetric& append(metric m, label_list labels) {
    auto& samples = families_[static_cast<std::size_t>(m)].metric;
    prometheus::ClientMetric& sample = samples.emplace_back();
    for (const auto& [name, text] : labels) sample.label.push_back({std::string(name), std::string(text)});
    return sample;
  }

  std::vector<prometheus::MetricFamily> families_;
};

// One sample per value of a fixed label; `of` gives the number of one.
template <typename Label>
void each_label(auto&& of) {
  for (std::size_t i = 0; i < words_of<Label>.size(); ++i) of(static_cast<Label>(i), words_of<Label>[i]);
}

// The sum of a number over structures.
double total(const auto& all, auto&& number) {
  double sum = 0;
  for (const auto* one : all) sum += static_cast<double>(number(*one));
  return sum;
}

histogram_sum merged(const auto& all, auto&& member) {
  histogram_sum sum;
  for (const auto* one : all) sum.add(member(*one));
  return sum;
}

using threads_view = std::vector<const thread_metrics*>;
using databases_view = std::vector<const database_metrics*>;
using users_view = std::vector<const user_metrics*>;

void add_thread_families(family_set& out, const threads_view& threads) {
  auto plain = [&](metric m, auto member) {
    out.value(m, {}, total(threads, [&](auto& t) { return (t.*member).value(); }));
  };
  auto labelled = [&]<typename Instrument, typename Label>(metric m,
                                                           by<Instrument, Label> thread_metrics::*member) {
    each_label<Label>([&](Label label, std::string_view word) {
      out.value(m, {{description(m).labels, word}},
                total(threads, [&](auto& t) { return (t.*member)[label].value(); }));
    });
  };
  auto timed = [&](metric m, auto member) {
    out.buckets(m, {},
                merged(
                    threads, [&](auto& t) -> auto& { return t.*member; }),
                latency_bounds);
  };
  plain(metric::clients_logging_in, &thread_metrics::clients_logging_in);
  labelled(metric::connections_refused_total, &thread_metrics::connections_refused);
  timed(metric::login_seconds, &thread_metrics::login_seconds);
  labelled(metric::auth_failures_total, &thread_metrics::auth_failures);
  labelled(metric::tls_handshake_failures_total, &thread_metrics::tls_handshake_failures);
  plain(metric::buffered_bytes, &thread_metrics::buffered_bytes);
  plain(metric::held_query_bytes, &thread_metrics::held_query_bytes);
  labelled(metric::statements_classified_total, &thread_metrics::statements_classified);
  timed(metric::parse_seconds, &thread_metrics::parse_seconds);
  labelled(metric::parse_errors_total, &thread_metrics::parse_errors);
  labelled(metric::settings_clamped_total, &thread_metrics::settings_clamped);
  labelled(metric::transactions_ended_total, &thread_metrics::transactions_ended);
  labelled(metric::cancels_total, &thread_metrics::cancels);
  for (std::size_t i = 0; i < sqlstate_class_counters::classes; ++i) {
    const double errors = total(threads, [&](auto& t) { return t.errors.value(i); });
    std::array<char, 2> storage{};
    if (errors > 0)
      out.value(metric::errors_total, {{"sqlstate_class", sqlstate_class_counters::word(i, storage)}},
                errors);
  }
}

void add_database_families(family_set& out, std::string_view name, const databases_view& parts) {
  auto plain = [&](metric m, auto member) {
    out.value(m, {{"database", name}}, total(parts, [&](auto& d) { return (d.*member).value(); }));
  };
  auto labelled = [&]<typename Instrument, typename Label>(metric m, std::string_view label_name,
                                                           by<Instrument, Label> database_metrics::*member) {
    each_label<Label>([&](Label label, std::string_view word) {
      out.value(m, {{"database", name}, {label_name, word}},
                total(parts, [&](auto& d) { return (d.*member)[label].value(); }));
    });
  };
  auto timed = [&]<const auto & bounds>(metric m, histogram<bounds> database_metrics::*member) {
    out.buckets(m, {{"database", name}},
                merged(
                    parts, [&](auto& d) -> auto& { return d.*member; }),
                bounds);
  };
  labelled(metric::client_disconnections_total, "reason", &database_metrics::client_disconnections);
  labelled(metric::servers, "state", &database_metrics::servers);
  labelled(metric::pinned_clients, "reason", &database_metrics::pinned_clients);
  labelled(metric::pins_total, "reason", &database_metrics::pins);
  timed(metric::pool_wait_seconds, &database_metrics::pool_wait_seconds);
  plain(metric::server_connections_total, &database_metrics::server_connections);
  labelled(metric::server_connect_failures_total, "reason", &database_metrics::server_connect_failures);
  timed(metric::server_connect_seconds, &database_metrics::server_connect_seconds);
  timed(metric::query_seconds, &database_metrics::query_seconds);
  timed(metric::transaction_seconds, &database_metrics::transaction_seconds);
  labelled(metric::statement_renewals_total, "result", &database_metrics::statement_renewals);
  plain(metric::lock_timeouts_total, &database_metrics::lock_timeouts);
  plain(metric::statements_parsed_total, &database_metrics::statements_parsed);
  timed(metric::ddl_seconds, &database_metrics::ddl_seconds);
  labelled(metric::ddl_attempts_total, "outcome", &database_metrics::ddl_attempts);
  plain(metric::ddl_waiting, &database_metrics::ddl_waiting);
  timed(metric::ddl_lock_wait_seconds, &database_metrics::ddl_lock_wait_seconds);
  timed(metric::ddl_lock_held_seconds, &database_metrics::ddl_lock_held_seconds);
  timed(metric::gate_stall_seconds, &database_metrics::gate_stall_seconds);
  plain(metric::gate_held_statements_total, &database_metrics::gate_held_statements);
}

void add_user_families(family_set& out, std::string_view database, std::string_view user,
                       const users_view& parts) {
  auto plain = [&](metric m, auto member) {
    out.value(m, {{"database", database}, {"user", user}},
              total(parts, [&](auto& u) { return (u.*member).value(); }));
  };
  auto labelled = [&]<typename Instrument, typename Label>(metric m, std::string_view label_name,
                                                           by<Instrument, Label> user_metrics::*member) {
    each_label<Label>([&](Label label, std::string_view word) {
      out.value(m, {{"database", database}, {"user", user}, {label_name, word}},
                total(parts, [&](auto& u) { return (u.*member)[label].value(); }));
    });
  };
  labelled(metric::clients, "state", &user_metrics::clients);
  plain(metric::client_connections_total, &user_metrics::client_connections);
  plain(metric::queries_total, &user_metrics::queries);
  plain(metric::transactions_total, &user_metrics::transactions);
  labelled(metric::bytes_received_total, "side", &user_metrics::bytes_received);
  labelled(metric::bytes_sent_total, "side", &user_metrics::bytes_sent);
}

void add_process_families(family_set& out, const process_metrics& process) {
  const process_usage usage = read_process_usage();
  out.value(metric::up, {}, 1);
  out.value(metric::draining, {}, process.is_draining.load(std::memory_order_relaxed) ? 1 : 0);
  out.value(metric::process_cpu_seconds_total, {}, usage.cpu_seconds);
  out.value(metric::process_resident_memory_bytes, {}, static_cast<double>(usage.resident_bytes));
  out.value(metric::process_open_fds, {}, static_cast<double>(usage.open_fds));
  out.value(metric::process_max_fds, {}, static_cast<double>(usage.max_fds));

  auto labelled = [&]<typename Label>(metric m, const by<shared_counter, Label>& counters) {
    each_label<Label>([&](Label label, std::string_view word) {
      out.value(m, {{description(m).labels, word}}, static_cast<double>(counters[label].value()));
    });
  };
  auto timed = [&](metric m, const auto& from) {
    histogram_sum sum;
    sum.add(from);
    out.buckets(m, {}, sum, latency_bounds);
  };
  timed(metric::facts_read_seconds, process.facts_read_seconds);
  labelled(metric::facts_failures_total, process.facts_failures);
  timed(metric::catalog_fact_age_seconds, process.catalog_fact_age_seconds);
  out.value(metric::audit_records_total, {}, static_cast<double>(process.audit_records.value()));
  labelled(metric::audit_failures_total, process.audit_failures);
  out.value(metric::ledger_records_total, {}, static_cast<double>(process.ledger_records.value()));
  labelled(metric::ledger_failures_total, process.ledger_failures);
  labelled(metric::config_reloads_total, process.config_reloads);
  out.value(metric::config_last_reload_timestamp_seconds, {},
            static_cast<double>(process.config_last_reload_timestamp.load(std::memory_order_relaxed)));
}

}  // namespace

// prometheus-cpp's way to ask; everything under one lock, since sums are quick and rendering is not done
// here.
class registry::collector final : public prometheus::Collectable {
 public:
  explicit collector(const registry& from) : from_(from) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    family_set out;
    add_process_families(out, from_.process_);
    const labels& l = *from_.labels_;
    const std::lock_guard lock(l.mutex);
    out.value(metric::build_info, {{"version", l.version}}, 1);
    out.value(metric::start_time_seconds, {},
              std::chrono::duration<double>(l.started.time_since_epoch()).count());
    out.value(metric::threads, {}, static_cast<double>(l.threads.size()));
    out.value(metric::labels_folded_total, {}, static_cast<double>(l.folded));

    for (const auto& [m, read] : l.sources) out.value(m, {}, read());

    threads_view threads;
    for (const auto& entry : l.threads) threads.push_back(entry.metrics.get());
    add_thread_families(out, threads);
    for (std::size_t i = 0; i < l.databases.size(); ++i) {
      if (const databases_view parts = pick(l, &labels::thread_entry::databases, i); !parts.empty()) {
        add_database_families(out, l.databases[i], parts);
      }
    }
    for (std::size_t i = 0; i < l.users.size(); ++i) {
      if (const users_view parts = pick(l, &labels::thread_entry::users, i); !parts.empty()) {
        add_user_families(out, l.users[i].first, l.users[i].second, parts);
      }
    }
    for (const auto& [key, count] : l.ddl_statements) {
      out.value(metric::ddl_statements_total,
                {{"rule", key.rule},
                 {"action", words_of<ddl_action>[static_cast<std::size_t>(key.action)]},
                 {"database", l.databases[key.database]}},
                static_cast<double>(count));
    }
    return out.take();
  }

 private:
  // The structures of one name in all threads that have one.
  template <typename Metrics>
  static std::vector<const Metrics*> pick(const labels& l,
                                          std::vector<std::unique_ptr<Metrics>> labels::thread_entry::*member,
                                          std::size_t index) {
    std::vector<const Metrics*> found;
    for (const auto& entry : l.threads) {
      const auto& all = entry.*member;
      if (index < all.size() && all[index] != nullptr) found.push_back(all[index].get());
    }
    return found;
  }

  const registry& from_;
};

std::string registry::render() const {
  return prometheus::TextSerializer().Serialize(collector(*this).Collect());
}

}  // namespace tidegate::metrics
