// config/example.yaml, docs/configuration.md and the loader know the same keys.

#include "config/load.hpp"
#include "config/yaml_tree.hpp"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate::config {
namespace {

std::string read(const std::string& file) {
  std::ifstream in(std::string(TIDEGATE_SOURCE_DIR) + "/" + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Keys in the form of known_keys(): names of the user's become the placeholder that known_keys() has at that
// place.
void add_keys(const yaml_node& node, const std::string& path, const std::set<std::string>& known,
              std::set<std::string>& found) {
  for (const yaml_node& item : node.items) add_keys(item, path + "[]", known, found);
  for (const yaml_member& member : node.members) {
    std::string key = path.empty() ? member.key : path + "." + member.key;
    for (const char* placeholder : {"<name>", "<map>", "<user>", "<rule>"}) {
      const std::string named = path + "." + placeholder;
      if (known.contains(named)) key = named;
    }
    found.insert(key);
    add_keys(member.value, key, known, found);
  }
}

TEST(configuration_page, has_exactly_the_keys_of_the_loader) {
  const std::string text = read("docs/configuration.md");
  std::set<std::string> on_page;
  const std::string begin = "\n| `";
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const std::size_t key = at + begin.size();
    on_page.insert(text.substr(key, text.find('`', key) - key));
  }
  for (const char* method : {"trust", "scram-sha-256", "md5", "cert", "passthrough", "reject"})
    on_page.erase(method);
  EXPECT_EQ(on_page, known_keys());
}

TEST(example_file, loads_with_the_rules_of_this_program) {
  load_options options = default_load_options();
  options.reads_files = false;
  const load_result result = load_text(read("config/example.yaml"), "/etc/tidegate", options);
  for (const problem& p : result.problems) ADD_FAILURE() << to_text("config/example.yaml", p);
  ASSERT_TRUE(result.value);
  EXPECT_EQ(result.value->listen.size(), 3u);
  EXPECT_EQ(result.value->auth.rules.size(), 4u);
  EXPECT_EQ(result.value->policies.policy.scopes.size(), 4u);
}

TEST(example_file, has_every_key_of_the_loader) {
  const std::string text = read("config/example.yaml");
  const std::set<std::string> known = known_keys();
  std::set<std::string> found;
  add_keys(parse_yaml(text).root, "", known, found);
  for (const std::string& key : known) {
    // of two keys that exclude each other one is in a comment
    const std::string last = key.substr(key.find_last_of('.') + 1) + ": ";
    EXPECT_TRUE(found.contains(key) || text.find("or " + last) != std::string::npos ||
                text.find("`" + last) != std::string::npos)
        << key;
  }
}

}  // namespace
}  // namespace tidegate::config
