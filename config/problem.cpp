#include "config/problem.hpp"

namespace tidegate::config {

std::string to_text(std::string_view file, const problem& p) {
  std::string text(file);
  if (p.at.line > 0) text += ':' + std::to_string(p.at.line) + ':' + std::to_string(p.at.column);
  text += ": " + p.what;
  if (!p.instead.empty()) text += "; " + p.instead;
  return text;
}

}  // namespace tidegate::config
