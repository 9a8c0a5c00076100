#include "proxy/core/prepared_statements.hpp"

#include "proxy/core/message_fields.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::core {
namespace {

constexpr std::size_t largest_kept_bind = 64 * 1024;
constexpr std::size_t entry_overhead = 128;

std::string key_of(std::string_view name) {
  return std::string(server_name(name));
}

}  // namespace

void prepared_statements::parse_sent(std::uint64_t number, std::string_view name, suspect statement) {
  effect e{.number = number, .batch = batch_, .kind = effect_kind::parse, .name = key_of(name)};
  if (statement) bytes_ += statement->text.size() + entry_overhead;
  e.text = std::move(statement);
  pending_.push_back(std::move(e));
}

void prepared_statements::bind_sent(std::uint64_t number, std::string_view portal, std::string_view statement,
                                    std::span<const std::byte> message) {
  effect e{.number = number,
           .batch = batch_,
           .kind = effect_kind::bind,
           .name = key_of(portal),
           .statement = key_of(statement)};
  if (message.size() <= largest_kept_bind) e.bind.assign(message.begin(), message.end());
  bytes_ += e.bind.size();
  pending_.push_back(std::move(e));
}

void prepared_statements::close_sent(std::uint64_t number, char kind, std::string_view name) {
  pending_.push_back({.number = number,
                      .batch = batch_,
                      .kind = kind == 'S' ? effect_kind::close_statement : effect_kind::close_portal,
                      .name = key_of(name)});
}

void prepared_statements::query_sent(std::uint64_t number) {
  pending_.push_back({.number = number, .batch = batch_, .kind = effect_kind::query});
}

void prepared_statements::confirmed(std::uint64_t number) {
  abandoned_before(number);
  if (pending_.empty() || pending_.front().number != number) return;
  apply(pending_.front());
  pending_.pop_front();
}

void prepared_statements::abandoned_before(std::uint64_t number) {
  while (!pending_.empty() && pending_.front().number < number) {
    const effect& never = pending_.front();
    if (never.text) bytes_ -= never.text->text.size() + entry_overhead;
    bytes_ -= never.bind.size();
    pending_.pop_front();
  }
}

void prepared_statements::transaction_ended(std::uint64_t number) {
  std::erase_if(portals_, [this, number](const auto& entry) {
    const bool gone = entry.second.number < number;
    if (gone) bytes_ -= entry.second.portal.bind.size();
    return gone;
  });
}

void prepared_statements::apply(effect& e) {
  switch (e.kind) {
    case effect_kind::parse:
      forget_statement(e.name);
      if (e.text) statements_.emplace(std::move(e.name), std::move(e.text));
      break;
    case effect_kind::bind: {
      forget_portal(e.name);
      if (auto found = statements_.find(e.statement); found != statements_.end()) {
        portals_.emplace(std::move(e.name), placed_portal{{found->second, std::move(e.bind)}, e.number});
      } else {
        bytes_ -= e.bind.size();
      }
      break;
    }
    case effect_kind::close_statement:
      forget_statement(e.name);
      break;
    case effect_kind::close_portal:
      forget_portal(e.name);
      break;
    case effect_kind::query:
      forget_statement({});
      break;
  }
}

void prepared_statements::forget_statement(const std::string& name) {
  if (auto found = statements_.find(name); found != statements_.end()) {
    bytes_ -= found->second->text.size() + entry_overhead;
    statements_.erase(found);
  }
}

void prepared_statements::forget_portal(const std::string& name) {
  if (auto found = portals_.find(name); found != portals_.end()) {
    bytes_ -= found->second.portal.bind.size();
    portals_.erase(found);
  }
}

// Assuming success is exact inside one batch, since a failure there skips the Execute as well. Across a Sync
// it is not.
bool prepared_statements::may_be_suspect(std::string_view name) const {
  const std::string_view portal = server_name(name);
  for (auto bind = pending_.rbegin(); bind != pending_.rend(); ++bind) {
    if (bind->kind != effect_kind::bind || bind->name != portal) continue;
    if (bind->batch != batch_) return true;
    for (auto parse = std::next(bind); parse != pending_.rend(); ++parse) {
      if (parse->kind == effect_kind::query && bind->statement.empty()) return true;
      if (parse->kind != effect_kind::parse || parse->name != bind->statement) continue;
      return parse->text != nullptr || parse->batch != bind->batch;
    }
    return statements_.contains(bind->statement);
  }
  return portals_.contains(portal);
}

const suspect_portal* prepared_statements::portal(std::string_view name) const {
  const auto found = portals_.find(server_name(name));
  return found == portals_.end() ? nullptr : &found->second.portal;
}

suspect prepared_statements::statement(std::string_view name) const {
  const auto found = statements_.find(server_name(name));
  return found == statements_.end() ? nullptr : found->second;
}

std::vector<suspect> prepared_statements::of_named_portals() const {
  std::vector<suspect> all;
  for (const auto& [name, placed] : portals_) {
    if (!name.empty()) all.push_back(placed.portal.statement);
  }
  return all;
}

bool prepared_statements::has_named_statements() const {
  for (const auto& e : pending_) {
    if (e.text && !e.name.empty()) return true;
  }
  return !statements_.empty() && (statements_.size() > 1 || !statements_.begin()->first.empty());
}

bool prepared_statements::has_named_portals() const {
  const auto is_named = [](const effect& e) { return e.kind == effect_kind::bind && !e.name.empty(); };
  return std::any_of(pending_.begin(), pending_.end(), is_named) ||
         (!portals_.empty() && (portals_.size() > 1 || !portals_.begin()->first.empty()));
}

bool prepared_statements::may_be_named(std::string_view name) const {
  const std::string key = key_of(name);
  const auto is_it = [&key](const effect& e) {
    return e.kind == effect_kind::parse && e.text != nullptr && e.name == key;
  };
  return statements_.contains(key) || std::any_of(pending_.begin(), pending_.end(), is_it);
}

void prepared_statements::prepared_in_sql(std::string_view name, suspect statement) {
  const std::string key = key_of(name);
  forget_statement(key);
  bytes_ += statement->text.size() + entry_overhead;
  statements_.emplace(key, std::move(statement));
}

}  // namespace tidegate::core
