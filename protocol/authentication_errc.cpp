#include "protocol/authentication_errc.hpp"

#include <string>

namespace tidegate::protocol {
namespace {

// The base has a protected destructor that is not virtual: categories are never deleted.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidegate.authentication"; }

  std::string message(int value) const override {
    switch (static_cast<authentication_errc>(value)) {
      case authentication_errc::malformed_message:
        return "malformed SCRAM message";
      case authentication_errc::unsupported_mechanism:
        return "unsupported SASL mechanism";
      case authentication_errc::unsupported_extension:
        return "unsupported SCRAM extension";
      case authentication_errc::unsupported_channel_binding:
        return "unsupported SCRAM channel binding";
      case authentication_errc::channel_binding_downgrade:
        return "SCRAM channel binding negotiation was tampered with";
      case authentication_errc::channel_binding_mismatch:
        return "SCRAM channel binding check failed";
      case authentication_errc::nonce_mismatch:
        return "SCRAM nonce does not match";
      case authentication_errc::bad_nonce:
        return "invalid SCRAM nonce";
      case authentication_errc::bad_salt:
        return "invalid SCRAM salt";
      case authentication_errc::bad_iterations:
        return "SCRAM iteration count out of range";
      case authentication_errc::wrong_proof:
        return "password authentication failed";
      case authentication_errc::wrong_server_signature:
        return "server does not know the password's secret";
      case authentication_errc::server_error:
        return "server refused the SCRAM exchange";
      case authentication_errc::out_of_order:
        return "message out of order in the SCRAM exchange";
      case authentication_errc::malformed_secret:
        return "malformed SCRAM secret";
      case authentication_errc::unavailable_algorithm:
        return "hash algorithm is not available";
    }
    return "unknown authentication error";
  }
};
#pragma GCC diagnostic pop

}  // namespace

const boost::system::error_category& authentication_category() noexcept {
  static const category instance;
  return instance;
}

}  // namespace tidegate::protocol
