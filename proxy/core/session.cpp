#include "proxy/core/session.hpp"

#include "policies/sql/encoding.hpp"
#include "protocol/frame.hpp"
#include "protocol/message_types.hpp"
#include "proxy/core/message_fields.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tidegate::core {
namespace {

using protocol::frame_status;

// More than any server reports.
constexpr std::size_t most_parameters = 1000;
// 1664 columns, with names of 63 bytes.
constexpr std::size_t longest_row_description = 160 * 1024;

// Of what clients send once they are logged in.
bool is_known_type(char type) {
  return protocol::find_frontend_type(type) != nullptr && type != 'p';
}

// What the session reads of an ErrorResponse, as far as its bytes are there.
struct error_fields {
  std::array<char, 5> sqlstate{};
  bool fatal = false;
  bool plan_stale = false;  // "cached plan must not change result type", in any language
};

error_fields fields_of(byte_view message) {
  error_fields found;
  std::size_t at = protocol::frame_header_size;
  while (at < message.size()) {
    const char letter = static_cast<char>(message[at]);
    std::string_view text;
    if (letter == '\0' || !take_string(message, ++at, text)) break;
    if (letter == 'C' && text.size() == found.sqlstate.size())
      std::copy(text.begin(), text.end(), found.sqlstate.begin());
    if (letter == 'V')
      found.fatal = text == "FATAL" || text == "PANIC";  // S is the same in the server's language
    if (letter == 'R') found.plan_stale = text == "RevalidateCachedQuery";
  }
  return found;
}

}  // namespace

message_text text_of(byte_view message) {
  message_text out;
  std::size_t at = protocol::frame_header_size;
  if (message.size() <= at) return out;
  if (static_cast<char>(message[0]) == 'P' && !take_string(message, at, out.name)) return out;
  out.valid = take_string(message, at, out.text);
  return out;
}

client_scan session::scan_client(byte_view bytes, bool examine, bool gate_closed) {
  written_ = 0;
  client_scan scan = follow_client(bytes, examine, gate_closed);
  scan.written = written_;
  return scan;
}

