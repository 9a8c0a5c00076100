#include "proxy/core/shared_statements.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <utility>

namespace tidegate::core {
namespace {

// Servers move between workers, so names are unique in the process.
std::atomic<std::uint64_t> next_id{1};

// The server looks at so many bytes of a name (NAMEDATALEN - 1).
constexpr std::size_t significant_bytes = 63;
std::string_view key_of(std::string_view name) {
  return name.substr(0, significant_bytes);
}

std::string_view text_of_body(const std::vector<std::byte>& body) {
  const char* begin = reinterpret_cast<const char*>(body.data());
  return {begin, ::strnlen(begin, body.size())};
}

}  // namespace

shared_statement_ptr statement_registry::intern(std::string_view meaning, std::span<const std::byte> body,
                                                sql::session_effects effects) {
  std::string key;
  key.reserve(meaning.size() + 1 + body.size());
  key.append(meaning).push_back('\0');
  key.append(std::to_string(effects.bits())).push_back('\0');
  key.append(reinterpret_cast<const char*>(body.data()), body.size());
  shard& in = shards_[std::hash<std::string>{}(key) % shard_count];
  const std::lock_guard lock(in.guard);
  std::weak_ptr<const shared_statement>& slot = in.by_key[key];
  if (auto known = slot.lock()) return known;
  auto made = std::make_shared<shared_statement>();
  made->id = next_id.fetch_add(1, std::memory_order_relaxed);
  made->name = std::string(shared_name_prefix) + std::to_string(made->id);
  made->body.assign(body.begin(), body.end());
  made->effects = effects;
  slot = made;
  if (in.by_key.size() >= in.sweep_at) {
    std::erase_if(in.by_key, [](const auto& entry) { return entry.second.expired(); });
    in.sweep_at = std::max<std::size_t>(64, in.by_key.size() * 2);
  }
  return made;
}

std::vector<statement_registry::statement_row> statement_registry::rows() const {
  std::vector<statement_row> out;
  for (const shard& in : shards_) {
    const std::lock_guard lock(in.guard);
    for (const auto& [key, weak] : in.by_key) {
      const auto statement = weak.lock();
      if (!statement) continue;
      out.push_back({statement->name, std::string(text_of_body(statement->body)), statement.use_count() - 1});
    }
  }
  return out;
}

// ---- on a server ----

bool server_statements::has(const shared_statement& statement, std::uint64_t batch) const {
  for (auto each = pending_.rbegin(); each != pending_.rend(); ++each) {
    if (each->statement->id == statement.id) return each->batch == batch;
  }
  return by_id_.contains(statement.id);
}

bool server_statements::in_doubt(const shared_statement& statement, std::uint64_t batch) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const pending& each) {
    return each.statement->id == statement.id && each.batch != batch;
  });
}

void server_statements::used(const shared_statement& statement, std::uint64_t batch) {
  const auto found = by_id_.find(statement.id);
  if (found == by_id_.end()) return;
  found->second->batch = batch;
  if (found->second != by_use_.begin()) by_use_.splice(by_use_.begin(), by_use_, found->second);
}

void server_statements::parse_sent(std::uint64_t number, std::uint64_t batch,
                                   shared_statement_ptr statement) {
  // Until it is confirmed there is none: one of the same name was closed just before.
  if (const auto found = by_id_.find(statement->id); found != by_id_.end()) {
    by_use_.erase(found->second);
    by_id_.erase(found);
  }
  pending_.push_back({number, batch, std::move(statement)});
}

shared_statement_ptr server_statements::evict(std::size_t most, std::uint64_t batch) {
  if (by_id_.size() + pending_.size() < most || by_use_.empty() || by_use_.back().batch == batch)
    return nullptr;
  auto gone = std::move(by_use_.back().statement);
  by_id_.erase(gone->id);
  by_use_.pop_back();
  return gone;
}

void server_statements::confirmed(std::uint64_t number) {
  abandoned_before(number);
  if (pending_.empty() || pending_.front().number != number) return;
  by_use_.push_front({std::move(pending_.front().statement), pending_.front().batch});
  by_id_[by_use_.front().statement->id] = by_use_.begin();
  pending_.pop_front();
}

void server_statements::abandoned_before(std::uint64_t number) {
  while (!pending_.empty() && pending_.front().number < number) pending_.pop_front();
}

void server_statements::keep_only(const std::vector<std::string>& names) {
  for (auto each = by_use_.begin(); each != by_use_.end();) {
    if (std::find(names.begin(), names.end(), each->statement->name) != names.end()) {
      ++each;
      continue;
    }
    by_id_.erase(each->statement->id);
    each = by_use_.erase(each);
  }
}

void server_statements::forget_all() {
  by_use_.clear();
  by_id_.clear();
}

std::vector<std::string> server_statements::names() const {
  std::vector<std::string> out;
  for (const entry& each : by_use_) out.push_back(each.statement->name);
  return out;
}

// ---- of a client ----

