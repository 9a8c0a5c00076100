#include "proxy/cli/check.hpp"

#include "policies/engine.hpp"
#include "policies/held_locks.hpp"
#include "policies/relation_name.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/prefilter.hpp"
#include "proxy/cli/check_report.hpp"
#include "proxy/cli/judging.hpp"
#include "proxy/cli/migrations/files.hpp"
#include "proxy/cli/rehearsal.hpp"
#include "proxy/cli/script_effects.hpp"
#include "proxy/cli/sql_script.hpp"
#include "proxy/control/standalone_reader.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tidegate::cli {

namespace {

using policies::decision;
using policies::finding;
using policies::verdict;

// Rules about what shares a transaction: for them it matters how the file is sent.
constexpr std::array<std::string_view, 6> message_rules = {"concurrently-in-transaction",
                                                           "ddl-and-dml-one-transaction",
                                                           "enum-value-used-same-transaction",
                                                           "multiple-ddl-one-transaction",
                                                           "not-valid-and-validate-one-transaction",
                                                           "validate-constraint-under-ael"};

// The table that gets its primary key by an ALTER TABLE; empty: none does.
sql::qualified_name gets_primary_key(const sql::statement& statement) {
  const auto* alter = statement.as<sql::alter_table>();
  if (!alter) return {};
  for (const auto& command : alter->commands) {
    const bool key = (command.constraint && command.constraint->kind == sql::constraint_kind::primary_key) ||
                     (command.column && command.column->find(sql::constraint_kind::primary_key));
    if (key) return alter->relation;
  }
  return {};
}

bool contains_word(std::string_view text, std::string_view word) {
  const auto it = std::search(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
  return it != text.end();
}

// Judges one file, statement by statement.
class script_checker {
 public:
  script_checker(const std::string& file, std::string_view text, const policies::policy& policy,
                 const fact_source& facts)
      : text_(text), lines_(text), policy_(policy), facts_(facts) {
    report_.file = file;
  }

  void check(const migrations::section& section) {
    section_ = &section;
    history_.clear();
    if (section.in_transaction) run(control("BEGIN"));
    for (const auto& part : section.parts) check(part);
    if (section.in_transaction)
      run(control("COMMIT"));
    else if (history_.in_transaction())
      judge_end();
  }

  reported_file report() { return std::move(report_); }

 private:
  static sql::statement control(std::string_view text) {
    return std::move(sql::parse(text).statements.at(0));
  }

  // The tool itself sends it.
  void run(const sql::statement& statement) {
    effects_.add(statement, {});
    history_.add(statement);
  }

  void check(const migrations::text_range& part) {
    const auto how = section_->how;
    const auto until_end = text_.substr(0, part.end);
    const bool conforming = effects_.standard_conforming_strings();
    sql_script ahead(until_end, part.begin);
    const bool several = ahead.next(conforming) && ahead.next(conforming);
    // settings that are local to a transaction last until the end of the message
    const bool is_implicit_transaction =
        how == migrations::sending::as_one_message && several && !history_.in_transaction();
    if (is_implicit_transaction) effects_.add(control("BEGIN"), {});
    if (!history_.in_transaction()) history_.clear();

    sql_script script(until_end, part.begin);
    while (const auto piece = script.next(effects_.standard_conforming_strings())) {
      const bool begins_message = how == migrations::sending::by_statement ||
                                  (how == migrations::sending::as_psql && !piece->follows_on_line);
      if (begins_message && !history_.in_transaction()) history_.clear();
      const sql::parse_options options{.standard_conforming_strings = effects_.standard_conforming_strings()};
      const auto parsed = sql::parse(piece->text, options);
      if (!parsed.ok()) {
        report_unparsable(*piece, *parsed.error);
        continue;
      }
      const bool shares_message = how == migrations::sending::as_psql
                                      ? piece->shares_line
                                      : how == migrations::sending::as_one_message && several;
      for (const auto& statement : parsed.statements) {
        judge(*piece, statement, parsed.statements.size() == 1 && !shares_message);
        if (const auto* copy = statement.as<sql::copy>();
            copy && copy->from && copy->relation && !copy->program && contains_word(piece->text, "stdin"))
          script.skip_copy_data();
      }
    }
    if (is_implicit_transaction) effects_.add(control("COMMIT"), {});
  }

  void judge(const script_piece& piece, const sql::statement& statement, bool alone) {
    auto wanted = policies::facts_needed(statement);
    // what this transaction has locked may be what the statement makes others wait for
    for (const auto& each : history_.entries())
      if (each.what == policies::transaction_history::entry::kind::strong_lock &&
          std::find(wanted.relations.begin(), wanted.relations.end(), each.relation) ==
              wanted.relations.end())
        wanted.relations.push_back(each.relation);
    const auto request = effects_.widen(std::move(wanted));
    policies::catalog_snapshot snapshot = facts_(request);
    effects_.apply_to(snapshot, request);

    policies::session_facts session;
    session.in_transaction = history_.in_transaction();
    session.alone_in_message = alone;
    session.guarded = false;
    session.lock_timeout = effects_.setting("lock_timeout");
    // a comment that overrides is meant for those who may
    if (!policy_.override_roles.empty() && piece.text.find("tidegate:allow=") != std::string::npos)
      session.role = policy_.override_roles.front();

    const decision decided = decide({statement, piece.text, snapshot, session, history_}, policy_);
    const bool message_assumed =
        section_->how == migrations::sending::as_psql && !alone && !session.in_transaction;
    report(add_statement(piece, statement.range), piece, statement.range, decided, message_assumed);
    if (const auto table = gets_primary_key(statement); !table.name.empty())
      take_back("table-without-primary-key", table);
    const bool existed = effects_.may_exist_before(statement, snapshot);
    effects_.add(statement, snapshot);
    history_.add(statement, existed, snapshot);
  }

  // The file ends in an open transaction: what that means is told with its last statement.
  void judge_end() {
    const sql::statement end{.node = sql::other_statement{}, .range = last_range_};
    const policies::catalog_snapshot nothing_known;
    policies::session_facts session;
    session.in_transaction = true;
    session.guarded = false;
    session.at_end = true;
    const decision decided = decide({end, last_.text, nothing_known, session, history_}, policy_);
    report(report_.statements.back(), last_, last_range_, decided, false);
  }

  // A later statement has done what was missed.
  void take_back(std::string_view rule, const sql::qualified_name& relation) {
    for (auto& statement : report_.statements) {
      std::erase_if(statement.findings, [&](const reported_finding& found) {
        return found.rule == rule && !found.relations.empty() &&
               policies::may_be_same(policies::split_full_name(found.relations.front()), relation);
      });
      statement.verdict = verdict::allow;
      for (const auto& found : statement.findings)
        statement.verdict = std::max(statement.verdict, found.action);
    }
  }

  void report(reported_statement& statement, const script_piece& piece, sql::text_range range,
              const decision& decided, bool message_assumed) {
    statement.verdict = std::max(statement.verdict, decided.action);
    for (const auto& found : decided.reported) {
      if (found.action < verdict::warn) continue;
      reported_finding entry;
      entry.rule = found.rule;
      entry.action = found.action;
      if (found.lock != policies::lock_level::none) entry.lock = policies::name(found.lock);
      entry.relations = found.relations;
      entry.message = found.message;
      entry.detail = found.detail;
      entry.hint = found.hint;
      entry.steps = found.steps;
      if (std::find(message_rules.begin(), message_rules.end(), found.rule) != message_rules.end()) {
        if (message_assumed)
          entry.detail +=
              "\nLacked fact: whether the statements of this line are sent as one message; the worst was "
              "assumed.";
        if (!section_->why.empty()) entry.detail += "\n" + std::string(section_->why);
      }
      place(entry, piece, found.at >= 0 ? found.at : range.begin);
      statement.findings.push_back(std::move(entry));
    }
  }

  // What newer servers understand and the parser does not is let through when it is certainly no DDL.
  void report_unparsable(const script_piece& piece, const sql::parse_error& error) {
    const auto size = static_cast<sql::position>(piece.text.size());
    const auto begin =
        static_cast<sql::position>(std::min(piece.text.find_first_not_of(" \t\r\n"), piece.text.size()));
    auto& statement = add_statement(piece, {begin, size});
    const sql::lexical_settings lexical{.standard_conforming_strings =
                                            effects_.standard_conforming_strings()};
    if (sql::classify(piece.text, lexical) == sql::suspicion::harmless) return;
    statement.verdict = policy_.on_unparsable;
    if (statement.verdict < verdict::warn) return;
    reported_finding entry;
    entry.rule = "unparsable";
    entry.action = statement.verdict;
    entry.message = "this statement cannot be parsed, so what it would do is not known";
    entry.detail = error.message;
    entry.hint = "More: docs/limitations.md";
    place(entry, piece, error.at >= 0 ? error.at : begin);
    statement.findings.push_back(std::move(entry));
  }

  reported_statement& add_statement(const script_piece& piece, sql::text_range range) {
    reported_statement statement;
    statement.index = static_cast<int>(report_.statements.size());
    const auto size = static_cast<sql::position>(piece.text.size());
    const auto begin = static_cast<std::size_t>(std::clamp(range.begin, 0, size));
    const auto end = static_cast<std::size_t>(std::clamp(range.end, static_cast<sql::position>(begin), size));
    statement.line = lines_.line(piece.offset + begin);
    statement.sql = piece.text.substr(begin, end - begin);
    last_ = piece;
    last_range_ = range;
    report_.statements.push_back(std::move(statement));
    return report_.statements.back();
  }

  void place(reported_finding& entry, const script_piece& piece, sql::position at) const {
    const auto where = lines_.locate(piece.offset + static_cast<std::size_t>(std::max(at, 0)));
    entry.line = where.line;
    entry.column = where.column;
  }

  std::string_view text_;
  line_index lines_;
  const migrations::section* section_ = nullptr;  // the one being judged
  const policies::policy& policy_;
  const fact_source& facts_;
  script_effects effects_;
  policies::transaction_history history_;
  script_piece last_;  // of the last statement that was reported, which stands at:
  sql::text_range last_range_;
  reported_file report_;
};

std::optional<report_format> parse_format(std::string_view text) {
  if (text == "text") return report_format::text;
  if (text == "json") return report_format::json;
  if (text == "github") return report_format::github;
  if (text == "sarif") return report_format::sarif;
  return std::nullopt;
}

struct question {
  migrations::wanted_files wanted;
  report_format format = report_format::text;
  verdict fail_on = verdict::plan;
  std::optional<int> server_version;
  policies::policy policy;
};

// False: it was said in `err` what is wrong.
bool read_only_list(const check_options& options, std::istream& in, std::ostream& err,
                    migrations::wanted_files& wanted) {
  const auto drain = [](std::istream& stream) {
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  if (options.only == "-") {
    if (std::find(options.files.begin(), options.files.end(), "-") != options.files.end()) {
      err << "tidegate check: standard input cannot be both the list of --only and a file\n";
      return false;
    }
    wanted.only = drain(in);
    return true;
  }
  std::error_code failure;  // a folder can be opened, but not read
  std::ifstream stream(options.only, std::ios::binary);
  if (!stream || std::filesystem::is_directory(options.only, failure)) {
    err << "tidegate check: --only " << options.only << ": cannot be read\n";
    return false;
  }
  wanted.only = drain(stream);
  return true;
}

// What the command line and the configuration ask for; none: it was said in `err` what is wrong.
std::optional<question> read_question(const check_options& options, std::istream& in, std::ostream& err) {
  question asked;
  const auto format = parse_format(options.format);
  if (!format) {
    err << "tidegate check: --format " << options.format << ": expected text, json, sarif or github\n";
    return std::nullopt;
  }
  asked.format = *format;
  const auto fail_on = policies::parse_verdict(options.fail_on);
  if (!fail_on || *fail_on == verdict::allow) {
    err << "tidegate check: --fail-on " << options.fail_on << ": expected warn, rewrite, plan or block\n";
    return std::nullopt;
  }
  asked.fail_on = *fail_on;
  const bool prints_rehearsal = *format == report_format::text || *format == report_format::json;
  if (!options.rehearse.empty() && !prints_rehearsal) {
    err << "tidegate check: --rehearse prints text or json, not " << options.format << '\n';
    return std::nullopt;
  }
  if (!options.rehearse.empty() && !options.database.empty()) {
    err << "tidegate check: --rehearse and --database: only one of them; a rehearsal takes its facts from "
           "the "
           "database it runs on\n";
    return std::nullopt;
  }
  if (!options.server_version.empty()) {
    asked.server_version = read_server_version("check", options.server_version, err);
    if (!asked.server_version) return std::nullopt;
  }
  if (options.files.empty()) {
    err << "tidegate check: no file given; use - for standard input\n";
    return std::nullopt;
  }
  asked.wanted.paths = options.files;
  asked.wanted.runs = options.down ? migrations::direction::down : migrations::direction::up;
  asked.wanted.forced = migrations::parse_layout(options.layout);
  if (!asked.wanted.forced && options.layout != "auto") {
    err << "tidegate check: --layout " << options.layout << ": expected auto, " << migrations::layout_names()
        << '\n';
    return std::nullopt;
  }
  if (!options.only.empty() && !read_only_list(options, in, err, asked.wanted)) return std::nullopt;
  auto policy = read_policy(options.config, err);
  if (!policy) return std::nullopt;
  asked.policy = std::move(*policy);
  asked.policy.trust_sizes = options.trust_sizes || !options.rehearse.empty();
  return asked;
}

// With what its tool would refuse told among the problems.
migrations::migration divide(const migrations::migration_file& file, std::vector<std::string>& problems) {
  auto divided = migrations::divide(file.text, file.tool, file.role, file.executes_in_transaction);
  if (divided.refused)
    problems.push_back(file.path + ":" + std::to_string(line_index(file.text).line(divided.refused->at)) +
                       ": " + divided.refused->what);
  return divided;
}

// As their tool would run them. What can't be read, or would be refused by the tool, keeps all from being
// run.
int answer_by_rehearsal(const question& asked, const std::string& database, std::istream& in,
                        std::ostream& out, std::ostream& err) {
  auto found = migrations::find_files(asked.wanted, in);
  std::vector<migration_message> messages;
  for (const auto& file : found.files) {
    const auto divided = divide(file, found.problems);
    const auto sent = messages_of(file.path, file.text, divided.sections, asked.wanted.runs);
    messages.insert(messages.end(), sent.begin(), sent.end());
  }
  for (const auto& remark : found.remarks) err << "tidegate check: " << remark << '\n';
  for (const auto& problem : found.problems) err << "tidegate check: " << problem << '\n';
  if (!found.problems.empty()) {
    err << "tidegate check: nothing was run\n";
    return failed;
  }
  const std::string tool(found.files.empty() ? "nothing" : migrations::name(found.files.front().tool));
  const auto rehearsed = rehearse({database, tool, asked.policy}, messages);
  if (asked.format == report_format::json)
    print_rehearsal_json(out, rehearsed);
  else
    print_rehearsal_text(out, rehearsed);
  return has_failed(rehearsed) ? objections : nothing_to_say;
}

int answer(const question& asked, const check_options& options, std::istream& in, std::ostream& out,
           std::ostream& err) {
  if (!options.rehearse.empty()) return answer_by_rehearsal(asked, options.rehearse, in, out, err);
  std::unique_ptr<control::standalone_reader> reader;
  if (!options.database.empty()) reader = std::make_unique<control::standalone_reader>(options.database);
  const fact_source facts = [&](const policies::fact_request& request) {
    policies::catalog_snapshot snapshot;
    if (reader) snapshot = reader->read(request);
    if (asked.server_version) snapshot.server_version = *asked.server_version;
    return snapshot;
  };
  auto found = migrations::find_files(asked.wanted, in);
  std::vector<reported_file> files;
  bool failing = false;
  for (const auto& file : found.files) {
    const auto divided = divide(file, found.problems);
    files.push_back(
        check_script(file.path, file.text, divided.sections, asked.wanted.runs, asked.policy, facts));
    files.back().layout = migrations::name(file.tool);
    for (const auto& statement : files.back().statements)
      for (const auto& finding : statement.findings) failing = failing || finding.action >= asked.fail_on;
  }
  print_report(out, asked.format, files);
  for (const auto& remark : found.remarks) err << "tidegate check: " << remark << '\n';
  for (const auto& problem : found.problems) err << "tidegate check: " << problem << '\n';
  if (!found.problems.empty()) return failed;
  return failing ? objections : nothing_to_say;
}

}  // namespace

reported_file check_script(const std::string& file, std::string_view text,
                           const std::vector<migrations::section>& sections, migrations::direction runs,
                           const policies::policy& policy, const fact_source& facts) {
  script_checker checker(file, text, policy, facts);
  for (const auto& section : sections)
    if (section.runs == runs) checker.check(section);
  return checker.report();
}

int run_check(const check_options& options, std::istream& in, std::ostream& out, std::ostream& err) {
  const auto asked = read_question(options, in, err);
  if (!asked) return bad_usage;
  return answer_on_parse_stack(
      "check", [&] { return answer(*asked, options, in, out, err); }, err);
}

}  // namespace tidegate::cli
