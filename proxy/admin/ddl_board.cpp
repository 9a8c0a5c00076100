#include "proxy/admin/ddl_board.hpp"

#include <utility>

namespace tidegate::admin {

ddl_board::place::place(ddl_board& board, ddl_row row) : board_(board) {
  const std::lock_guard lock(board_.mutex_);
  number_ = board_.next_++;
  board_.rows_.emplace(number_, std::move(row));
}

ddl_board::place::~place() {
  const std::lock_guard lock(board_.mutex_);
  board_.rows_.erase(number_);
}

void ddl_board::place::step(std::string what, unsigned attempts) {
  const std::lock_guard lock(board_.mutex_);
  ddl_row& row = board_.rows_.at(number_);
  row.step = std::move(what);
  row.attempts = attempts;
}

void ddl_board::place::blockers(std::string text) {
  const std::lock_guard lock(board_.mutex_);
  board_.rows_.at(number_).blockers = std::move(text);
}

std::vector<ddl_row> ddl_board::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ddl_row> out;
  for (const auto& [number, row] : rows_) out.push_back(row);
  return out;
}

}  // namespace tidegate::admin
