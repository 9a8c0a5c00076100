#include "proxy/cli/judging.hpp"

#include "config/load.hpp"
#include "policies/sql/parse_stack.hpp"

#include <charconv>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <system_error>

namespace tidegate::cli {
namespace {

std::optional<int> parse_version(std::string_view text) {
  int major = 0;
  int minor = 0;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, major);
  if (read.ec != std::errc() || major <= 0) return std::nullopt;
  if (read.ptr != end && *read.ptr == '.') read = std::from_chars(read.ptr + 1, end, minor);
  if (read.ec != std::errc() || read.ptr != end || minor < 0) return std::nullopt;
  const int number = major >= 10000 ? major : major * 10000 + minor;
  return number >= 120000 && number < 1000000 ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<int> read_server_version(std::string_view command, const std::string& text, std::ostream& err) {
  const auto version = parse_version(text);
  if (!version)
    err << "tidegate " << command << ": --server-version " << text
        << ": expected 12 or later, as 15, 14.2 or 150004\n";
  return version;
}

std::optional<policies::policy> read_policy(const std::string& file, std::ostream& err) {
  if (file.empty()) return policies::policy{};
  auto options = config::default_load_options();
  options.reads_files = false;
  const auto loaded = config::load_file(file, options);
  for (const auto& problem : loaded.problems) err << config::to_text(file, problem) << '\n';
  if (!loaded.value) return std::nullopt;
  return loaded.value->policies.policy;
}

int answer_on_parse_stack(std::string_view command, const std::function<int()>& answer, std::ostream& err) {
  try {
    int code = failed;
    sql::run_on_parse_stack([&] { code = answer(); });
    return code;
  } catch (const std::invalid_argument& problem) {
    err << "tidegate " << command << ": --database: " << problem.what() << '\n';
    return bad_usage;
  } catch (const std::exception& problem) {
    err << "tidegate " << command << ": " << problem.what() << '\n';
    return failed;
  }
}

}  // namespace tidegate::cli
