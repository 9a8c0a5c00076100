#include "policies/sql/parse.hpp"

#include "policies/sql/conversion.hpp"
#include "policies/sql/json_tree.hpp"
#include "policies/sql/nested.hpp"
#include "policies/sql/newer_syntax.hpp"
#include "policies/sql/normalise.hpp"
#include "policies/sql/prefilter.hpp"
#include "policies/sql/token_list.hpp"

#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

#include <pg_query.h>

// The library's own variable, thread-local like all its state: memory contexts are made and freed within each
// call, so threads may parse at the same time. It is not in the library's header; check_parser() sees to it
// that it still does what we need.
extern "C" {
extern __thread bool standard_conforming_strings;
}

namespace tidegate::sql {

// Measured; parse.hpp says how they hang together.
const std::size_t parse_limit_bytes = std::size_t{1} << 20;
const std::size_t parse_stack_bytes = std::size_t{256} << 20;

namespace {

struct tree_text {
  std::string json;
  std::optional<parse_error> error;
};

struct result_deleter {
  void operator()(PgQueryParseResult* result) const { pg_query_free_parse_result(*result); }
};

// The library's only call. Positions in the error are offsets in `text`.
tree_text parse_tree(const std::string& text, bool conforming_strings) {
  standard_conforming_strings = conforming_strings;
  PgQueryParseResult result = pg_query_parse(text.c_str());
  const std::unique_ptr<PgQueryParseResult, result_deleter> owner(&result);
  if (result.error == nullptr) return {result.parse_tree, std::nullopt};
  parse_error error;
  error.message = result.error->message;
  error.at = result.error->cursorpos - 1;
  return {{}, std::move(error)};
}

parsed failed(parse_failure failure, std::string message, position at = -1) {
  parsed result;
  result.error = parse_error{failure, std::move(message), at};
  return result;
}

class text_parser {
 public:
  text_parser(std::string_view text, const parse_options& options, int nesting)
      : text_(text), options_(options), nesting_(nesting) {}

  parsed run();

 private:
  bool escapes() const { return !options_.standard_conforming_strings; }
  // Adds the statements of a stretch to `out`; an error otherwise.
  std::optional<parse_error> read(text_range range, std::vector<statement>& out);
  std::optional<parse_error> read_as(const std::string& text, text_range range,
                                     const std::vector<adaptation>& adaptations, std::vector<statement>& out);
  std::vector<text_range> split() const;

  std::string_view text_;
  const parse_options& options_;
  int nesting_;
};

std::optional<parse_error> text_parser::read_as(const std::string& text, text_range range,
                                                const std::vector<adaptation>& adaptations,
                                                std::vector<statement>& out) {
  tree_text parsed_text = parse_tree(text, options_.standard_conforming_strings);
  if (parsed_text.error) {
    if (parsed_text.error->at >= 0) parsed_text.error->at += range.begin;
    return std::move(parsed_text.error);
  }
  const json_tree tree(parsed_text.json);
  for (const tree_node item : tree.root()["stmts"]) {
    const auto begin = static_cast<position>(item["stmt_location"].integer() + range.begin);
    const auto size = static_cast<position>(item["stmt_len"].integer());
    const text_range place{begin, size == 0 ? range.end : begin + size};
    const token_list tokens(text_, place, escapes());
    const conversion c{tokens, range.begin, adaptations, options_, nesting_};
    out.push_back(convert_statement(c, item["stmt"]));
    out.back().range = c.shown(tokens.range(0, tokens.size()));
  }
  return std::nullopt;
}

std::optional<parse_error> text_parser::read(text_range range, std::vector<statement>& out) {
  const std::string_view part =
      text_.substr(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.end - range.begin));
  if (part.size() > options_.limit_bytes)
    return parse_error{parse_failure::too_long, "the statement is too long to be parsed", range.begin};
  std::optional<parse_error> error = read_as(std::string(part), range, {}, out);
  if (!error) return error;
  adapted_text newer = adapt_newer_syntax(part, escapes());
  if (newer.adaptations.empty()) return error;
  for (adaptation& change : newer.adaptations) change.at += range.begin;
  return read_as(newer.text, range, newer.adaptations, out) ? error : std::nullopt;
}

// At the semicolons between statements. Where a semicolon may stand inside one (CREATE RULE … DO (a; b),
// BEGIN ATOMIC … END) the text stays whole.
std::vector<text_range> text_parser::split() const {
  const text_range all{0, static_cast<position>(text_.size())};
  std::vector<text_range> ranges;
  lexer words(text_, escapes());
  position begin = 0;
  int depth = 0;
  for (token t = words.next(); t.kind != token_kind::end; t = words.next()) {
    const std::string_view spelling = text_.substr(t.begin, t.size());
    if (t.kind == token_kind::odd || (t.kind == token_kind::word && equals_folded(spelling, "atomic")))
      return {all};
    if (t.kind != token_kind::punctuation) continue;
    if (spelling == "(") ++depth;
    if (spelling == ")" && --depth < 0) return {all};
    if (spelling == ";" && depth == 0) {
      ranges.push_back({begin, static_cast<position>(t.begin)});
      begin = static_cast<position>(t.end);
    }
  }
  ranges.push_back({begin, all.end});
  return ranges;
}

parsed text_parser::run() {
  parsed result;
  const text_range all{0, static_cast<position>(text_.size())};
  std::optional<parse_error> error;
  if (text_.size() <= options_.limit_bytes) {
    error = read(all, result.statements);
    if (!error) return result;
    result.statements.clear();
  }
  // Too long as a whole, or newer than the parser in some place: statement by statement.
  for (const text_range range : split()) {
    const std::size_t before = result.statements.size();
    std::optional<parse_error> own_error = read(range, result.statements);
    if (!own_error) continue;
    result.statements.resize(before);
    const token_list tokens(text_, range, escapes());
    const std::string_view part = text_.substr(static_cast<std::size_t>(range.begin),
                                               static_cast<std::size_t>(range.end - range.begin));
    if (tokens.empty() ||
        classify(part, {options_.standard_conforming_strings, true}) != suspicion::harmless) {
      result.statements.clear();
      result.error = error ? std::move(error) : std::move(own_error);
      return result;
    }
    // Certainly no DDL, whatever it says.
    statement unread;
    unread.tag = command_word(part);
    unread.node = other_statement{.node = "Unparsed", .name = {}, .relations = {}};
    unread.range = nesting_ == 0 ? tokens.range(0, tokens.size()) : text_range{-1, -1};
    result.statements.push_back(std::move(unread));
  }
  return result;
}

}  // namespace

