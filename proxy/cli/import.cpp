#include "proxy/cli/import.hpp"

#include "proxy/cli/import_parts.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidegate::cli {
namespace {

std::optional<std::string> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in.is_open() || std::filesystem::is_directory(file)) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return std::nullopt;
  return text;
}

// Readable by its owner alone: it is full of secrets.
bool write_private(const std::string& file, std::string_view text) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return false;
  bool well = ::fchmod(descriptor, 0600) == 0;
  while (well && !text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    well = written > 0;
    if (well) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::close(descriptor) == 0 && well;
}

// One line of a comment for each remark, so that nothing of it can become YAML.
std::string as_comments(const std::vector<std::string>& remarks) {
  std::string out;
  for (const std::string& remark : remarks) {
    std::string line = remark;
    std::ranges::replace_if(
        line, [](char c) { return c == '\n' || c == '\r'; }, ' ');
    out += "#   " + line + "\n";
  }
  return out;
}

}  // namespace

std::optional<std::string> import_state::setting(std::string_view key) {
  read.emplace(key);
  const ini_entry* found = ini.find(key);
  return found == nullptr ? std::nullopt : std::optional(found->value);
}

std::string import_state::setting(std::string_view key, std::string_view otherwise) {
  return setting(key).value_or(std::string(otherwise));
}

void import_state::remark_key(std::string_view key, const std::string& what) {
  const ini_entry* found = ini.find(key);
  remark(found == nullptr ? options.file.substr(options.file.rfind('/') + 1) : found->place,
         std::string(key) + ": " + what);
}

std::string import_state::absolute(const std::string& file) const {
  return file.empty() || file[0] == '/' ? file
                                        : (std::filesystem::path(folder) / file).lexically_normal().string();
}

imported_pool import_pool_mode(std::string_view mode) {
  if (mode == "session" || mode == "transaction") return {std::string(mode), true, {}};
  return {
      "transaction", true,
      "pool_mode " + std::string(mode) +
          " is not there: transaction is written, in which a transaction of several statements is allowed"};
}

std::vector<std::string> comma_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, end);
    while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
    while (item.ends_with(' ') || item.ends_with('\t')) item.remove_suffix(1);
    if (!item.empty()) out.emplace_back(item);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::optional<std::string> duration_of_seconds(std::string_view text) {
  double seconds = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || stopped != text.data() + text.size() || !(seconds >= 0) || seconds > 2'000'000)
    return std::nullopt;
  const auto milliseconds = static_cast<long long>(std::llround(seconds * 1000));
  if (milliseconds == 0) return "0";
  return milliseconds % 1000 == 0 ? std::to_string(milliseconds / 1000) + "s"
                                  : std::to_string(milliseconds) + "ms";
}

bool is_count(std::string_view text) {
  return !text.empty() && text.size() <= 7 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

imported import_pgbouncer(const import_options& options, const std::string& folder,
                          const file_source& source) {
  const file_source from_folder = [&](const std::string& file) {
    return source(file.empty() || file[0] == '/' || file == options.file
                      ? file
                      : (std::filesystem::path(folder) / file).lexically_normal().string());
  };
  import_state state{.options = options,
                     .folder = folder,
                     .source = from_folder,
                     .ini = read_pgbouncer_ini(options.file, from_folder),
                     .users = {},
                     .out = {},
                     .remarks = {},
                     .read = {}};
  for (const auto& [place, what] : state.ini.problems) state.remark(place, what);
  import_listeners(state);
  import_auth(state);
  import_databases(state);
  import_limits(state);
  import_rest(state);
  imported result;
  result.yaml = "# Made from " + options.file.substr(options.file.rfind('/') + 1) + " by tidegate import.\n";
  if (!state.remarks.empty())
    result.yaml += "#\n# What is not as it was in PgBouncer:\n" + as_comments(state.remarks);
  result.yaml +=
      "#\n# To do: a role that reads the catalog, as control: {user: tidegate} in each entry of databases; "
      "without\n"
      "# it every decision about a schema change assumes the worst. `tidegate doctor` says what it "
      "needs.\n\n" +
      state.out.text();
  result.remarks = std::move(state.remarks);
  result.clean_users = std::move(state.users);
  return result;
}

int run_import(const import_options& options, std::ostream& out, std::ostream& err) {
  if (!read_file(options.file)) {
    err << "tidegate: cannot read " << options.file << '\n';
    return 2;
  }
  const imported result = import_pgbouncer(options, std::filesystem::current_path().string(), read_file);
  if (!options.user_file.empty() && !write_private(options.user_file, to_user_file(result.clean_users))) {
    err << "tidegate: cannot write " << options.user_file << '\n';
    return 2;
  }
  out << result.yaml;
  for (const std::string& remark : result.remarks) err << remark << '\n';
  return result.remarks.empty() ? 0 : 1;
}

}  // namespace tidegate::cli
