#include "proxy/admin/recent_findings.hpp"

#include "proxy/log/json.hpp"

namespace tidegate::admin {
namespace {

std::string cut(std::string_view text) {
  return std::string(log::utf8_prefix(text, recent_findings::longest_text));
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (out.size() > recent_findings::longest_text) break;
    out += (out.empty() ? "" : ", ") + name;
  }
  return cut(out);
}

}  // namespace

void recent_findings::add(const audit::audit_record& record) {
  for (const policies::finding& finding : record.findings) {
    recent_finding made{.time = record.time,
                        .client = record.client,
                        .database = record.database,
                        .user = record.user,
                        .application = cut(record.application_name),
                        .rule = std::string(finding.rule),
                        .verdict = finding.action,
                        .action = audit::word(record.action),
                        .outcome = audit::word(record.result),
                        .sqlstate = record.sqlstate,
                        .lock = std::string(policies::name(finding.lock)),
                        .relations = joined(finding.relations),
                        .message = cut(finding.message),
                        .statement = cut(record.statement)};
    const std::lock_guard lock(mutex_);
    ring_.push_back(std::move(made));
    if (ring_.size() > capacity) ring_.pop_front();
  }
}

std::vector<recent_finding> recent_findings::list() const {
  const std::lock_guard lock(mutex_);
  return {ring_.rbegin(), ring_.rend()};
}

}  // namespace tidegate::admin
