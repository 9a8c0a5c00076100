#include "proxy/cli/migrations/files.hpp"

#include "proxy/cli/migrations/marks.hpp"
#include "proxy/cli/migrations/sections.hpp"
#include "proxy/log/json.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <set>
#include <system_error>
#include <utility>

namespace tidegate::cli::migrations {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// Marks stand at the beginnings of files.
constexpr std::size_t marks_within_bytes = 1U << 20U;

// What a stream holds, up to the first block above the limit.
std::string drain(std::istream& stream, std::size_t limit = file_limit_bytes) {
  std::string text;
  std::string block(1U << 16U, '\0');
  while (stream && text.size() <= limit) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block, 0, static_cast<std::size_t>(stream.gcount()));
  }
  return text;
}

class finder {
 public:
  finder(const wanted_files& wanted, std::istream& in) : wanted_(wanted), in_(in) {}

  found_files find() {
    if (wanted_.only) read_only_list(*wanted_.only);
    for (const auto& path : wanted_.paths) {
      std::error_code failure;
      if (path != "-" && fs::is_directory(path, failure))
        add_folder(path);
      else
        add_file(path);
    }
    return std::move(found_);
  }

 private:
  void problem(const std::string& path, const std::string& what) {
    found_.problems.push_back(path + ": " + what);
  }

  // A name that leads nowhere is a sign that the list was made in another folder.
  void read_only_list(std::string_view list) {
    for (const auto& line : lines(list)) {
      if (line.text.empty()) continue;
      const std::string path(line.text);
      std::error_code failure;
      const auto whole = fs::canonical(path, failure);
      if (failure)
        problem(path, "named by --only, but cannot be found from here: " + failure.message());
      else
        only_.insert(whole.string());
    }
  }

  bool is_wanted(const std::string& path) const {
    if (!wanted_.only || path == "-") return true;
    std::error_code failure;
    const auto whole = fs::weakly_canonical(path, failure).string();
    return only_.contains(whole) || only_.contains(whole + ".conf");
  }

  // The text, or why there is none.
  std::optional<std::string> read(const std::string& path) {
    std::string text;
    std::uintmax_t size = 0;  // of what is no plain file (/dev/stdin, a pipe) it is not known before
    if (path == "-") {
      text = drain(in_);
    } else {
      std::error_code failure;
      const auto status = fs::status(path, failure);
      std::ifstream stream(path, std::ios::binary);
      if (!stream) {
        problem(path, "cannot be read" + (failure ? ": " + failure.message() : std::string()));
        return std::nullopt;
      }
      if (fs::is_regular_file(status)) size = fs::file_size(path, failure);
      if (size <= file_limit_bytes) text = drain(stream);
      if (stream.bad()) {
        problem(path, "cannot be read to its end");
        return std::nullopt;
      }
    }
    if (std::max<std::uintmax_t>(size, text.size()) > file_limit_bytes) {
      problem(path, "larger than the " + std::to_string(file_limit_bytes >> 20U) + " MiB that check reads");
      return std::nullopt;
    }
    if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
    if (const auto why = unfit_text(text)) {
      problem(path, *why);
      return std::nullopt;
    }
    return text;
  }

  void add(const std::string& path, std::string text, layout tool, file_role role) {
    migration_file made{path, std::move(text), tool, role, {}};
    if (tool == layout::flyway) {
      std::error_code failure;
      if (fs::exists(path + ".conf", failure))
        if (const auto configuration = read(path + ".conf"))
          made.executes_in_transaction = read_script_configuration(*configuration);
    }
    found_.files.push_back(std::move(made));
  }

  void add_file(const std::string& path) {
    if (!is_wanted(path)) return;
    auto text = read(path);
    if (!text) return;
    const layout tool = wanted_.forced ? *wanted_.forced : layout_of_file(path, *text);
    const auto role = role_of_file(tool, path);
    if (role == (wanted_.runs == direction::up ? file_role::down : file_role::up))
      found_.remarks.push_back(
          path + ": not judged, as it is " +
          (role == file_role::down ? "a down migration (--down judges those)" : "no down migration"));
    add(path, std::move(*text), tool, role);
  }

  // A file that was named is judged even if the tool would not run one of that name.
  static file_role role_of_file(layout tool, const fs::path& path) {
    auto name = path.filename().generic_string();
    if (tool == layout::sqitch) name = path_in_sqitch(path).value_or(name);
    const bool has_marks = tool == layout::dbmate || tool == layout::goose || tool == layout::node_pg_migrate;
    return role_of(tool, name).value_or(has_marks ? file_role::by_sections : file_role::up);
  }

  // The path of a script below the folder of its sqitch.plan: "revert/a/b.sql".
  static std::optional<std::string> path_in_sqitch(const fs::path& path) {
    std::error_code failure;
    for (auto folder = path.parent_path(); folder.has_filename(); folder = folder.parent_path()) {
      const auto top = folder.filename();
      if ((top == "deploy" || top == "revert") && fs::exists(folder.parent_path() / "sqitch.plan", failure))
        return (top / path.lexically_relative(folder)).generic_string();
    }
    return std::nullopt;
  }

