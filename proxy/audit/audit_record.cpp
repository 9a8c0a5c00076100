#include "proxy/audit/audit_record.hpp"

#include "proxy/log/json.hpp"

#include <array>
#include <iterator>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace tidegate::audit {
namespace {

constexpr std::size_t longest_statement = 8 * 1024;
constexpr std::size_t longest_text = 2 * 1024;
constexpr std::size_t most_findings = 32;
constexpr std::size_t most_entries = 32;  // relations of a finding, tags of a statement

constexpr auto action_words =
    std::to_array<std::string_view>({"forwarded", "warned", "guarded", "rewritten", "planned", "postponed",
                                     "refused", "overridden", "observed", "clamped", "ended", "commanded"});
constexpr auto outcome_words = std::to_array<std::string_view>({"succeeded", "failed", "unknown"});

// Writes members of one JSON object; the commas are its business.
class object_writer {
 public:
  explicit object_writer(std::string& out) : out_(out) { out_ += '{'; }
  void close() { out_ += '}'; }

  std::string& key(std::string_view name) {
    if (!is_first_) out_ += ',';
    is_first_ = false;
    log::append_json_string(out_, name);
    out_ += ':';
    return out_;
  }
  void text(std::string_view name, std::string_view value, std::size_t longest = longest_text) {
    if (!value.empty()) log::append_json_string(key(name), log::utf8_prefix(value, longest));
  }
  template <typename Number>
  void number(std::string_view name, Number value) {
    fmt::format_to(std::back_inserter(key(name)), "{}", value);
  }
  void milliseconds(std::string_view name, std::chrono::microseconds value) {
    fmt::format_to(std::back_inserter(key(name)), "{:.3f}", static_cast<double>(value.count()) / 1e3);
  }

 private:
  std::string& out_;
  bool is_first_ = true;
};

void append_finding(std::string& out, const policies::finding& finding) {
  object_writer object(out);
  object.text("rule", finding.rule);
  object.text("action", policies::name(finding.action));
  object.text("lock", policies::name(finding.lock));
  if (!finding.relations.empty()) {
    object.key("relations") += '[';
    for (std::size_t i = 0; i < finding.relations.size() && i < most_entries; ++i) {
      if (i > 0) out += ',';
      log::append_json_string(out, log::utf8_prefix(finding.relations[i], longest_text));
    }
    out += ']';
  }
  object.text("message", finding.message);
  object.text("lacked_fact", finding.lacked_fact);
  object.close();
}

}  // namespace

std::string_view word(action_taken action) {
  return action_words[static_cast<std::size_t>(action)];
}
std::string_view word(outcome result) {
  return outcome_words[static_cast<std::size_t>(result)];
}

std::string to_json_line(const audit_record& record) {
  std::string out;
  object_writer object(out);
  // fmt prints whole seconds of a system_clock time; the rest is put behind them
  const auto seconds = std::chrono::floor<std::chrono::seconds>(record.time);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(record.time - seconds).count();
  object.text("time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                                  fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), millis));
  object.text("client", record.client);
  object.text("database", record.database);
  object.text("user", record.user);
  object.text("application_name", record.application_name);
  object.text("statement", record.statement, longest_statement);
  if (record.statement.size() > longest_statement) object.number("statement_bytes", record.statement.size());
  object.text("verdict", policies::name(record.verdict));
  object.text("action", word(record.action));
  object.text("outcome", word(record.result));
  object.text("sqlstate", record.sqlstate);
  object.milliseconds("duration_ms", record.duration);
  if (record.attempts > 0) {
    object.number("attempts", record.attempts);
    object.milliseconds("lock_wait_ms", record.lock_wait);
  }
  if (!record.findings.empty()) {
    object.key("findings") += '[';
    for (std::size_t i = 0; i < record.findings.size() && i < most_findings; ++i) {
      if (i > 0) out += ',';
      append_finding(out, record.findings[i]);
    }
    out += ']';
  }
  if (!record.tags.empty()) {
    object_writer tags(object.key("tags"));
    for (std::size_t i = 0; i < record.tags.size() && i < most_entries; ++i) {
      const auto& [name, value] = record.tags[i];
      log::append_json_string(tags.key(log::utf8_prefix(name, longest_text)),
                              log::utf8_prefix(value, longest_text));
    }
    tags.close();
  }
  object.text("override_reason", record.override_reason);
  object.close();
  out += '\n';
  return out;
}

}  // namespace tidegate::audit