client_scan session::follow_client(byte_view bytes, bool examine, bool gate_closed) {
  std::size_t at = 0;
  if (drop_ != 0) {
    const std::size_t dropped = drop_some(bytes.size());
    if (dropped != 0) return {0, client_step::discard, dropped};
  }
  if (client_rest_ != 0) {
    at = std::min(client_rest_, bytes.size());
    client_rest_ -= at;
  }
  while (at < bytes.size()) {
    const auto peek = protocol::peek_frame(bytes, at, protocol::max_frontend_length);
    if (peek.status != frame_status::ready) {
      if (peek.status == frame_status::need_more) return {at, client_step::need_more, 0};
      return {at, client_step::malformed, 0};
    }
    const char type = peek.header.type;
    const std::size_t total = peek.header.total_size();
    const std::size_t available = bytes.size() - at;

    if (discarding_) {
      if (type != 'S' && type != 'X') {
        if (at != 0)
          return {at, client_step::discard, 0};  // first send what came before; then this is at the front
        const std::size_t now = std::min(total, available);
        drop_ = total - now;
        return {0, client_step::discard, now};
      }
      discarding_ = false;
    }

    // The server would end the connection, when it is another client's already.
    if (sharing_ && !is_known_type(type)) return {at, client_step::unknown_type, total};
    bool whole_needed = false;
    if (type == 'Q' || type == 'P')
      whole_needed = examine || sharing_;
    else if (type == 'B' || type == 'E' || type == 'C')
      whole_needed = (examine || sharing_) && !prepared_.empty();
    if (whole_needed) {
      if (total > limits_.query_buffer) {
        const bool text = type == 'Q' || type == 'P';
        if (text && (!limits_.forward_long || (sharing_ && type == 'P')))
          return {at, client_step::too_long, total};
        if (text && sharing_) {  // unseen
          run_with(sql::session_effects::all());
          sharing_->unfollowed = true;
        }
        // A Bind with huge values: its names are at the front, and it is not kept to be bound again.
        std::size_t field = protocol::frame_header_size;
        std::string_view portal, statement;
        const byte_view front = bytes.subspan(at);
        if (!text && (!take_string(front, field, portal) || !take_string(front, field, statement))) {
          if (available < longest_held) return {at, client_step::need_more, longest_held};
          return {at, client_step::malformed, 0};
        }
        if (type == 'B') prepared_.bind_sent(pipeline_.next_number(), portal, statement, {});
        whole_needed = false;
      } else if (available < total) {
        return {at, client_step::need_more, total};
      }
    }
    if (gate_closed && !gate_passed_ && (type == 'Q' || type == 'P' || type == 'B' || type == 'F') &&
        pipeline_.at_rest()) {  // with answers outstanding, a BEGIN may be among what was asked
      if ((type == 'Q' || type == 'P') && available < total && total <= limits_.query_buffer)
        return {at, client_step::need_more, total};
      return {at, client_step::hold, total};
    }
    if (schema_ && !sharing_ && concerns_schema(type, bytes.subspan(at), total)) {
      if (const auto stop = follow_statement(bytes, at, type, total)) return *stop;
    }
    bool recorded = false;
    if (sharing_ && (type == 'P' || type == 'B' || type == 'D' || type == 'C')) {
      client_scan stop;
      const shared_as how = share_message(bytes, at, type, total, examine, stop);
      if (how == shared_as::stopped) return stop;
      recorded = how == shared_as::recorded;
    }
    if (!recorded && whole_needed && track(type, bytes.subspan(at, total), examine)) {
      if (refused_) return {at, client_step::refuse, total, *std::exchange(refused_, std::nullopt)};
      return {at, client_step::intercept, total};
    }
    if (!recorded && !whole_needed) {
      if (type == 'S') {
        prepared_.sync_sent();
        if (sharing_) sharing_->statements.sync_sent();
      } else if (type == 'F' && sharing_) {
        run_with(sql::session_effects::all());  // whatever the function does
      }
      pipeline_.sent(type);
    }
    if (type == 'S' || type == 'Q') gate_passed_ = false;
    if (available < total) {
      client_rest_ = total - available;
      return {bytes.size(), client_step::done, 0};
    }
    at += total;
  }
  return {at, client_step::done, 0};
}

client_scan session::scan_copy(byte_view bytes) {
  std::size_t at = std::min(client_rest_, bytes.size());
  client_rest_ -= at;
  while (at < bytes.size() && pipeline_.copying_in()) {
    const auto peek = protocol::peek_frame(bytes, at, protocol::max_frontend_length);
    if (peek.status == frame_status::need_more) return {at, client_step::need_more, 0};
    if (peek.status != frame_status::ready) return {at, client_step::malformed, 0};
    // The server may have ended the COPY by an error that is on its way: it would carry out what has no place
    // in one.
    const bool belongs = std::string_view("dcfHS").find(peek.header.type) != std::string_view::npos;
    if (!belongs) return {at, client_step::hold, 0};
    pipeline_.sent(peek.header.type);
    const std::size_t total = peek.header.total_size();
    if (bytes.size() - at < total) {
      client_rest_ = total - (bytes.size() - at);
      return {bytes.size(), client_step::done, 0};
    }
    at += total;
  }
  return {at, at == bytes.size() ? client_step::done : client_step::need_more, 0};
}