  static layout layout_of_file(const std::string& path, std::string_view text) {
    if (path == "-") return layout_of_text(text).value_or(layout::sql);
    const fs::path whole(path);
    const auto folder = whole.parent_path();
    std::error_code failure;
    if (fs::exists(folder / "meta/_journal.json", failure)) return layout::drizzle;
    if (whole.filename() == "migration.sql")
      return fs::exists(folder / "snapshot.json", failure) ? layout::drizzle : layout::prisma;
    if (path_in_sqitch(whole)) return layout::sqitch;
    if (const auto tool = layout_of_name(whole.filename().generic_string())) return *tool;
    return layout_of_text(text).value_or(layout::sql);
  }

  void add_folder(const std::string& given) {
    fs::path folder = fs::path(given).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();
    std::error_code failure;
    const bool in_sqitch = folder.filename() == "deploy" || folder.filename() == "revert";
    if (in_sqitch && fs::exists(folder / "../sqitch.plan", failure))
      folder = (folder / "..").lexically_normal();
    if (folder.empty()) folder = ".";
    std::vector<std::string> paths;
    std::set<std::string> seen;
    list(folder, {}, paths, seen);
    std::sort(paths.begin(), paths.end(), is_naturally_before);
    const layout tool = wanted_.forced ? *wanted_.forced : layout_of_folder(folder, paths);

    std::string order;
    if (tool == layout::drizzle || tool == layout::sqitch) {
      const auto file = folder / (tool == layout::drizzle ? "meta/_journal.json" : "sqitch.plan");
      if (fs::exists(file, failure)) order = read(file.generic_string()).value_or("");
      if (order.empty() && tool == layout::sqitch)
        return problem(given, "no sqitch.plan in it, which would name the changes");
    }
    const auto chosen = choose(tool, paths, wanted_.runs, order);
    remark_strays(folder, tool, chosen.strays);
    if (chosen.files.empty())
      return problem(given, "no " + std::string(wanted_.runs == direction::up ? "" : "down ") +
                                "migrations in it (layout " + std::string(name(tool)) + ")");
    for (const auto& file : chosen.files) {
      const auto path = (folder / file.path).lexically_normal().generic_string();
      if (!is_wanted(path)) continue;
      if (auto text = read(path)) add(path, std::move(*text), tool, file.role);
    }
  }

  // All files below, relative to the folder. Hidden ones are left out; a folder that was listed already (a
  // link that leads back) is not listed again.
  void list(const fs::path& folder, const fs::path& relative, std::vector<std::string>& paths,
            std::set<std::string>& seen) {
    std::error_code failure;
    const auto whole = fs::canonical(folder, failure);
    if (!failure && !seen.insert(whole.string()).second) return;
    fs::directory_iterator entries;
    if (!failure) entries = fs::directory_iterator(folder, failure);
    if (failure) return problem(folder.generic_string(), "cannot be read: " + failure.message());
    for (; entries != fs::directory_iterator(); entries.increment(failure)) {
      const auto file = entries->path().filename();
      if (file.native().starts_with('.')) continue;
      std::error_code unknown;
      const auto status = entries->status(unknown);
      if (status.type() == fs::file_type::none)
        problem(entries->path().generic_string(), "cannot be read: " + unknown.message());
      else if (fs::is_directory(status))
        list(entries->path(), relative / file, paths, seen);
      else if (fs::is_regular_file(status) || file.extension() == ".sql")
        paths.push_back((relative / file).generic_string());
    }
    if (failure) problem(folder.generic_string(), "cannot be read to its end: " + failure.message());
  }

  layout layout_of_folder(const fs::path& folder, const std::vector<std::string>& paths) {
    const auto has = [&](const std::string& path) {
      return std::find(paths.begin(), paths.end(), path) != paths.end();
    };
    if (has("sqitch.plan")) return layout::sqitch;
    if (has("meta/_journal.json")) return layout::drizzle;
    for (const auto& path : paths)
      if (const auto tool = layout_of_name(path)) {
        const auto beside = fs::path(path).parent_path() / "snapshot.json";
        return tool == layout::prisma && has(beside.generic_string()) ? layout::drizzle : *tool;
      }
    for (const auto& path : paths) {
      if (!path.ends_with(".sql")) continue;
      std::ifstream stream(folder / path, std::ios::binary);
      if (const auto tool = layout_of_text(drain(stream, marks_within_bytes))) return *tool;
    }
    return layout::sql;
  }

  void remark_strays(const fs::path& folder, layout tool, const std::vector<std::string>& strays) {
    if (strays.empty()) return;
    constexpr std::size_t shown = 3;
    std::string names;
    for (std::size_t i = 0; i < std::min(shown, strays.size()); ++i) names += (i > 0 ? ", " : "") + strays[i];
    if (strays.size() > shown) names += ", …";
    found_.remarks.push_back(folder.generic_string() + ": not judged, as " + std::string(name(tool)) +
                             " does not run " + (strays.size() == 1 ? "it: " : "them: ") + names);
  }

  const wanted_files& wanted_;
  std::istream& in_;
  std::set<std::string> only_;  // of wanted_.only, as canonical paths
  found_files found_;
};

}  // namespace

found_files find_files(const wanted_files& wanted, std::istream& in) {
  return finder(wanted, in).find();
}

std::optional<std::string> unfit_text(std::string_view text) {
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = log::utf8_length(text.substr(at, 4));
    if (length == 0) return "line " + std::to_string(line) + ": not UTF-8";
    if (text[at] == '\0') return "line " + std::to_string(line) + ": a zero byte; is it UTF-16?";
    if (text[at] == '\n') ++line;
    at += length;
  }
  return std::nullopt;
}

}  // namespace tidegate::cli::migrations
