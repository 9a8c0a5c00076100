#include "config/load.hpp"

#include "config/section_reader.hpp"
#include "config/sections.hpp"
#include "config/validate.hpp"
#include "config/yaml_tree.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>
#include <utility>

namespace tidegate::config {
namespace {

// Files that somebody opens later: better to be told now.
void check_files(const settings& all, reading& into) {
  auto check = [&](const std::string& path, const std::string& file) {
    if (!file.empty() && !std::ifstream(file).is_open()) into.refuse(path, "cannot read " + file);
  };
  for (std::size_t i = 0; i < all.listen.size(); ++i) {
    const std::string tls = "listen[" + std::to_string(i) + "].tls.";
    check(tls + "certificate", all.listen[i].tls.certificate);
    check(tls + "key", all.listen[i].tls.key);
    check(tls + "ca", all.listen[i].tls.ca);
  }
  const auto check_tls = [&](const std::string& path, const server_tls_settings& tls) {
    check(path + ".certificate", tls.certificate);
    check(path + ".key", tls.key);
    check(path + ".ca", tls.ca);
  };
  for (const database_settings& database : all.databases)
    check_tls("databases." + database.name + ".server_tls", database.server_tls);
  for (std::size_t i = 0; i < all.peers.gateways.size(); ++i)
    check_tls("peers.gateways[" + std::to_string(i) + "].tls", all.peers.gateways[i].tls);
}

load_result failed(std::vector<problem> problems) {
  std::ranges::stable_sort(problems, {}, [](const problem& p) { return std::tuple(p.at.line, p.at.column); });
  return {nullptr, std::move(problems)};
}

}  // namespace

load_result load_text(std::string_view text, const std::string& folder, const load_options& options) {
  if (text.size() > max_config_bytes) {
    return failed(
        {{{}, "has more than " + std::to_string(max_config_bytes) + " bytes", "is it the right file?"}});
  }
  yaml_document document = parse_yaml(text);
  if (!document.is_complete) return failed(std::move(document.problems));
  reading into;
  into.folder = folder;
  into.problems = std::move(document.problems);
  settings made;
  section_reader root(document.root, into);
  read_settings(root, made, options);
  if (into.problems.empty()) validate(made, into);
  if (into.problems.empty() && options.reads_files) check_files(made, into);
  if (!into.problems.empty()) return failed(std::move(into.problems));
  return {std::make_shared<const settings>(std::move(made)), {}};
}

load_result load_file(const std::string& file, const load_options& options) {
  std::ifstream in(file, std::ios::binary);
  std::string text(max_config_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (!in.is_open() || in.bad() || std::filesystem::is_directory(file)) {
    return failed({{{}, "cannot be read", "does it exist, and may this user read it?"}});
  }
  return load_text(text, std::filesystem::path(file).parent_path().string(), options);
}

std::set<std::string> known_keys() {
  const yaml_node nothing;
  reading into;
  into.lists_keys = true;
  settings ignored;
  section_reader root(nothing, into);
  read_settings(root, ignored, {});
  return std::move(into.keys);
}

}  // namespace tidegate::config
