#include "config/yaml_tree.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace tidegate::config {
namespace {

file_position position_of(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

// Builds the tree from the parser's events, and notes what it does not take.
class tree_builder final : public YAML::EventHandler {
 public:
  yaml_document document;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      throw problem{position_of(mark), "a second document begins here", "keep one per file"};
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    note(mark, "anchors (&name) are not taken", "write the value out");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    note(mark, "aliases (*name) are not taken", "write the value out");
    place(mark, yaml_node::node_kind::null, {});
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    place(mark, yaml_node::node_kind::null, {});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    refuse_tag(mark, tag);
    place(mark, yaml_node::node_kind::scalar, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open_.push_back({place(mark, yaml_node::node_kind::sequence, {})});
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open_.push_back({place(mark, yaml_node::node_kind::mapping, {})});
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  // A collection that is being filled. Its address holds while it is open: only its innermost child grows.
  struct open_node {
    yaml_node* node;
    bool has_key = false;  // a mapping whose last member still lacks its value
  };

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      note(mark, "tags (!name) are not taken", "leave the tag out");
    }
  }

  void note(const YAML::Mark& mark, std::string what, std::string instead) {
    document.problems.push_back({position_of(mark), std::move(what), std::move(instead)});
  }

  yaml_node* place(const YAML::Mark& mark, yaml_node::node_kind kind, const std::string& scalar) {
    if (++values_ > max_config_values) {
      throw problem{position_of(mark), "more than " + std::to_string(max_config_values) + " values",
                    "split the file"};
    }
    yaml_node made;
    made.kind = kind;
    made.at = position_of(mark);
    made.scalar = scalar;
    if (open_.empty()) {
      document.root = std::move(made);
      return &document.root;
    }
    open_node& parent = open_.back();
    if (parent.node->kind == yaml_node::node_kind::sequence)
      return &parent.node->items.emplace_back(std::move(made));
    if (parent.has_key) {
      parent.has_key = false;
      parent.node->members.back().value = std::move(made);
      return &parent.node->members.back().value;
    }
    parent.has_key = true;
    if (kind != yaml_node::node_kind::scalar) note(mark, "a key must be a word", "write key: value");
    return place_key(mark, *parent.node, std::move(made));
  }

  // A key that cannot stay becomes that of a member which nobody will see: its value still has to go
  // somewhere.
  yaml_node* place_key(const YAML::Mark& mark, yaml_node& mapping, yaml_node key) {
    const auto same = std::ranges::find(mapping.members, key.scalar, &yaml_member::key);
    if (same != mapping.members.end()) {
      note(mark, "the key \"" + key.scalar + "\" is here twice",
           "it is also in line " + std::to_string(same->at.line) + ": keep one");
    }
    mapping.members.push_back({key.scalar, key.at, {}});
    return &mapping.members.back().value;
  }

  std::vector<open_node> open_;
  int documents_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

yaml_document parse_yaml(std::string_view text) {
  tree_builder builder;
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
    builder.document.is_complete = true;
  } catch (const problem& refused) {
    builder.document.problems = {refused};
  } catch (const YAML::DeepRecursion& deep) {
    builder.document.problems = {{position_of(deep.mark), "nested too deeply", {}}};
  } catch (const YAML::Exception& broken) {
    // what was noted before may be a consequence of how the parser misread the text
    builder.document.problems = {{position_of(broken.mark), "not YAML: " + broken.msg, {}}};
  }
  return std::move(builder.document);
}

}  // namespace tidegate::config
