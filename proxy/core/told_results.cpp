#include "proxy/core/told_results.hpp"

#include "protocol/frame.hpp"
#include "protocol/reader.hpp"
#include "proxy/core/message_fields.hpp"

#include <algorithm>

namespace tidegate::core {
namespace {

// Of one client. Who has described more is taken to have been told of each, nobody knows what.
constexpr std::size_t most_names = 400'000;

// FNV-1a, 64 bits (Fowler, Noll, Vo).
class hash {
 public:
  void add(std::uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  void add(std::string_view bytes) {
    for (const char c : bytes) add(static_cast<std::uint8_t>(c));
    add(std::uint8_t{0});
  }
  void add(std::uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) add(static_cast<std::uint8_t>(number >> shift));
  }
  result_shape shape() const { return static_cast<result_shape>(std::max<std::uint64_t>(value_, 2)); }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace

// Where a column comes from makes no difference to the server either (equalTupleDescs).
result_shape shape_of(std::span<const std::byte> row_description) {
  if (row_description.size() < protocol::frame_header_size) return result_shape::unknown;
  protocol::reader in(row_description.subspan(protocol::frame_header_size));
  hash all;
  const std::uint16_t columns = in.uint16();
  for (std::uint16_t i = 0; i < columns && !in.failed(); ++i) {
    all.add(in.cstring());
    in.uint32();  // table
    in.uint16();  // column of it
    all.add(in.uint32());
    in.uint16();  // size of the type
    all.add(in.uint32());
    in.uint16();  // format
  }
  return in.failed() ? result_shape::unknown : all.shape();
}

void told_results::asked(std::uint64_t number, std::string_view name) {
  pending_.push_back({number, std::string(server_name(name)), false});
}

void told_results::close_sent(std::uint64_t number, std::string_view name) {
  if (!empty()) pending_.push_back({number, std::string(server_name(name)), true});
}

void told_results::answered(std::uint64_t number, result_shape shape) {
  abandoned_before(number);
  if (!waits_for(number)) return;
  pending done = std::move(pending_.front());
  pending_.pop_front();
  if (done.closes) {
    by_name_.erase(done.name);
    return;
  }
  if (by_name_.size() >= most_names && !by_name_.contains(done.name)) {
    by_name_.clear();
    forgot_some_ = true;
  }
  by_name_.insert_or_assign(std::move(done.name), shape);
}

void told_results::abandoned_before(std::uint64_t number) {
  while (!pending_.empty() && pending_.front().number < number) pending_.pop_front();
}

std::optional<result_shape> told_results::find(std::string_view name) const {
  if (const auto found = by_name_.find(server_name(name)); found != by_name_.end()) return found->second;
  if (forgot_some_) return result_shape::unknown;
  return std::nullopt;
}

}  // namespace tidegate::core
