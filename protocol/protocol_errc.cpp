#include "protocol/protocol_errc.hpp"

#include <string>

namespace tidegate::protocol {
namespace {

// The base has a protected destructor that is not virtual: categories are never deleted.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidegate.protocol"; }

  std::string message(int value) const override {
    switch (static_cast<protocol_errc>(value)) {
      case protocol_errc::truncated:
        return "message ends inside a field";
      case protocol_errc::trailing_bytes:
        return "message goes on after its last field";
      case protocol_errc::missing_terminator:
        return "string in message is not terminated";
      case protocol_errc::bad_count:
        return "count in message disagrees with its length";
      case protocol_errc::bad_length:
        return "length of a value disagrees with the message";
      case protocol_errc::bad_value:
        return "field of message has an invalid value";
      case protocol_errc::frame_too_short:
        return "invalid message length";
      case protocol_errc::frame_too_long:
        return "message is too long";
      case protocol_errc::startup_length:
        return "invalid length of startup packet";
      case protocol_errc::unsupported_protocol:
        return "unsupported frontend protocol";
    }
    return "unknown protocol error";
  }
};
#pragma GCC diagnostic pop

}  // namespace

const boost::system::error_category& protocol_category() noexcept {
  static const category instance;
  return instance;
}

}  // namespace tidegate::protocol
