// ALTER SYSTEM changes the settings of the whole server, for every database: from the next reload or restart
// on, and in no file that is kept under version control.
#include "policies/finding.hpp"
#include "policies/rule.hpp"

#include <utility>

namespace tidegate::policies {

const rule& alter_system_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* system = input.statement.as<sql::alter_system>();
  if (!system) return;
  const auto& setting = system->setting;
  const bool everything = setting.form == sql::set_form::reset_all;
  finding f;
  f.at = input.statement.range.begin;
  f.message = "ALTER SYSTEM changes " +
              (everything ? std::string("every setting it ever made") : setting.name) +
              " for every database of the server";
  f.detail =
      "It is written to postgresql.auto.conf, which overrides postgresql.conf, and takes effect at the "
      "next reload or restart, whoever causes it; a wrong value may keep the server from starting.";
  if (setting.form == sql::set_form::set) {
    const bool plain =
        !setting.value.empty() && setting.value.find_first_not_of("0123456789") == std::string::npos;
    f.steps = {"ALTER DATABASE … SET " + setting.name + " = " + (plain ? setting.value : "…") + ";"};
    f.hint = "Instead: " + f.steps[0] + "  -- or ALTER ROLE …, where that is enough";
  } else {
    f.hint = "Instead: change the server's configuration where it is kept.";
  }
  out.push_back(std::move(f));
}

}  // namespace

const rule& alter_system_rule() {
  static constexpr rule r{"alter-system", "ALTER SYSTEM changes a setting for every database of the server",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