parsed parse_nested(std::string_view text, const parse_options& options, int nesting) {
  if (nesting >= deepest_nesting) return failed(parse_failure::too_long, "nested too deeply");
  if (const std::size_t end = text.find('\0'); end != std::string_view::npos) text = text.substr(0, end);
  if (text.size() > static_cast<std::size_t>(INT32_MAX))
    return failed(parse_failure::too_long, "the text is too long");
  return text_parser(text, options, nesting + 1).run();
}

parsed parse(std::string_view text, const parse_options& options) {
  try {
    return parse_nested(text, options, -1);
  } catch (const std::exception& error) {
    return failed(parse_failure::internal, error.what());
  }
}

namespace {

// Reads a lone expression, spelled by the tokens from `first` on.
template <class Read>
auto read_lone_expression(std::string_view text, Read read_node)
    -> std::optional<decltype(read_node(std::declval<const conversion&>(), tree_node{}, std::size_t{}))> {
  constexpr std::string_view prefix = "SELECT ";
  const std::string sql = std::string(prefix) + std::string(text);
  if (sql.size() > parse_limit_bytes || sql.find('\0') != std::string::npos) return std::nullopt;
  const tree_text read = parse_tree(sql, true);
  if (read.error) return std::nullopt;
  const json_tree tree(read.json);
  const tree_node statements = tree.root()["stmts"];
  const tree_node targets = statements.first()["stmt"].as("SelectStmt")["targetList"];
  if (statements.size() != 1 || targets.size() != 1) return std::nullopt;
  const token_list tokens(sql, {0, static_cast<position>(sql.size())}, false);
  const parse_options options;
  const std::vector<adaptation> none;
  const conversion c{tokens, 0, none, options, 1};
  return read_node(c, targets.first().as("ResTarget")["val"], std::size_t{1});
}

}  // namespace

std::optional<expression> parse_expression(std::string_view text) {
  return read_lone_expression(text, [](const conversion& c, tree_node node, std::size_t first) {
    return read_expression(c, node, first, c.tokens.size());
  });
}

std::optional<predicate> parse_predicate(std::string_view text) {
  return read_lone_expression(
      text, [](const conversion& c, tree_node node, std::size_t) { return read_predicate(c, node); });
}

std::optional<partition_bound> parse_partition_bound(std::string_view text) {
  const parsed read = parse("ALTER TABLE t ATTACH PARTITION p " + std::string(text));
  if (!read.ok() || read.statements.size() != 1) return std::nullopt;
  const auto* alter = read.statements.front().as<alter_table>();
  return alter && alter->commands.size() == 1 ? alter->commands.front().bound : std::nullopt;
}

void check_parser() {
  // With the setting on, the backslash is plain and the second statement runs; with it off, the quote is
  // escaped and everything is one string.
  constexpr std::string_view probe = R"(SELECT 'x\'; SELECT '2')";
  const parsed on = parse(probe, {.standard_conforming_strings = true});
  const parsed off = parse(R"(SELECT 'x\'; SELECT 2; --')", {.standard_conforming_strings = false});
  if (!on.ok() || on.statements.size() != 2 || !off.ok() || off.statements.size() != 1)
    throw std::runtime_error("libpg_query does not honour standard_conforming_strings");
}

}  // namespace tidegate::sql