// Looks at a whole message and, unless it is to be intercepted, records it as sent.
bool session::track(char type, byte_view message, bool examine) {
  if (!examine && !sharing_) {
    pipeline_.sent(type);
    return false;
  }
  // Skipped by the server, or never executed in a failed transaction: no decision is needed.
  const bool inert = pipeline_.skipping();
  std::size_t at = protocol::frame_header_size;
  switch (type) {
    case 'Q': {
      const message_text query = text_of(message);
      const bool looked_at = !inert && query.valid;
      if (looked_at) tell_names(query.text);
      sql::suspicion is = sql::suspicion::harmless;
      if (looked_at && sharing_) {
        const sql::assessment found = assess(query.text);
        if (may_tell_another_value(found.effects)) {
          refused_ = refusal_reason::sequence_value;
          return true;
        }
        if (note_effects(found.effects, query.text)) return true;
        is = found.is;
      } else if (looked_at) {
        is = sql::classify(query.text, lexical_now());
      }
      if (looked_at && examine && suspicious(query.text, is)) return true;
      if (!inert && !prepared_.empty()) prepared_.query_sent(pipeline_.next_number());
      if (!inert && sharing_) sharing_->statements.query_sent(pipeline_.next_number());
      break;
    }
    case 'P': {
      const message_text parse = text_of(message);
      if (inert || !parse.valid) break;
      tell_names(parse.text);
      const bool doubted = suspicious_when_it_runs(parse.text, sql::classify(parse.text, lexical_now()));
      if (doubted && (prepared_.bytes() + parse.text.size() > limits_.suspect_bytes || !is_plain(parse.name)))
        return true;
      if (doubted && reading_in_doubt(parse.text)) {
        refused_ = refusal_reason::reading_first;
        return true;
      }
      if (doubted || !prepared_.empty())
        prepared_.parse_sent(pipeline_.next_number(), parse.name, doubted ? keep(parse.text) : nullptr);
      break;
    }
    case 'B': {
      std::string_view portal, statement;
      if (!inert && take_string(message, at, portal) && take_string(message, at, statement)) {
        if (!is_plain(portal) && prepared_.may_be_named(statement)) {
          refused_ = refusal_reason::odd_name;
          return true;
        }
        const bool kept = prepared_.bytes() + message.size() <= limits_.suspect_bytes;
        prepared_.bind_sent(pipeline_.next_number(), portal, statement, kept ? message : byte_view{});
      }
      break;
    }
    case 'E': {
      std::string_view portal;
      if (!inert && take_string(message, at, portal) && prepared_.may_be_suspect(portal)) return true;
      break;
    }
    case 'C': {
      std::string_view name;
      if (!inert && message.size() > at) {
        const char kind = static_cast<char>(message[at]);
        ++at;
        if (take_string(message, at, name)) prepared_.close_sent(pipeline_.next_number(), kind, name);
      }
      break;
    }
    default:
      break;
  }
  pipeline_.sent(type);
  return false;
}

void session::forwarded(byte_view message) {
  if (message.empty()) return;
  const char type = static_cast<char>(message[0]);
  if (type == 'Q' && !prepared_.empty() && !pipeline_.skipping())
    prepared_.query_sent(pipeline_.next_number());
  if (type == 'Q' && sharing_ && !pipeline_.skipping())
    sharing_->statements.query_sent(pipeline_.next_number());
  pipeline_.sent(type);
}

// A text that sql::classify has called `is`.
bool session::suspicious(std::string_view text, sql::suspicion is) const {
  if (is == sql::suspicion::suspicious) {
    // Commands of a walsender are no SQL; a database walsender understands both.
    return !limits_.replication || !sql::is_replication_command(text);
  }
  if (prepared_.empty()) return false;
  // SQL's EXECUTE reaches statements prepared by the protocol, and FETCH its portals, which may be anything.
  static constexpr std::string_view execute[] = {"execute"}, fetch[] = {"fetch", "move"};
  const sql::lexical_settings lexical = lexical_now();
  return (prepared_.has_named_statements() && sql::mentions_any(text, lexical, execute)) ||
         (prepared_.has_named_portals() && sql::mentions_any(text, lexical, fetch));
}

// A text that is prepared may run when there is more to reach than now.
bool session::suspicious_when_it_runs(std::string_view text, sql::suspicion is) const {
  return suspicious(text, is) || sql::reaches_prepared(text);
}

const reading* session::reading_now() const {
  if (!pipeline_.answered()) return nullptr;
  if (!pipeline_.executed_unsynced()) return &reading_;
  return asked_ && asked_->first == pipeline_.next_number() ? &asked_->second : nullptr;
}

// Nothing is taken for granted in doubt.
sql::lexical_settings session::lexical_now() const {
  const core::reading* known = reading_now();
  return known != nullptr ? known->lexical : sql::lexical_settings{false, false};
}

bool session::reading_in_doubt(std::string_view text) const {
  return reading_now() == nullptr && !is_plain(text);
}

suspect session::keep(std::string_view text) const {
  const core::reading* known = reading_now();
  return std::make_shared<suspect_statement>(
      suspect_statement{std::string(text), known != nullptr ? *known : reading_});
}

