#include "proxy/cli/migrations/sections.hpp"

#include "proxy/cli/migrations/marks.hpp"
#include "proxy/cli/sql_script.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace tidegate::cli::migrations {

namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view blanks = " \t\r\n\v\f";

direction direction_of(file_role role) {
  return role == file_role::down ? direction::down : direction::up;
}

bool is_comment_or_blank(std::string_view line) {
  const auto at = line.find_first_not_of(blanks);
  return at == npos || line.substr(at).starts_with("--");
}

migration undivided(std::string_view text, section only) {
  only.parts = {{0, text.size()}};
  migration made;
  made.sections.push_back(std::move(only));
  return made;
}

// The first words of a statement in upper case, comments left out.
std::vector<std::string> first_words(std::string_view sql) {
  std::vector<std::string> words;
  while (words.size() < 4) {
    sql.remove_prefix(std::min(sql.find_first_not_of(blanks), sql.size()));
    if (sql.starts_with("--")) {
      sql.remove_prefix(std::min(sql.find('\n'), sql.size()));
      continue;
    }
    if (sql.starts_with("/*")) {
      sql.remove_prefix(std::min(sql.find("*/", 2), sql.size() - 2) + 2);
      continue;
    }
    std::string word;
    while (word.size() < sql.size() && std::isalpha(static_cast<unsigned char>(sql[word.size()])) != 0)
      word += static_cast<char>(std::toupper(static_cast<unsigned char>(sql[word.size()])));
    if (word.empty()) break;
    sql.remove_prefix(word.size());
    words.push_back(std::move(word));
  }
  return words;
}

// The statements for which Flyway runs a script outside a transaction by itself. REINDEX INDEX or TABLE
// CONCURRENTLY is none of them.
bool leaves_transaction_in_flyway(std::string_view sql) {
  auto words = first_words(sql);
  words.resize(4);
  const auto is_one_of = [](const std::string& word, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  const std::string verb = words[0];
  if (verb == "VACUUM") return true;
  if (verb == "DISCARD") return words[1] == "ALL";
  if (verb == "ALTER") return words[1] == "SYSTEM";
  if (verb == "REINDEX")
    return is_one_of(words[words[1] == "VERBOSE" ? 2 : 1], {"SCHEMA", "DATABASE", "SYSTEM"});
  if (verb != "CREATE" && verb != "DROP") return false;
  if (is_one_of(words[1], {"DATABASE", "TABLESPACE", "SUBSCRIPTION"})) return true;
  const std::size_t at = words[1] == "UNIQUE" ? 2 : 1;
  return words[at] == "INDEX" && words[at + 1] == "CONCURRENTLY";
}

migration divide_flyway(std::string_view text, file_role role, std::optional<bool> executes_in_transaction) {
  section made;
  made.runs = direction_of(role);
  made.how = sending::by_statement;
  made.why =
      "Flyway runs the file in a transaction: executeInTransaction=false in its .conf runs it outside.";
  bool leaves = false;
  sql_script script(text);
  while (const auto piece = script.next(true)) leaves = leaves || leaves_transaction_in_flyway(piece->text);
  made.in_transaction = executes_in_transaction.value_or(!leaves);
  return undivided(text, std::move(made));
}

migration divide_dbmate(std::string_view text) {
  migration made;
  bool began = false;
  for (const auto& line : lines(text)) {
    const auto mark = dbmate_mark(line.text);
    if (!mark) {
      if (made.sections.empty() && !is_comment_or_blank(line.text) && !made.refused)
        made.refused = {line.begin, "dbmate takes no statement before -- migrate:up"};
      if (!made.sections.empty()) made.sections.back().parts[0].end = line.end;
      continue;
    }
    began = began || mark->runs == direction::up;
    section next;
    next.runs = mark->runs;
    next.in_transaction = mark->in_transaction;
    next.how = sending::as_one_message;
    next.parts = {{line.end, line.end}};
    next.why = mark->in_transaction
                   ? "dbmate runs the section in a transaction: transaction:false behind its mark runs it "
                     "outside, as one message."
                   : "dbmate sends the section as one message, which is one transaction.";
    made.sections.push_back(std::move(next));
  }
  if (!began && !made.refused) made.refused = {0, "dbmate finds no -- migrate:up in it"};
  return made;
}

// Follows goose's lines: a statement ends where a line ends with a semicolon, or at StatementEnd.
class goose_reader {
 public:
  explicit goose_reader(std::string_view text) : text_(text) {}

  migration read() {
    sections_[0].runs = direction::up;
    sections_[1].runs = direction::down;
    for (const auto& line : lines(text_)) {
      if (is_goose_mark(line.text))
        mark(line);
      else
        text_line_of(line);
    }
    if (!section_) refuse(0, "goose finds no -- +goose Up in it");
    if (in_block_) refuse(text_.size(), "goose misses -- +goose StatementEnd");
    end_section();
    migration made;
    for (auto& each : sections_) {
      each.in_transaction = in_transaction_;
      each.how = sending::as_one_message;
      each.why = in_transaction_
                     ? "goose runs the file in a transaction: -- +goose NO TRANSACTION runs it outside."
                     : "goose sends what stands between two ends of statements as one message, which is one "
                       "transaction.";
      made.sections.push_back(std::move(each));
    }
    made.refused = std::move(refused_);
    return made;
  }

 private:
  void refuse(std::size_t at, std::string what) {
    if (!refused_) refused_ = {at, std::move(what)};
  }

  void mark(const text_line& line) {
    const auto word = goose_word(line.text);
    if (word == "no transaction") {
      in_transaction_ = false;
    } else if (word == "up" || word == "down") {
      const bool is_up = word == "up";
      if (is_up ? section_ != nullptr : section_ != &sections_[0])
        refuse(line.begin, "goose takes one -- +goose Up and behind it one -- +goose Down");
      end_section();
      section_ = &sections_[is_up ? 0 : 1];
    } else if (word == "statementbegin") {
      if (!section_ || in_block_) refuse(line.begin, "goose does not take -- +goose StatementBegin here");
      in_block_ = true;
    } else if (word == "statementend") {
      if (!in_block_) refuse(line.begin, "goose does not take -- +goose StatementEnd here");
      in_block_ = false;
      end_statement();
    } else if (word != "envsub on" && word != "envsub off") {
      refuse(line.begin, "goose does not know this mark");
    }
  }

  void text_line_of(const text_line& line) {
    if (!begin_ && is_comment_or_blank(line.text)) return;
    if (!section_) return refuse(line.begin, "goose takes no statement before -- +goose Up");
    if (!begin_) begin_ = line.begin;
    end_ = line.end;
    if (!in_block_ && ends_statement(line.text)) end_statement();
  }

  // The last word before a comment ends with a semicolon.
  static bool ends_statement(std::string_view line) {
    char last = ' ';
    bool in_word = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const bool blank = blanks.find(line[i]) != npos;
      if (!blank && !in_word && line.substr(i, 2) == "--") break;
      if (!blank) last = line[i];
      in_word = !blank;
    }
    return last == ';';
  }

  void end_statement() {
    if (begin_ && section_) section_->parts.push_back({*begin_, end_});
    begin_.reset();
  }

  void end_section() {
    if (begin_ && !in_block_) refuse(*begin_, "goose misses the semicolon at the end of a line");
    end_statement();
  }

  std::string_view text_;
  std::array<section, 2> sections_;
  section* section_ = nullptr;  // the one being read
  bool in_transaction_ = true;
  bool in_block_ = false;
  std::optional<std::size_t> begin_;  // of the statement being read
  std::size_t end_ = 0;
  std::optional<migration::fault> refused_;
};

