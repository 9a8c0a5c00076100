#include "proxy/cli/check_report.hpp"

#include "policies/registry.hpp"
#include "policies/rule.hpp"
#include "proxy/log/json.hpp"
#include "proxy/version.hpp"

#include <cstddef>
#include <map>
#include <ostream>
#include <string>
#include <string_view>

namespace tidegate::cli {

namespace {

using policies::verdict;

void append_list(std::string& out, const std::vector<std::string>& items) {
  out += '[';
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    log::append_json_string(out, items[i]);
  }
  out += ']';
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += ",\"" + std::string(name) + "\":";
  log::append_json_string(out, value);
}

void append_json(std::string& out, const reported_finding& finding) {
  out += "{\"rule\":";
  log::append_json_string(out, finding.rule);
  append_member(out, "action", policies::name(finding.action));
  append_member(out, "lock", finding.lock);
  out += ",\"relations\":";
  append_list(out, finding.relations);
  append_member(out, "message", finding.message);
  append_member(out, "detail", finding.detail);
  append_member(out, "hint", finding.hint);
  out += ",\"line\":" + std::to_string(finding.line) + ",\"column\":" + std::to_string(finding.column);
  out += ",\"steps\":";
  append_list(out, finding.steps);
  out += '}';
}

void append_json(std::string& out, const reported_statement& statement) {
  out += "{\"index\":" + std::to_string(statement.index) + ",\"line\":" + std::to_string(statement.line);
  append_member(out, "sql", statement.sql);
  append_member(out, "verdict", policies::name(statement.verdict));
  out += ",\"findings\":[";
  for (std::size_t i = 0; i < statement.findings.size(); ++i) {
    if (i > 0) out += ',';
    append_json(out, statement.findings[i]);
  }
  out += "]}";
}

void print_json(std::ostream& out, const std::vector<reported_file>& files) {
  std::string text = "{\"files\":[";
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (i > 0) text += ',';
    text += "{\"file\":";
    log::append_json_string(text, files[i].file);
    append_member(text, "layout", files[i].layout);
    text += ",\"statements\":[";
    for (std::size_t j = 0; j < files[i].statements.size(); ++j) {
      if (j > 0) text += ',';
      append_json(text, files[i].statements[j]);
    }
    text += "]}";
  }
  out << text << "]}\n";
}

// Each line of a text under its label, the following ones indented as far.
void print_part(std::ostream& out, std::string_view label, std::string_view text) {
  if (text.empty()) return;
  out << "  " << label;
  for (const char c : text) {
    out << c;
    if (c == '\n') out << std::string(label.size() + 2, ' ');
  }
  out << '\n';
}

void print_text(std::ostream& out, const std::vector<reported_file>& files) {
  std::size_t statements = 0;
  std::size_t findings = 0;
  for (const auto& file : files) {
    statements += file.statements.size();
    for (const auto& statement : file.statements)
      for (const auto& finding : statement.findings) {
        ++findings;
        out << file.file << ':' << finding.line << ':' << finding.column << ": "
            << policies::name(finding.action) << ": " << finding.message << " [" << finding.rule << "]\n";
        print_part(out, "detail: ", finding.detail);
        print_part(out, "hint: ", finding.hint);
      }
  }
  out << statements << (statements == 1 ? " statement, " : " statements, ") << findings
      << (findings == 1 ? " finding\n" : " findings\n");
}

// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
std::string escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%')
      out += "%25";
    else if (c == '\r')
      out += "%0D";
    else if (c == '\n')
      out += "%0A";
    else if (property && c == ':')
      out += "%3A";
    else if (property && c == ',')
      out += "%2C";
    else
      out += c;
  }
  return out;
}

void print_github(std::ostream& out, const std::vector<reported_file>& files) {
  for (const auto& file : files)
    for (const auto& statement : file.statements)
      for (const auto& finding : statement.findings)
        out << (finding.action == verdict::warn ? "::warning" : "::error")
            << " file=" << escaped(file.file, true) << ",line=" << finding.line << ",col=" << finding.column
            << ",title=" << escaped(finding.rule, true)
            << "::" << escaped(finding.message + "\n" + finding.detail + "\n" + finding.hint, false) << '\n';
}

// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
class sarif_log {
 public:
  void add(const std::string& file, const reported_finding& finding) {
    begin_item(results_);
    results_ += "{\"ruleId\":";
    log::append_json_string(results_, finding.rule);
    results_ += ",\"ruleIndex\":" + std::to_string(index_of(finding.rule));
    append_member(results_, "level", finding.action == verdict::warn ? "warning" : "error");
    results_ += ",\"message\":";
    append_text(results_, text_of(finding));
    results_ += ",\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":";
    log::append_json_string(results_, uri_of(file));
    results_ += "},\"region\":{\"startLine\":" + std::to_string(finding.line) +
                ",\"startColumn\":" + std::to_string(finding.column) + "}}}]";
    results_ += ",\"properties\":{\"action\":";
    log::append_json_string(results_, policies::name(finding.action));
    append_member(results_, "lock", finding.lock);
    results_ += ",\"relations\":";
    append_list(results_, finding.relations);
    results_ += ",\"steps\":";
    append_list(results_, finding.steps);
    results_ += "}}";
  }

  void print(std::ostream& out) const {
    out << "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{"
           "\"tool\":{\"driver\":{\"name\":\"tidegate\",\"version\":\""
        << version << "\",\"rules\":[" << rules_ << "]}},\"columnKind\":\"unicodeCodePoints\",\"results\":["
        << results_ << "]}]}\n";
  }

 private:
  static void begin_item(std::string& list) {
    if (!list.empty()) list += ',';
  }

  static void append_text(std::string& out, std::string_view text) {
    out += "{\"text\":";
    log::append_json_string(out, text);
    out += '}';
  }

  static std::string text_of(const reported_finding& finding) {
    std::string text = finding.message;
    for (const std::string* part : {&finding.detail, &finding.hint}) {
      if (!part->empty()) text += "\n" + *part;
    }
    return text;
  }

  // A path as a relative reference; standard input has no better name than "-".
  static std::string uri_of(std::string_view file) {
    static constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()*+,;=@";
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string uri;
    for (const char c : file) {
      if (plain.find(c) != std::string_view::npos) {
        uri += c;
        continue;
      }
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    return uri;
  }

  std::size_t index_of(const std::string& id) {
    const auto [at, is_new] = indices_.try_emplace(id, indices_.size());
    if (!is_new) return at->second;
    begin_item(rules_);
    rules_ += "{\"id\":";
    log::append_json_string(rules_, id);
    if (const policies::rule* rule = policies::find_rule(id)) {
      rules_ += ",\"shortDescription\":";
      append_text(rules_, rule->summary);
      rules_ += ",\"help\":";
      append_text(rules_, "docs/rules/" + id + ".md");
    }
    rules_ += '}';
    return at->second;
  }

  std::map<std::string, std::size_t> indices_;
  std::string rules_, results_;
};

void print_sarif(std::ostream& out, const std::vector<reported_file>& files) {
  sarif_log made;
  for (const auto& file : files)
    for (const auto& statement : file.statements)
      for (const auto& finding : statement.findings) made.add(file.file, finding);
  made.print(out);
}

}  // namespace

void print_report(std::ostream& out, report_format format, const std::vector<reported_file>& files) {
  switch (format) {
    case report_format::json:
      return print_json(out, files);
    case report_format::text:
      return print_text(out, files);
    case report_format::github:
      return print_github(out, files);
    case report_format::sarif:
      return print_sarif(out, files);
  }
}

}  // namespace tidegate::cli
