// The command line: one subcommand per thing Tidegate does, each implemented in proxy/cli.

#include "proxy/cli/check.hpp"
#include "proxy/cli/demo.hpp"
#include "proxy/cli/doctor.hpp"
#include "proxy/cli/explain.hpp"
#include "proxy/cli/guard.hpp"
#include "proxy/cli/import.hpp"
#include "proxy/cli/plan.hpp"
#include "proxy/cli/serve.hpp"
#include "proxy/cli/undo.hpp"
#include "proxy/version.hpp"

#include <cstdlib>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <unistd.h>

int main(int argc, char** argv) {
  CLI::App app{"Tidegate: a PostgreSQL gateway through which no schema change takes the database down"};
  app.set_version_flag("--version", "tidegate " + std::string(tidegate::version));
  app.require_subcommand(1);

  std::string config_file;
  CLI::App* serve = app.add_subcommand("serve", "run the gateway");
  serve->add_option("--config", config_file, "configuration file (YAML)")->required();

  tidegate::cli::check_options checked;
  CLI::App* check =
      app.add_subcommand("check", "judge SQL files and migrations without running them, or rehearse them");
  check->add_option("--format", checked.format, "text | json | sarif | github")->capture_default_str();
  check->add_option("--server-version", checked.server_version, "the version the SQL is meant for: 15, 14.2");
  check->add_option("--database", checked.database, "URI of a database to take facts from");
  check
      ->add_option("--rehearse", checked.rehearse,
                   "run the files on the database of this URI, a copy of the real one, and measure")
      ->check([](const std::string& uri) { return std::string(uri.empty() ? "no URI was given" : ""); });
  check->add_option("--config", checked.config, "configuration whose policies apply");
  check->add_option("--fail-on", checked.fail_on, "warn | rewrite | plan | block")->capture_default_str();
  check->add_flag("--trust-sizes", checked.trust_sizes, "a small table in the database counts as safe");
  check->add_option("--layout", checked.layout, "auto | " + tidegate::cli::migrations::layout_names())
      ->capture_default_str();
  check->add_flag("--down", checked.down, "judge the down migrations instead of the up ones");
  check->add_option("--only", checked.only,
                    "file that lists which files to judge, one a line; - is standard input");
  check->add_option("files", checked.files, "SQL files, folders of migrations; - is standard input")
      ->required();

  tidegate::cli::plan_options planned;
  CLI::App* plan = app.add_subcommand("plan", "show the steps that a statement would be carried out in");
  plan->add_option("--format", planned.format, "text | json")->capture_default_str();
  plan->add_option("--server-version", planned.server_version, "plan as for this version: 15, 14.2");
  plan->add_option("--database", planned.database, "URI of the database")->required();
  plan->add_option("--config", planned.config, "configuration whose policies apply");
  plan->add_option("sql", planned.sql, "one statement")->required();

  tidegate::cli::undo_options undone;
  CLI::App* undo = app.add_subcommand("undo", "print what takes a schema change of the ledger back");
  undo->add_option("--database", undone.database, "URI of the database")->required();
  undo->add_option("id", undone.id, "of the change; without it the newest are listed");

  std::string explained;
  CLI::App* explain = app.add_subcommand("explain", "tell what a rule is about and what to do instead");
  explain->add_option("rule", explained, "a rule's id; without it all rules are listed");

  CLI::App* doctor = app.add_subcommand("doctor", "check a configuration against its servers");
  doctor->add_option("--config", config_file, "configuration file (YAML)")->required();

  tidegate::cli::guard_command_options guarding;
  CLI::App* guard =
      app.add_subcommand("guard", "the event trigger that refuses DDL which went round the gateway");
  guard->require_subcommand(1);
  CLI::App* guard_install = guard->add_subcommand("install", "make it, or make it anew");
  CLI::App* guard_remove = guard->add_subcommand("remove", "take it away");
  CLI::App* guard_status = guard->add_subcommand("status", "tell whether it is in force and as it was made");
  for (CLI::App* each : {guard_install, guard_remove, guard_status})
    each->add_option("--database", guarding.database, "URI of the database itself, as a superuser")
        ->required();
  guard_install->add_option("--control-role", guarding.control_roles,
                            "the gateway's control.user, unless superuser");
  guard_install->add_option("--allow-role", guarding.allowed_roles,
                            "a role whose sessions pass without the gateway");
  guard_install->add_option("--mode", guarding.mode, "enforce | observe: warn and refuse nothing");

  tidegate::cli::import_options brought;
  CLI::App* import = app.add_subcommand("import", "write a configuration of PgBouncer as one of Tidegate");
  import->add_option("--user-file", brought.user_file, "write a clean copy of auth_file here, and use it");
  import->add_option("file", brought.file, "pgbouncer.ini")->required();

  tidegate::cli::demo_options shown;
  CLI::App* demo =
      app.add_subcommand("demo", "show what Tidegate does, on a throwaway PostgreSQL of its own");
  demo->add_flag("--keep", shown.keep, "leave server and gateway running afterwards, until Ctrl-C");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*check) return tidegate::cli::run_check(checked, std::cin, std::cout, std::cerr);
  if (*plan) return tidegate::cli::run_plan(planned, std::cout, std::cerr);
  if (*undo) return tidegate::cli::run_undo(undone, std::cout, std::cerr);
  if (*explain) return tidegate::cli::run_explain(explained, std::cout, std::cerr);
  if (*doctor) return tidegate::cli::run_doctor(config_file, std::cout, std::cerr);
  if (*guard) {
    const auto action = *guard_install  ? tidegate::cli::guard_action::install
                        : *guard_remove ? tidegate::cli::guard_action::remove
                                        : tidegate::cli::guard_action::status;
    return tidegate::cli::run_guard(action, guarding, std::cout, std::cerr);
  }
  if (*import) return tidegate::cli::run_import(brought, std::cout, std::cerr);
  if (*demo) {
    shown.coloured = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    return tidegate::cli::run_demo(shown, std::cout, std::cerr);
  }
  if (*serve) return tidegate::cli::run_serve(config_file, std::cerr);
  return 2;
}
