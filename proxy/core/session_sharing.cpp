// What a session does in addition when its server is only lent to it: names of prepared statements, and what
// the client may leave behind on the server.

#include "protocol/frame.hpp"
#include "protocol/writer.hpp"
#include "proxy/core/message_fields.hpp"
#include "proxy/core/session.hpp"

#include <algorithm>
#include <atomic>
#include <string>

namespace tidegate::core {
namespace {

constexpr std::size_t most_custom_settings = 64;
// So much is written before it is sent.
constexpr std::size_t longest_batch = 64 * 1024;

}  // namespace

void session::share(statement_registry& registry,
                    std::shared_ptr<const std::vector<std::string>> listed_functions,
                    std::size_t server_statements, std::vector<std::byte>& batch) {
  sharing_ = std::make_unique<core::sharing>();
  sharing_->registry = &registry;
  sharing_->listed_functions = std::move(listed_functions);
  limits_.server_statements = server_statements;
  batch_ = &batch;
}

// currval() and lastval() on another server than the one that ran nextval() would tell somebody else's value.
bool session::may_tell_another_value(sql::session_effects effects) const {
  return effects.has(sql::session_effect::sequence_value) && sharing_->another_came_between &&
         !sharing_->drew && !effects.has(sql::session_effect::draws_values);
}

// What the text may leave behind. True: it names prepared statements, and has to be looked at.
bool session::note_effects(sql::session_effects effects, std::string_view text) {
  run_with(effects);
  collect_settings(effects, text);
  return effects.has(sql::session_effect::statement_names);
}

void session::collect_settings(sql::session_effects effects, std::string_view text) {
  if (effects.has(sql::session_effect::settings) &&
      !sql::collect_custom_settings(text, sharing_->custom_settings, most_custom_settings))
    sharing_->unfollowed = true;
}

sql::assessment session::assess(std::string_view text) const {
  return sql::assess(text, lexical_now(), *sharing_->listed_functions);
}

// Of the client's statements on the server, under its own names, where they are not yet.
bool session::needs_names(sql::session_effects effects) const {
  if (!effects.has(sql::session_effect::statement_names)) return false;
  return effects.has(sql::session_effect::statement_texts) ? !sharing_->names_put : !sharing_->names_stand;
}

void session::run_with(sql::session_effects effects) {
  core::sharing& s = *sharing_;
  s.effects |= effects;
  s.drew = s.drew || effects.has(sql::session_effect::draws_values);
  s.touched = s.touched || effects.has(sql::session_effect::settings) ||
              effects.has(sql::session_effect::local_settings);
}

// What gives the text of a Parse its meaning. In a transaction that has changed settings, nobody knows which
// they are: such a statement is shared with nobody.
std::string session::meaning_now() const {
  static std::atomic<std::uint64_t> own{0};
  const core::sharing& s = *sharing_;
  std::string meaning = s.meaning;
  meaning += reading_.lexical.standard_conforming_strings ? "+" : "-";
  meaning += reading_.client_encoding;
  if (s.touched) meaning += "#" + std::to_string(own.fetch_add(1));
  return meaning;
}

bool session::batch_is_long(std::size_t at) const {
  return at - written_ > most_copied || batch_->size() > longest_batch;
}

// What the client has sent up to `end` goes out as it is.
void session::write_until(byte_view bytes, std::size_t end) {
  const byte_view rest = bytes.subspan(written_, end - written_);
  batch_->insert(batch_->end(), rest.begin(), rest.end());
  written_ = end;
}

// A Parse or Close that the client did not send.
void session::own_message(char type, std::string_view name, byte_view body) {
  protocol::writer w(*batch_);
  w.begin_message(type);
  if (type == 'C') w.character('S');
  w.cstring(name);
  w.raw(body);
  w.end_message();
  pipeline_.sent_own(type);
}

std::vector<shared_statement_ptr> session::make_room() {
  std::vector<shared_statement_ptr> all;
  while (auto gone = sharing_->on_server->evict(limits_.server_statements, limits_.server_statement_bytes))
    all.push_back(std::move(gone));
  return all;
}

shared_statement_ptr session::statement_now(std::string_view name) {
  core::sharing& s = *sharing_;
  const auto known = s.statements.find(name);
  if (known.statement == nullptr) return nullptr;
  const shared_statement_ptr& as_parsed = *known.statement;
  const core::reading* now = reading_now();
  if (as_parsed->reading && (now == nullptr || *as_parsed->reading != *now)) return nullptr;
  const std::string meaning = meaning_now();
  if (as_parsed->meaning == meaning) return as_parsed;
  auto statement =
      s.registry->intern(meaning, as_parsed->reading.value_or(reading_), as_parsed->body, as_parsed->effects);
  s.statements.replace(name, statement);
  return statement;
}

// Ahead of a Parse under the statement's name.
void session::prepare_on_server(const shared_statement& statement) {
  for (const auto& gone : make_room()) own_message('C', gone->name, {});
  // Closed even where it was never seen: an error may have made the server skip an earlier Close. Where it
  // stands, it is prepared anew: the server says now whether the text still holds.
  own_message('C', statement.name, {});
}

// A Parse, Bind, Describe or Close.
session::shared_as session::share_message(byte_view bytes, std::size_t at, char type, std::size_t total,
                                          bool examine, client_scan& stop) {
  if (pipeline_.skipping()) return shared_as::it_is;
  if (schema_ && pipeline_.at_rest()) sharing_->on_server->renew(schema_->now());
  if (type == 'P') return share_parse(bytes, at, total, examine, stop);
  return share_named(bytes, at, type, total, stop);
}

session::shared_as session::share_parse(byte_view bytes, std::size_t at, std::size_t total, bool examine,
                                        client_scan& stop) {
  core::sharing& s = *sharing_;
  const byte_view message = bytes.subspan(at, total);
  const message_text parse = text_of(message);
  if (!parse.valid) return shared_as::it_is;  // the server says what is wrong with it
  const auto stop_with = [&stop](client_scan why) {
    stop = why;
    return shared_as::stopped;
  };
  const auto [is, effects] = assess(parse.text);
  const bool doubted = effects.has(sql::session_effect::statement_names) ||
                       (examine && suspicious_when_it_runs(parse.text, is));
  if (doubted && (prepared_.bytes() + parse.text.size() > limits_.suspect_bytes || !is_plain(parse.name)))
    return stop_with({at, client_step::intercept, message.size()});
  if (doubted && reading_in_doubt(parse.text))
    return stop_with({at, client_step::refuse, message.size(), refusal_reason::reading_first});
  if (needs_names(effects) && s.statements.has_named())
    return stop_with({at, client_step::refuse, message.size(), refusal_reason::names_first});
  collect_settings(effects, parse.text);
  const std::size_t head = protocol::frame_header_size + parse.name.size() + 1;
  const byte_view body = message.subspan(head);
  const std::uint64_t batch = s.statements.batch();
  suspect kept = doubted ? keep(parse.text) : nullptr;
  const auto tell_suspects = [&](std::uint64_t number) {
    if (kept || !prepared_.empty()) prepared_.parse_sent(number, parse.name, std::move(kept));
  };
  if (parse.name.empty()) {
    tell_names(parse.text);
    tell_suspects(pipeline_.next_number());
    const core::reading* now = reading_now();
    if (now == nullptr) now = &reading_;
    s.statements.unnamed_sent(pipeline_.next_number(), is_plain(parse.text) ? nullptr : now, body, effects);
    pipeline_.sent('P');
    return shared_as::recorded;
  }
  const auto known = s.statements.find(parse.name);
  if (known.is == client_statements::answer::in_doubt) return stop_with({at, client_step::wait});
  if (known.is == client_statements::answer::found || s.sql_names.contains(server_name(parse.name)))
    return stop_with({at, client_step::refuse, message.size(), refusal_reason::name_taken});
  if (s.statements.bytes() + message.size() > limits_.named_bytes)
    return stop_with({at, client_step::refuse, message.size(), refusal_reason::too_many_names});
  if (batch_is_long(at)) return stop_with({at, client_step::flush});
  tell_names(parse.text);
  const core::reading* known_reading = reading_now();
  const shared_statement_ptr statement =
      s.registry->intern(meaning_now(), known_reading != nullptr ? *known_reading : reading_, body, effects);
  write_until(bytes, at);
  prepare_on_server(*statement);
  const std::uint64_t number = pipeline_.next_number();
  tell_suspects(number);
  s.statements.parse_sent(number, parse.name, statement);
  s.on_server->parse_sent(number, batch, statement);
  pipeline_.sent('P');
  rename(bytes, at, at + head, total, parse.name, statement->name);
  return shared_as::recorded;
}

// The message at `at` is written up to `name_end`, where a name ends that becomes another; the rest follows
// as it is. Returns where it begins in the batch.
std::size_t session::rename(byte_view bytes, std::size_t at, std::size_t name_end, std::size_t total,
                            std::string_view from, std::string_view to) {
  const std::size_t begin = batch_->size() + (at - written_);
  write_until(bytes, name_end - 1 - from.size());
  const std::size_t length = total - 1 - from.size() + to.size();
  protocol::store_uint32(batch_->data() + begin + 1, static_cast<std::uint32_t>(length));
  const auto* name = reinterpret_cast<const std::byte*>(to.data());
  batch_->insert(batch_->end(), name, name + to.size());
  batch_->push_back(std::byte{});
  written_ = name_end;
  return begin;
}

session::shared_as session::share_named(byte_view bytes, std::size_t at, char type, std::size_t total,
                                        client_scan& stop) {
  core::sharing& s = *sharing_;
  const auto stop_with = [&stop](client_scan why) {
    stop = why;
    return shared_as::stopped;
  };
  const std::size_t available = std::min(total, bytes.size() - at);
  const byte_view message = bytes.subspan(at, available);
  const auto refuse_with = [&](refusal_reason why) {
    return stop_with(available < total ? client_scan{at, client_step::need_more, total}
                                       : client_scan{at, client_step::refuse, total, why});
  };
  std::size_t field = protocol::frame_header_size;
  std::string_view portal, name;
  if (type == 'B') {
    if (!take_string(message, field, portal) || !take_string(message, field, name)) {
      if (available == total) return shared_as::it_is;  // the server says what is wrong with it
      if (available < longest_held)
        return stop_with({at, client_step::need_more, std::min(total, longest_held)});
      return stop_with({at, client_step::malformed});
    }
  } else {
    if (total == field) return shared_as::it_is;
    if (available == field) return stop_with({at, client_step::need_more, field + 1});
    if (static_cast<char>(message[field]) != 'S') return shared_as::it_is;
    ++field;
    if (!take_string(message, field, name)) {
      if (available == total) return shared_as::it_is;
      if (available < longest_held)
        return stop_with({at, client_step::need_more, std::min(total, longest_held)});
      return stop_with({at, client_step::malformed});
    }
  }
  const std::string_view written = name;
  name = server_name(name);
  if (!s.sql_names.empty()) {
    if (const auto in_sql = s.sql_names.find(name); in_sql != s.sql_names.end()) {
      // Of SQL's PREPARE, so nobody has looked at what it does; its Close may free the client's server.
      s.effects |= sql::session_effects::all();
      if (type == 'C') {
        s.closes.push_back({pipeline_.next_number(), *in_sql});
        s.sql_names.erase(in_sql);
      }
    }
  }
  if (type == 'C') {
    if (s.names_stand && s.statements.find(name).is == client_statements::answer::found)
      s.closed_meanwhile.emplace(name);
    s.statements.close_sent(pipeline_.next_number(), name);
    // The server has it under another name: closing what is not there is no error. Names of ours stay.
    if (!name.starts_with(shared_name_prefix)) return shared_as::it_is;
    prepared_.close_sent(pipeline_.next_number(), 'S', name);
    pipeline_.sent('C');
    rename(bytes, at, at + field, total, written, own_name);
    return shared_as::recorded;
  }
  if (name.empty()) {
    const auto known = s.statements.find_unnamed();
    if (known.is == client_statements::answer::in_doubt) return stop_with({at, client_step::wait});
    if (known.is == client_statements::answer::found) {
      if (type == 'B' && may_tell_another_value(known.effects))
        return refuse_with(refusal_reason::sequence_value);
      if (needs_names(known.effects) && s.statements.has_named())
        return refuse_with(refusal_reason::names_first);
      const bool is_there = s.unnamed_is_ours || known.in_batch;
      if (!is_there && known.reading) {
        const core::reading* now = reading_now();
        if (now == nullptr) return refuse_with(refusal_reason::reading_first);
        if (*known.reading != *now) return refuse_with(refusal_reason::other_reading);
      }
      if (type == 'B') run_with(known.effects);
      if (is_there) return shared_as::it_is;
      write_until(bytes, at);
      own_message('P', {}, s.statements.unnamed_body());
      s.statements.unnamed_sent(pipeline_.next_number() - 1, known.reading, s.statements.unnamed_body(),
                                known.effects);
    } else {
      if (s.unnamed_is_ours || known.in_batch) return shared_as::it_is;
      write_until(bytes, at);
      own_message('C', {}, {});  // somebody else's must not be found
      s.statements.close_sent(pipeline_.next_number() - 1, {});
    }
    return shared_as::it_is;
  }
  const auto known = s.statements.find(name);
  if (known.is == client_statements::answer::in_doubt) return stop_with({at, client_step::wait});
  if (known.is == client_statements::answer::none) {
    if (name.starts_with(shared_name_prefix)) return refuse_with(refusal_reason::name_unknown);
    return shared_as::it_is;
  }
  if (type == 'B' && !is_plain(portal) && prepared_.may_be_named(name))
    return refuse_with(refusal_reason::odd_name);
  if (batch_is_long(at)) return stop_with({at, client_step::flush});
  const std::uint64_t batch = s.statements.batch();
  const shared_statement_ptr* statement = known.statement;
  shared_statement_ptr as_now;  // in the meaning that it has by now
  const auto renew = [&] {
    renewal_name_ = name;
    return stop_with({at, client_step::renew});
  };
  // What it names is looked for when it is parsed already.
  if (needs_names((*statement)->effects)) return refuse_with(refusal_reason::names_first);
  if (!s.on_server->use(**statement, batch)) {
    if ((*statement)->reading) {
      const core::reading* now = reading_now();
      if (now == nullptr) return renew();  // it is asked
      if (*(*statement)->reading != *now) return refuse_with(refusal_reason::other_reading);
    }
    if (type == 'B' && known.told) return renew();
    as_now = statement_now(name);
    statement = &as_now;
    if (!s.on_server->use(*as_now, batch)) {
      write_until(bytes, at);
      prepare_on_server(*as_now);
      s.on_server->parse_sent(pipeline_.next_number(), batch, as_now);
      own_message('P', as_now->name, as_now->body);
    }
  }
  if (type == 'B' && known.told) {
    const auto shape = s.on_server->shape(**statement);
    if (!shape) return renew();
    if (!same_shape(*shape, *known.told)) return refuse_with(refusal_reason::result_changed);
  }
  const sql::session_effects effects = (*statement)->effects;
  if (type == 'B' && may_tell_another_value(effects)) return refuse_with(refusal_reason::sequence_value);
  if (type == 'B') run_with(effects);
  const std::size_t begin = rename(bytes, at, at + field, total, written, (*statement)->name);
  if (type == 'B' && !prepared_.empty()) {
    // To be bound again, it must be what the server knows.
    std::vector<std::byte> bound;
    if (available == total && prepared_.bytes() + total <= limits_.suspect_bytes) {
      bound.assign(batch_->begin() + static_cast<std::ptrdiff_t>(begin), batch_->end());
      bound.insert(bound.end(), message.begin() + static_cast<std::ptrdiff_t>(field), message.end());
    }
    prepared_.bind_sent(pipeline_.next_number(), portal, name, bound);
  }
  if (type == 'D') s.describes.push_back({pipeline_.next_number(), std::string(name), *statement});
  pipeline_.sent(type);
  return shared_as::recorded;
}

// A request was answered, or failed, or was skipped because of an error before it.
void session::settle(char type, std::uint64_t before) {
  if (!prepared_.empty()) {
    if (type == 'E') {
      prepared_.abandoned_before(pipeline_.answered_before());
    } else if (pipeline_.answered_before() != before) {
      prepared_.confirmed(before);
      if (type == 'Z') prepared_.abandoned_before(pipeline_.answered_before());
    }
  }
  if (!sharing_) return;
  core::sharing& s = *sharing_;
  for (; !s.closes.empty() && s.closes.front().number < pipeline_.answered_before(); s.closes.pop_front()) {
    const bool carried_out = s.closes.front().number == before && type == '3';
    if (!carried_out) s.sql_names.insert(s.closes.front().name);
  }
  if (type == 'E') {
    s.statements.failed(before);
  } else if (pipeline_.answered_before() != before) {
    if (s.statements.confirmed(before)) s.unnamed_is_ours = true;
    if (s.on_server != nullptr) s.on_server->confirmed(before);
  }
  if (type == 'E' || type == 'Z') {
    s.statements.abandoned_before(pipeline_.answered_before());
    if (s.on_server != nullptr) s.on_server->abandoned_before(pipeline_.answered_before());
  }
}

}  // namespace tidegate::core