server_scan session::scan_server(byte_view bytes, bool stop_when_answered) {
  server_scan out;
  std::size_t at = 0;
  if (server_rest_ != 0) {
    at = std::min(server_rest_, bytes.size());
    server_rest_ -= at;
    if (server_rest_ != 0) {
      out.forward = at;
      return out;
    }
  }
  for (;;) {
    out.forward = at;
    if (stop_when_answered && pipeline_.answered()) {
      out.step = server_step::answered;
      return out;
    }
    if (at >= bytes.size()) return out;
    const auto peek = protocol::peek_frame(bytes, at, protocol::max_backend_length);
    if (peek.status != frame_status::ready) {
      out.step = peek.status == frame_status::need_more ? server_step::need_more : server_step::malformed;
      return out;
    }
    const char type = peek.header.type;
    const std::size_t total = peek.header.total_size();
    const std::size_t available = bytes.size() - at;
    switch (type) {
      case 'D':
      case 'd':
      case 'T':
      case 't':
      case 'N':
      case 'A':
        if (type == 'T') {
          const std::uint64_t before = pipeline_.answered_before();
          const bool awaited = waits_for_result(before);
          if (awaited && available < total && total <= longest_row_description) {
            out.step = server_step::need_more;
            return out;
          }
          pipeline_.received(type);
          if (awaited) tell_result(type, bytes.subspan(at, std::min(total, available)), before);
        }
        break;
      case 'Z':
        if (available < total) {
          out.step = server_step::need_more;
          return out;
        }
        if (total != 6) {
          out.step = server_step::malformed;
          return out;
        }
        {
          const std::uint64_t before = pipeline_.answered_before();
          const auto status = static_cast<transaction_status>(bytes[at + 5]);
          if (status != transaction_status::idle && status != transaction_status::open &&
              status != transaction_status::failed) {
            out.step = server_step::malformed;
            return out;
          }
          pipeline_.ready(status);
          if (waits_for_results()) results_abandoned();
          if (awaits_answers()) {
            settle('Z', before);
            if (status == transaction_status::idle) prepared_.transaction_ended(pipeline_.answered_before());
          }
        }
        out.ready = true;
        ++out.queries_ready;
        break;
      case 'S':
        if (available < total && total <= longest_held) {
          out.step = server_step::need_more;
          return out;
        }
        if (available >= total) {
          std::string_view name, value;
          std::size_t field = at + protocol::frame_header_size;
          const byte_view message = bytes.first(at + total);
          if (take_string(message, field, name) && take_string(message, field, value))
            server_parameter(name, value);
          out.parameter_changed = true;
        }
        break;
      default: {
        const std::uint64_t before = pipeline_.answered_before();
        if (pipeline_.received(type)) {
          if (total != protocol::frame_header_size) {
            out.step = server_step::malformed;
            return out;
          }
          settle(type, before);
          out.step = server_step::swallow;
          return out;
        }
        if (type == 'E') {
          const error_fields fields = fields_of(bytes.subspan(at, std::min(total, available)));
          if (out.errors < out.sqlstates.size()) out.sqlstates[out.errors] = fields.sqlstate;
          out.fatal = out.fatal || fields.fatal;
          out.plan_stale = out.plan_stale || fields.plan_stale;
          ++out.errors;
        }
        if (waits_for_results()) tell_result(type, {}, before);
        if (awaits_answers()) settle(type, before);
        break;
      }
    }
    if (available < total) {
      server_rest_ = total - available;
      out.forward = bytes.size();
      return out;
    }
    at += total;
  }
}

void session::follow(schema_epoch_ptr schema) {
  schema_ = std::move(schema);
  seen_epoch_ = schema_->now();
}

bool session::is_news() const {
  if (!schema_) return false;
  const std::uint64_t now = schema_->now();
  if (sharing_) return sharing_->on_server != nullptr && sharing_->on_server->epoch() == now;
  return seen_epoch_ == now && changed_epoch_ != now;
}

void session::stale_since(std::uint64_t epoch, std::set<std::string, std::less<>> names) {
  seen_epoch_ = epoch;
  stale_names_ = std::move(names);
}