migration divide_node_pg_migrate(std::string_view text, file_role role) {
  section whole;
  whole.runs = direction_of(role);
  whole.in_transaction = true;
  whole.how = sending::as_one_message;
  whole.why =
      "node-pg-migrate runs SQL files in a transaction: a migration in JavaScript can leave it with "
      "pgm.noTransaction().";
  if (role != file_role::by_sections) return undivided(text, std::move(whole));
  std::optional<std::size_t> up;
  std::optional<std::size_t> down;
  for (const auto& line : lines(text)) {
    const auto mark = node_pg_migrate_mark(line.text);
    if (!mark) continue;
    auto& first = *mark == direction::up ? up : down;
    if (!first) first = line.begin;
  }
  const auto range = [&](std::optional<std::size_t> from, std::optional<std::size_t> other) {
    const std::size_t begin = from.value_or(0);
    return text_range{begin, from && other && *other > begin ? *other : text.size()};
  };
  // without its mark everything is up, what is behind the mark of down as well
  migration made;
  whole.parts = {range(up, down)};
  made.sections.push_back(whole);
  if (down) {
    whole.runs = direction::down;
    whole.parts = {range(down, up)};
    made.sections.push_back(std::move(whole));
  }
  return made;
}

migration divide_drizzle(std::string_view text) {
  section made;
  made.in_transaction = true;
  made.how = sending::as_one_message;
  made.why = "drizzle runs all pending migrations in one transaction, which none of them can leave.";
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(drizzle_breakpoint, begin), text.size());
    made.parts.push_back({begin, end});
    begin = end + drizzle_breakpoint.size();
  }
  migration whole;
  whole.sections.push_back(std::move(made));
  return whole;
}

migration divide_as_one_message(std::string_view text, file_role role, std::string_view why) {
  section made;
  made.runs = direction_of(role);
  made.how = sending::as_one_message;
  made.why = why;
  return undivided(text, std::move(made));
}

}  // namespace

migration divide(std::string_view text, layout tool, file_role role,
                 std::optional<bool> executes_in_transaction) {
  switch (tool) {
    case layout::flyway:
      return divide_flyway(text, role, executes_in_transaction);
    case layout::golang_migrate:
      return divide_as_one_message(text, role,
                                   "golang-migrate sends the file as one message, which is one transaction: "
                                   "give the statement a file of its own.");
    case layout::prisma:
      return divide_as_one_message(text, role,
                                   "Prisma sends the file as one message, which is one transaction: give the "
                                   "statement a migration of its own.");
    case layout::dbmate:
      return divide_dbmate(text);
    case layout::goose:
      return goose_reader(text).read();
    case layout::node_pg_migrate:
      return divide_node_pg_migrate(text, role);
    case layout::drizzle:
      return divide_drizzle(text);
    case layout::sql:
    case layout::sqitch:
      break;
  }
  return undivided(text, {.runs = direction_of(role)});
}

std::optional<bool> read_script_configuration(std::string_view text) {
  for (const auto& line : lines(text)) {
    const auto equals = line.text.find('=');
    if (equals == npos) continue;
    const auto trimmed = [](std::string_view part) {
      part.remove_prefix(std::min(part.find_first_not_of(blanks), part.size()));
      return part.substr(0, part.find_last_not_of(blanks) + 1);
    };
    const auto key = trimmed(line.text.substr(0, equals));
    if (key != "executeInTransaction" && key != "flyway.executeInTransaction") continue;
    return trimmed(line.text.substr(equals + 1)) != "false";
  }
  return std::nullopt;
}

}  // namespace tidegate::cli::migrations
