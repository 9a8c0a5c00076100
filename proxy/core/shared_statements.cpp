#include "proxy/core/shared_statements.hpp"

#include "proxy/core/message_fields.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <utility>

namespace tidegate::core {
namespace {

// Servers move between workers, so names are unique in the process.
std::atomic<std::uint64_t> next_id{1};

// So much is kept between two Parses of the unnamed statement.
constexpr std::size_t largest_spare = 16 * 1024;

// Of a client's name, about; the text is counted in full, though others may have it too.
constexpr std::size_t name_overhead = 160;
std::size_t cost_of(std::string_view name, const shared_statement& statement) {
  return name.size() + statement.body.size() + name_overhead;
}

std::string_view text_of_body(const std::vector<std::byte>& body) {
  const char* begin = reinterpret_cast<const char*>(body.data());
  return {begin, ::strnlen(begin, body.size())};
}

}  // namespace

shared_statement_ptr statement_registry::intern(std::string_view meaning, const core::reading& reading,
                                                std::span<const std::byte> body,
                                                sql::session_effects effects) {
  const std::hash<std::string_view> hash_of;
  const std::string_view bytes(reinterpret_cast<const char*>(body.data()), body.size());
  const std::size_t hash = hash_of(bytes) ^ (hash_of(meaning) * 31 + effects.bits());
  shard& in = shards_[hash % shard_count];
  const std::lock_guard lock(in.guard);
  const auto [begin, end] = in.by_hash.equal_range(hash);
  for (auto each = begin; each != end; ++each) {
    auto known = each->second.lock();
    if (known && known->meaning == meaning && known->effects == effects &&
        std::equal(known->body.begin(), known->body.end(), body.begin(), body.end()))
      return known;
  }
  auto made = std::make_shared<shared_statement>();
  made->id = next_id.fetch_add(1, std::memory_order_relaxed);
  made->name = std::string(shared_name_prefix) + std::to_string(made->id);
  made->meaning = meaning;
  made->body.assign(body.begin(), body.end());
  if (!is_plain(text_of_body(made->body))) made->reading = reading;
  made->effects = effects;
  in.by_hash.emplace(hash, made);
  if (in.by_hash.size() >= in.sweep_at) {
    std::erase_if(in.by_hash, [](const auto& entry) { return entry.second.expired(); });
    in.sweep_at = std::max<std::size_t>(64, in.by_hash.size() * 2);
  }
  return made;
}

std::vector<statement_registry::statement_row> statement_registry::rows() const {
  std::vector<statement_row> out;
  for (const shard& in : shards_) {
    const std::lock_guard lock(in.guard);
    for (const auto& [hash, weak] : in.by_hash) {
      const auto statement = weak.lock();
      if (!statement) continue;
      out.push_back({statement->name, std::string(text_of_body(statement->body)), statement.use_count() - 1});
    }
  }
  return out;
}

// ---- on a server ----

bool server_statements::use(const shared_statement& statement, std::uint64_t batch) {
  if (!latest_.empty()) {
    if (const auto sent = latest_.find(statement.id); sent != latest_.end())
      return sent->second->batch == batch;
  }
  if (!by_use_.empty() && by_use_.front().statement.get() == &statement) return true;
  const auto found = by_id_.find(statement.id);
  if (found == by_id_.end()) return false;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return true;
}

void server_statements::parse_sent(std::uint64_t number, std::uint64_t batch,
                                   shared_statement_ptr statement) {
  // Until it is confirmed there is none: one of the same name was closed just before.
  if (const auto found = by_id_.find(statement->id); found != by_id_.end()) {
    bytes_ -= statement->body.size();
    by_use_.erase(found->second);
    by_id_.erase(found);
  }
  bytes_ += statement->body.size();
  pending& added = pending_.emplace_back(pending{number, batch, std::move(statement)});
  latest_[added.statement->id] = &added;
}

void server_statements::prepared(shared_statement_ptr statement, result_shape shape) {
  if (const auto earlier = by_id_.find(statement->id); earlier != by_id_.end()) {
    bytes_ -= statement->body.size();
    by_use_.erase(earlier->second);
  }
  bytes_ += statement->body.size();
  const std::uint64_t id = statement->id;
  by_use_.push_front({std::move(statement), shape});
  by_id_[id] = by_use_.begin();
}

std::optional<result_shape> server_statements::shape(const shared_statement& statement) const {
  const auto found = by_id_.find(statement.id);
  return found == by_id_.end() ? std::nullopt : found->second->shape;
}

void server_statements::described(const shared_statement& statement, result_shape shape) {
  if (const auto found = by_id_.find(statement.id); found != by_id_.end()) found->second->shape = shape;
}

shared_statement_ptr server_statements::evict(std::size_t most, std::size_t most_bytes) {
  const bool is_full = by_id_.size() + pending_.size() >= most || bytes_ >= most_bytes;
  if (!is_full || by_use_.empty()) return nullptr;
  auto gone = std::move(by_use_.back().statement);
  bytes_ -= gone->body.size();
  by_id_.erase(gone->id);
  by_use_.pop_back();
  return gone;
}

// Elements of a deque stay where they are while others come and go at its ends.
void server_statements::pop_pending() {
  const auto sent = latest_.find(pending_.front().statement->id);
  if (sent->second == &pending_.front()) latest_.erase(sent);
  pending_.pop_front();
}

void server_statements::confirmed(std::uint64_t number) {
  abandoned_before(number);
  if (pending_.empty() || pending_.front().number != number) return;
  const pending& done = pending_.front();
  if (const auto earlier = by_id_.find(done.statement->id); earlier != by_id_.end()) {
    bytes_ -= done.statement->body.size();
    by_use_.erase(earlier->second);
  }
  by_use_.push_front({done.statement});
  by_id_[done.statement->id] = by_use_.begin();
  pop_pending();
}

void server_statements::abandoned_before(std::uint64_t number) {
  while (!pending_.empty() && pending_.front().number < number) {
    bytes_ -= pending_.front().statement->body.size();
    pop_pending();
  }
}

void server_statements::keep_only(const std::set<std::string, std::less<>>& names) {
  for (auto each = by_use_.begin(); each != by_use_.end();) {
    if (names.contains(each->statement->name)) {
      ++each;
      continue;
    }
    bytes_ -= each->statement->body.size();
    by_id_.erase(each->statement->id);
    each = by_use_.erase(each);
  }
}

void server_statements::forget_all() {
  for (const entry& each : by_use_) bytes_ -= each.statement->body.size();
  by_use_.clear();
  by_id_.clear();
}

// ---- of a client ----

client_statements::lookup client_statements::find(std::string_view name) const {
  const std::string_view key = server_name(name);
  if (!outlooks_.empty()) {
    if (const auto ahead = outlooks_.find(key); ahead != outlooks_.end()) {
      if (ahead->second.batch != batch_) return {answer::in_doubt};
      if (!ahead->second.parsed) return {};
      return {answer::found, &ahead->second.statement};
    }
  }
  const auto found = named_.find(key);
  if (found == named_.end()) return {};
  return {answer::found, &found->second.statement, found->second.told};
}

void client_statements::told(std::string_view name, result_shape shape) {
  if (const auto found = named_.find(server_name(name)); found != named_.end()) found->second.told = shape;
}

void client_statements::replace(std::string_view name, shared_statement_ptr statement) {
  if (const auto found = named_.find(server_name(name)); found != named_.end())
    found->second.statement = std::move(statement);
}

client_statements::unnamed_lookup client_statements::find_unnamed() const {
  if (unnamed_outlook_) {
    if (unnamed_outlook_->batch != batch_) return {answer::in_doubt};
    if (!unnamed_outlook_->parsed) return {answer::none, true, {}};
    return {answer::found, true, unnamed_outlook_->effects};
  }
  if (!has_unnamed_) return {};
  return {answer::found, false, unnamed_effects_, unnamed_reading_ ? &*unnamed_reading_ : nullptr};
}

void client_statements::add(effect e) {
  e.batch = batch_;
  const bool parsed = e.kind == effect_kind::parse || e.kind == effect_kind::parse_unnamed;
  outlook ahead{e.number, e.batch, e.statement, parsed, e.effects};
  if (e.kind == effect_kind::parse) bytes_ += cost_of(e.name, *e.statement);
  if (e.name.empty())
    unnamed_outlook_ = std::move(ahead);
  else
    outlooks_.insert_or_assign(e.name, std::move(ahead));
  pending_.push_back(std::move(e));
}

void client_statements::parse_sent(std::uint64_t number, std::string_view name,
                                   shared_statement_ptr statement) {
  effect e;
  e.number = number;
  e.kind = effect_kind::parse;
  e.name = server_name(name);
  e.statement = std::move(statement);
  add(std::move(e));
}

void client_statements::unnamed_sent(std::uint64_t number, const core::reading* reading,
                                     std::span<const std::byte> body, sql::session_effects effects) {
  effect e;
  e.number = number;
  e.kind = effect_kind::parse_unnamed;
  e.effects = effects;
  e.body = std::exchange(spare_, {});
  e.body.assign(body.begin(), body.end());
  if (reading != nullptr) e.reading = *reading;
  add(std::move(e));
}

void client_statements::close_sent(std::uint64_t number, std::string_view name) {
  effect e;
  e.number = number;
  e.kind = effect_kind::close;
  e.name = server_name(name);
  add(std::move(e));
}

// A simple query ends the batch before it.
void client_statements::query_sent(std::uint64_t number) {
  ++batch_;
  if (!has_unnamed_ && pending_.empty()) return;
  effect e;
  e.number = number;
  e.kind = effect_kind::query;
  add(std::move(e));
}

bool client_statements::confirmed(std::uint64_t number) {
  abandoned_before(number);
  if (pending_.empty() || pending_.front().number != number) return false;
  const effect& done = pending_.front();
  const bool unnamed = done.name.empty() && done.kind != effect_kind::query;
  apply(pending_.front());
  pop_pending();
  return unnamed;
}

// A Parse of the unnamed statement that fails has dropped the one before, and so has a Query.
void client_statements::failed(std::uint64_t number) {
  abandoned_before(number);
  if (pending_.empty() || pending_.front().number != number) return;
  const effect_kind kind = pending_.front().kind;
  if (kind == effect_kind::parse_unnamed || kind == effect_kind::query) has_unnamed_ = false;
}

void client_statements::abandoned_before(std::uint64_t number) {
  while (!pending_.empty() && pending_.front().number < number) {
    const effect& never = pending_.front();
    if (never.kind == effect_kind::parse) bytes_ -= cost_of(never.name, *never.statement);
    pop_pending();
  }
}

void client_statements::pop_pending() {
  const effect& done = pending_.front();
  if (done.name.empty()) {
    if (unnamed_outlook_ && unnamed_outlook_->number == done.number) unnamed_outlook_.reset();
  } else if (const auto ahead = outlooks_.find(done.name);
             ahead != outlooks_.end() && ahead->second.number == done.number) {
    outlooks_.erase(ahead);
  }
  pending_.pop_front();
}

void client_statements::apply(effect& e) {
  switch (e.kind) {
    case effect_kind::parse:
      if (const auto earlier = named_.find(e.name); earlier != named_.end())
        bytes_ -= cost_of(e.name, *earlier->second.statement);
      named_.insert_or_assign(e.name, named_statement{e.statement, next_order_++});
      break;
    case effect_kind::parse_unnamed:
      unnamed_.swap(e.body);
      if (e.body.capacity() <= largest_spare) spare_ = std::move(e.body);
      unnamed_effects_ = e.effects;
      unnamed_reading_ = std::move(e.reading);
      has_unnamed_ = true;
      break;
    case effect_kind::close:
      if (e.name.empty())
        has_unnamed_ = false;
      else
        forget(e.name);
      break;
    case effect_kind::query:
      has_unnamed_ = false;
      break;
  }
}

void client_statements::forget(std::string_view name) {
  const auto found = named_.find(name);
  if (found == named_.end()) return;
  bytes_ -= cost_of(found->first, *found->second.statement);
  named_.erase(found);
}

void client_statements::forget_named_but(const std::set<std::string, std::less<>>& prepared_since) {
  std::vector<std::string> gone;
  for (const auto& [name, known] : named_) {
    if (!prepared_since.contains(known.statement->name)) gone.push_back(name);
  }
  for (const std::string& name : gone) forget(name);
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