bool session::is_stale(std::string_view name) const {
  return stale_names_.contains(server_name(name));
}

void session::renewed(std::string_view name) {
  if (const auto found = stale_names_.find(server_name(name)); found != stale_names_.end())
    stale_names_.erase(found);
}

// Session mode: what the client is told of its statements, and those that schema changes concern.
std::optional<client_scan> session::follow_statement(byte_view bytes, std::size_t at, char type,
                                                     std::size_t total) {
  const std::size_t available = std::min(total, bytes.size() - at);
  std::size_t field = protocol::frame_header_size;
  const byte_view front = bytes.subspan(at, available);
  if (type == 'P') {
    has_named_ = has_named_ || available <= field || front[field] != std::byte{0};
    return std::nullopt;
  }
  if (type == 'B') {
    // The first of a batch; what was sent before is waited for.
    if (pipeline_.unsynced() || (pipeline_.answered() && !pipeline_.at_rest())) return std::nullopt;
    if (!has_named_) {
      seen_epoch_ = schema_->now();
      return std::nullopt;
    }
  } else {
    if (total <= field + 1 || pipeline_.skipping()) return std::nullopt;
    if (available == field) return client_scan{at, client_step::need_more, field + 1};
    if (static_cast<char>(front[field]) != 'S' || (type == 'C' && told_.empty())) return std::nullopt;
    ++field;
  }
  std::string_view portal, name;
  if ((type == 'B' && !take_string(front, field, portal)) || !take_string(front, field, name)) {
    if (available < std::min(total, longest_held))
      return client_scan{at, client_step::need_more, std::min(total, longest_held)};
    return std::nullopt;  // the server says what is wrong with it
  }
  if (name.empty()) return std::nullopt;
  if (type == 'B') {
    if (schema_->now() == seen_epoch_ && !is_stale(name)) return std::nullopt;
    renewal_name_ = name;
    return client_scan{at, client_step::renew};
  }
  if (type == 'D')
    told_.asked(pipeline_.next_number(), name);
  else
    told_.close_sent(pipeline_.next_number(), name);
  return std::nullopt;
}

// An answer, if it is one, of a Describe or Close that told_ waits for.
void session::tell_result(char type, byte_view message, std::uint64_t before) {
  if (type == 'E') return results_abandoned();
  if (!waits_for_result(before) || pipeline_.answered_before() == before) return;
  const result_shape shape = type == 'T'   ? shape_of(message)
                             : type == 'n' ? result_shape::no_rows
                                           : result_shape::unknown;
  if (!sharing_) return told_.answered(before, shape);
  const sharing::describe& asked = sharing_->describes.front();
  sharing_->statements.told(asked.name, shape);
  if (sharing_->on_server != nullptr) sharing_->on_server->described(*asked.statement, shape);
  sharing_->describes.pop_front();
}

void session::results_abandoned() {
  told_.abandoned_before(pipeline_.answered_before());
  if (!sharing_) return;
  auto& describes = sharing_->describes;
  while (!describes.empty() && describes.front().number < pipeline_.answered_before()) describes.pop_front();
}

void session::watch(new_relations& relations, std::string database, std::string user) {
  new_relations_ = &relations;
  database_ = std::move(database);
  user_ = std::move(user);
}

void session::server_parameter(std::string_view name, std::string_view value) {
  // A login brings a dozen, most of which say nothing here.
  switch (name.empty() ? '\0' : name.front()) {
    case 's':
      if (name == "standard_conforming_strings") reading_.lexical.standard_conforming_strings = value == "on";
      break;
    case 'c':
      if (name != "client_encoding" || value == reading_.client_encoding) break;
      reading_.client_encoding = value;
      reading_.lexical.ascii_safe_encoding = sql::is_ascii_safe(value);
      break;
    case 'a':
      if (name == "application_name") application_name_ = value;
      break;
    default:
      break;
  }
  if (!sharing_) return;
  auto& reported = sharing_->reported;
  const auto earlier =
      std::find_if(reported.begin(), reported.end(), [name](const auto& each) { return each.first == name; });
  if (earlier != reported.end())
    earlier->second = value;
  else if (reported.size() < most_parameters)
    reported.emplace_back(name, value);
}

}  // namespace tidegate::core
