#pragma once
// Why a proof of identity failed. What a client is told is less: "password authentication failed" for
// everything that depends on its password; these values are for the log and for the gateway's own logins.

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace tidegate::protocol {

enum class authentication_errc {
  malformed_message = 1,        // not the attributes that the exchange has at this place
  unsupported_mechanism,        // none of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS
  unsupported_extension,        // a mandatory extension (m=), or an authorization identity
  unsupported_channel_binding,  // another type than tls-server-end-point, or one where there is no TLS
  channel_binding_downgrade,    // the client thinks that we can't bind the channel, but we offered it
  channel_binding_mismatch,     // the peer saw another certificate: somebody is in between
  nonce_mismatch,               // the nonce is not the one of this exchange
  bad_nonce,                    // empty, too long, or with characters that a nonce can't have
  bad_salt,                     // empty or too long
  bad_iterations,               // none, or more than we are willing to compute for a peer
  wrong_proof,                  // the client does not know the password
  wrong_server_signature,       // the server does not know the secret
  server_error,                 // the server ended the exchange with e=
  out_of_order,                 // a message that the exchange does not have now
  malformed_secret,             // a stored secret that begins like one and is none
  unavailable_algorithm,        // the crypto library refuses it (MD5 in FIPS mode)
};

const boost::system::error_category& authentication_category() noexcept;

inline boost::system::error_code make_error_code(authentication_errc value) noexcept {
  return {static_cast<int>(value), authentication_category()};
}

}  // namespace tidegate::protocol

template <>
struct boost::system::is_error_code_enum<tidegate::protocol::authentication_errc> : std::true_type {};
