#include "proxy/cli/plan.hpp"

#include "policies/engine.hpp"
#include "policies/fact_request.hpp"
#include "policies/plan/planner.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"
#include "proxy/cli/judging.hpp"
#include "proxy/control/standalone_reader.hpp"
#include "proxy/log/json.hpp"

#include <algorithm>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>

namespace tidegate::cli {
namespace {

using policies::plan_step;
using policies::step_kind;
using policies::verdict;

struct question {
  bool json = false;
  std::optional<int> server_version;
  policies::policy policy;
};

struct answered {
  std::string tag;
  policies::decision decision;
  policies::planned plan;
  verdict action = verdict::allow;  // what would happen
};

std::optional<question> read_question(const plan_options& options, std::ostream& err) {
  question asked;
  if (options.format != "text" && options.format != "json") {
    err << "tidegate plan: --format " << options.format << ": expected text or json\n";
    return std::nullopt;
  }
  asked.json = options.format == "json";
  if (!options.server_version.empty()) {
    asked.server_version = read_server_version("plan", options.server_version, err);
    if (!asked.server_version) return std::nullopt;
  }
  auto policy = read_policy(options.config, err);
  if (!policy) return std::nullopt;
  asked.policy = std::move(*policy);
  // What the statement would come to where it matters: in production.
  asked.policy.mode = policies::policy_mode::enforce;
  return asked;
}

// ---- text ----

std::string_view in_words(step_kind kind) {
  switch (kind) {
    case step_kind::brief:
      return "for a moment";
    case step_kind::checking:
      return "while every row is read; reads and writes go on";
    case step_kind::concurrent:
      return "outside a transaction; reads and writes go on";
    case step_kind::filling:
      return "in batches, each its own transaction";
  }
  return {};
}

std::string locks_of(const plan_step& step) {
  std::string text;
  for (const auto& lock : step.locks) {
    if (lock.level == policies::lock_level::none) continue;
    text += (text.empty() ? "" : ", ") + std::string(policies::name(lock.level)) + " on " +
            sql::quote_name(lock.relation);
  }
  return text;
}

void print_text(std::ostream& out, const answered& what) {
  if (what.plan.steps) {
    const auto& plan = *what.plan.steps;
    out << plan.tag << (plan.relation.empty() ? "" : " on " + plan.relation) << ": " << plan.steps.size()
        << (plan.steps.size() == 1 ? " step\n" : " steps\n");
    int number = 0;
    for (const auto& step : plan.steps) {
      const std::string locks = locks_of(step);
      out << '\n'
          << ++number << ". " << step.sql << ";\n   " << name(step.kind) << ": " << locks
          << (locks.empty() ? "" : ", ") << in_words(step.kind) << '\n';
      if (!step.undo.empty()) out << "   undo: " << step.undo << ";\n";
    }
    return;
  }
  if (what.action == verdict::allow || what.action == verdict::warn) {
    out << what.tag << ": runs as it stands" << (what.decision.guarded ? ", guarded" : "") << '\n';
  } else {
    out << what.tag << ": refused\n";
    if (!what.plan.why_not.empty()) out << "no plan: " << what.plan.why_not << '\n';
  }
  for (const auto& found : what.decision.reported)
    out << '\n' << found.rule << ": " << found.message << '\n' << found.detail << '\n' << found.hint << '\n';
}

// ---- JSON ----

std::string quoted(std::string_view text) {
  std::string out;
  log::append_json_string(out, text);
  return out;
}

template <class Items, class Write>
std::string list(const Items& items, Write write) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() == 1 ? "" : ",") + write(item);
  return out + "]";
}

std::string to_json(const plan_step& step) {
  return R"({"kind":)" + quoted(name(step.kind)) + R"(,"sql":)" + quoted(step.sql) + R"(,"locks":)" +
         list(step.locks,
              [](const auto& lock) {
                return R"({"relation":)" + quoted(sql::quote_name(lock.relation)) + R"(,"lock":)" +
                       quoted(policies::name(lock.level)) + "}";
              }) +
         R"(,"own_transaction":)" + (step.kind == step_kind::concurrent ? "false" : "true") + R"(,"done":)" +
         quoted(step.done) + R"(,"undo":)" + quoted(step.undo) + "}";
}

std::string to_json(const policies::finding& found) {
  return R"({"rule":)" + quoted(found.rule) + R"(,"action":)" + quoted(name(found.action)) + R"(,"lock":)" +
         quoted(found.lock == policies::lock_level::none ? "" : policies::name(found.lock)) +
         R"(,"relations":)" + list(found.relations, quoted) + R"(,"message":)" + quoted(found.message) +
         R"(,"detail":)" + quoted(found.detail) + R"(,"hint":)" + quoted(found.hint) + R"(,"steps":)" +
         list(found.steps, quoted) + "}";
}

void print_json(std::ostream& out, const answered& what, std::string_view sql) {
  out << R"({"sql":)" << quoted(sql) << R"(,"verdict":)" << quoted(name(what.action)) << R"(,"guarded":)"
      << (what.decision.guarded ? "true" : "false") << R"(,"relation":)"
      << quoted(what.plan.steps ? what.plan.steps->relation : std::string()) << R"(,"steps":)";
  const std::vector<plan_step> none;
  out << list(what.plan.steps ? what.plan.steps->steps : none, [](const auto& s) { return to_json(s); })
      << R"(,"no_plan":)" << quoted(what.plan.why_not) << R"(,"findings":)"
      << list(what.decision.reported, [](const auto& f) { return to_json(f); }) << "}\n";
}

// ---- the answer ----

int answer(const question& asked, const plan_options& options, std::ostream& out, std::ostream& err) {
  const auto parsed = sql::parse(options.sql);
  if (!parsed.ok()) {
    err << "tidegate plan: the statement cannot be parsed: " << parsed.error->message << '\n';
    return bad_usage;
  }
  if (parsed.statements.size() != 1) {
    err << "tidegate plan: expected one statement, got " << parsed.statements.size() << '\n';
    return bad_usage;
  }
  const sql::statement& statement = parsed.statements.front();
  control::standalone_reader reader(options.database);
  const auto request = policies::facts_needed(statement);
  policies::catalog_snapshot snapshot = reader.read(request);
  if (!reader.last_problem().empty()) err << "tidegate plan: " << reader.last_problem() << '\n';
  if (asked.server_version) snapshot.server_version = *asked.server_version;
  const policies::session_facts session;
  const policies::transaction_history history;
  const policies::rule_input input{statement, options.sql, snapshot, session, history};
  answered what;
  what.tag = statement.tag;
  what.decision = policies::decide(input, asked.policy);
  what.action = what.decision.action;
  const bool in_steps = what.action == verdict::plan || what.action == verdict::rewrite;
  if (in_steps) {
    what.plan = policies::make_plan(input, what.decision);
    if (!what.plan.steps) what.action = verdict::block;
  }
  if (asked.json)
    print_json(out, what, options.sql);
  else
    print_text(out, what);
  return what.action == verdict::block ? objections : nothing_to_say;
}

}  // namespace

int run_plan(const plan_options& options, std::ostream& out, std::ostream& err) {
  const auto asked = read_question(options, err);
  if (!asked) return bad_usage;
  return answer_on_parse_stack(
      "plan", [&] { return answer(*asked, options, out, err); }, err);
}

}  // namespace tidegate::cli
