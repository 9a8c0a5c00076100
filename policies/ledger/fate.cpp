#include "policies/ledger/fate.hpp"

#include <cstddef>
#include <iterator>
#include <string>
#include <utility>

namespace tidegate::policies {

std::vector<fate> fates_of(const std::vector<sql::statement>& message) {
  std::vector<fate> fates(message.size(), fate::open);
  std::vector<std::pair<std::string, std::size_t>> savepoints;
  std::size_t begin = 0;  // of the transaction at hand
  const auto end = [&](std::size_t from, std::size_t to, fate how) {
    for (std::size_t i = from; i < to; ++i)
      if (fates[i] == fate::open) fates[i] = how;
  };
  for (std::size_t i = 0; i < message.size(); ++i) {
    const auto* control = message[i].as<sql::transaction>();
    if (control == nullptr) continue;
    switch (control->action) {
      case sql::transaction_action::commit:
      case sql::transaction_action::rollback:
      case sql::transaction_action::prepare:
        end(begin, i,
            control->action == sql::transaction_action::commit     ? fate::committed
            : control->action == sql::transaction_action::rollback ? fate::undone
                                                                   : fate::prepared);
        begin = i;
        savepoints.clear();
        break;
      case sql::transaction_action::savepoint:
        savepoints.emplace_back(control->name, i);
        break;
      case sql::transaction_action::rollback_to: {
        std::size_t from = begin;
        for (auto it = savepoints.rbegin(); it != savepoints.rend(); ++it) {
          if (it->first != control->name) continue;
          from = it->second;
          savepoints.erase(it.base(), savepoints.end());  // those behind it
          break;
        }
        end(from, i, fate::undone);
        break;
      }
      default:
        break;
    }
  }
  return fates;
}

}  // namespace tidegate::policies