client_statements::lookup client_statements::find(std::string_view name) const {
  const std::string_view key = key_of(name);
  for (auto each = pending_.rbegin(); each != pending_.rend(); ++each) {
    if ((each->kind != effect_kind::parse && each->kind != effect_kind::close) || each->name != key) continue;
    if (each->batch != batch_) return {answer::in_doubt, nullptr};
    if (each->kind == effect_kind::close) return {};
    return {answer::found, each->statement};
  }
  const auto found = named_.find(key);
  if (found == named_.end()) return {};
  return {answer::found, found->second.statement};
}

client_statements::answer client_statements::find_unnamed() const {
  for (auto each = pending_.rbegin(); each != pending_.rend(); ++each) {
    const bool concerns = each->kind == effect_kind::parse_unnamed || each->kind == effect_kind::query ||
                          (each->kind == effect_kind::close && each->name.empty());
    if (!concerns) continue;
    if (each->batch != batch_) return answer::in_doubt;
    return each->kind == effect_kind::parse_unnamed ? answer::found : answer::none;
  }
  return has_unnamed_ ? answer::found : answer::none;
}

std::span<const std::byte> client_statements::unnamed_body() const {
  for (auto each = pending_.rbegin(); each != pending_.rend(); ++each) {
    if (each->kind == effect_kind::parse_unnamed) return each->body;
  }
  return unnamed_;
}

sql::session_effects client_statements::unnamed_effects() const {
  for (auto each = pending_.rbegin(); each != pending_.rend(); ++each) {
    if (each->kind == effect_kind::parse_unnamed) return each->effects;
  }
  return unnamed_effects_;
}

void client_statements::parse_sent(std::uint64_t number, std::string_view name,
                                   shared_statement_ptr statement) {
  effect e;
  e.number = number;
  e.batch = batch_;
  e.kind = effect_kind::parse;
  e.name = key_of(name);
  e.statement = std::move(statement);
  pending_.push_back(std::move(e));
}

void client_statements::unnamed_sent(std::uint64_t number, std::span<const std::byte> body,
                                     sql::session_effects effects) {
  effect e;
  e.number = number;
  e.batch = batch_;
  e.kind = effect_kind::parse_unnamed;
  e.effects = effects;
  e.body = std::exchange(spare_, {});
  e.body.assign(body.begin(), body.end());
  pending_.push_back(std::move(e));
}

void client_statements::close_sent(std::uint64_t number, std::string_view name) {
  effect e;
  e.number = number;
  e.batch = batch_;
  e.kind = effect_kind::close;
  e.name = key_of(name);
  pending_.push_back(std::move(e));
}

// A simple query ends the batch before it.
void client_statements::query_sent(std::uint64_t number) {
  ++batch_;
  if (!has_unnamed_ && pending_.empty()) return;
  effect e;
  e.number = number;
  e.batch = batch_;
  e.kind = effect_kind::query;
  pending_.push_back(std::move(e));
}

bool client_statements::confirmed(std::uint64_t number) {
  abandoned_before(number);
  if (pending_.empty() || pending_.front().number != number) return false;
  const bool unnamed = pending_.front().kind == effect_kind::parse_unnamed;
  apply(pending_.front());
  pending_.erase(pending_.begin());
  return unnamed;
}

// A Parse of the unnamed statement that fails has dropped the one before.
void client_statements::failed(std::uint64_t number) {
  if (!pending_.empty() && pending_.front().number == number &&
      pending_.front().kind == effect_kind::parse_unnamed)
    has_unnamed_ = false;
}

bool client_statements::waits_unnamed() const {
  return std::any_of(pending_.begin(), pending_.end(), [this](const effect& e) {
    return e.kind == effect_kind::parse_unnamed && e.batch == batch_;
  });
}

void client_statements::abandoned_before(std::uint64_t number) {
  while (!pending_.empty() && pending_.front().number < number) {
    // A Query drops the unnamed statement before anything in it can fail.
    if (pending_.front().kind == effect_kind::query) apply(pending_.front());
    pending_.erase(pending_.begin());
  }
}

void client_statements::apply(effect& e) {
  switch (e.kind) {
    case effect_kind::parse:
      named_.insert_or_assign(std::move(e.name), named_statement{std::move(e.statement), next_order_++});
      break;
    case effect_kind::parse_unnamed:
      unnamed_.swap(e.body);
      spare_ = std::move(e.body);
      unnamed_effects_ = e.effects;
      has_unnamed_ = true;
      break;
    case effect_kind::close:
      if (e.name.empty())
        has_unnamed_ = false;
      else if (const auto found = named_.find(e.name); found != named_.end())
        named_.erase(found);
      break;
    case effect_kind::query:
      has_unnamed_ = false;
      break;
  }
}

std::vector<std::pair<std::string_view, shared_statement_ptr>> client_statements::named() const {
  std::vector<const decltype(named_)::value_type*> all;
  all.reserve(named_.size());
  for (const auto& each : named_) all.push_back(&each);
  std::sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->second.order < b->second.order; });
  std::vector<std::pair<std::string_view, shared_statement_ptr>> out;
  out.reserve(all.size());
  for (const auto* each : all) out.emplace_back(each->first, each->second.statement);
  return out;
}

}  // namespace tidegate::core
