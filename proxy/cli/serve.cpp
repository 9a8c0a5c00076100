#include "proxy/cli/serve.hpp"

#include "config/load.hpp"
#include "proxy/gateway.hpp"
#include "proxy/log/log.hpp"

#include <exception>
#include <memory>
#include <ostream>

namespace tidegate::cli {
namespace {

std::shared_ptr<const config::settings> load(const std::string& file) {
  config::load_result loaded = config::load_file(file, config::default_load_options());
  if (loaded.value) return loaded.value;
  std::string problems;
  for (const config::problem& p : loaded.problems)
    problems += (problems.empty() ? "" : "\n") + config::to_text(file, p);
  throw gateway_failure(problems);
}

}  // namespace

int run_serve(const std::string& config_file, std::ostream& errors) {
  std::shared_ptr<const config::settings> settings;
  try {
    settings = load(config_file);
    log::configure(settings->log);
  } catch (const std::exception& error) {
    errors << error.what() << '\n';
    return 2;
  }
  try {
    gateway serving(settings, [config_file] { return load(config_file); });
    serving.start();
    serving.run();
    return 0;
  } catch (const std::exception& error) {
    log::flush();
    errors << "tidegate: " << error.what() << '\n';
    return 3;
  }
}

}  // namespace tidegate::cli
