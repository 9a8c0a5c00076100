#include "protocol/message_types.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace tidegate::protocol {
namespace {

// The list of the manual, chapter "Message Formats" (PostgreSQL 18).
const std::set<std::string> names_of_the_manual = {"AuthenticationOk",
                                                   "AuthenticationKerberosV5",
                                                   "AuthenticationCleartextPassword",
                                                   "AuthenticationMD5Password",
                                                   "AuthenticationGSS",
                                                   "AuthenticationGSSContinue",
                                                   "AuthenticationSSPI",
                                                   "AuthenticationSASL",
                                                   "AuthenticationSASLContinue",
                                                   "AuthenticationSASLFinal",
                                                   "BackendKeyData",
                                                   "Bind",
                                                   "BindComplete",
                                                   "CancelRequest",
                                                   "Close",
                                                   "CloseComplete",
                                                   "CommandComplete",
                                                   "CopyData",
                                                   "CopyDone",
                                                   "CopyFail",
                                                   "CopyInResponse",
                                                   "CopyOutResponse",
                                                   "CopyBothResponse",
                                                   "DataRow",
                                                   "Describe",
                                                   "EmptyQueryResponse",
                                                   "ErrorResponse",
                                                   "Execute",
                                                   "Flush",
                                                   "FunctionCall",
                                                   "FunctionCallResponse",
                                                   "GSSENCRequest",
                                                   "GSSResponse",
                                                   "NegotiateProtocolVersion",
                                                   "NoData",
                                                   "NoticeResponse",
                                                   "NotificationResponse",
                                                   "ParameterDescription",
                                                   "ParameterStatus",
                                                   "Parse",
                                                   "ParseComplete",
                                                   "PasswordMessage",
                                                   "PortalSuspended",
                                                   "Query",
                                                   "ReadyForQuery",
                                                   "RowDescription",
                                                   "SASLInitialResponse",
                                                   "SASLResponse",
                                                   "SSLRequest",
                                                   "StartupMessage",
                                                   "Sync",
                                                   "Terminate"};

TEST(message_table, lists_every_message_of_the_manual_once) {
  std::multiset<std::string> names;
  for (const auto& type : message_table) names.emplace(type.name);
  EXPECT_EQ(names, std::multiset<std::string>(names_of_the_manual.begin(), names_of_the_manual.end()));
}

TEST(message_table, finds_a_row_for_every_enumerator) {
  for (const auto type :
       {frontend_type::bind, frontend_type::close, frontend_type::copy_data, frontend_type::copy_done,
        frontend_type::copy_fail, frontend_type::describe, frontend_type::execute, frontend_type::flush,
        frontend_type::function_call, frontend_type::parse, frontend_type::password, frontend_type::query,
        frontend_type::sync, frontend_type::terminate}) {
    EXPECT_NE(find_frontend_type(static_cast<char>(type)), nullptr) << static_cast<char>(type);
  }
  for (const auto type : {backend_type::authentication,
                          backend_type::backend_key_data,
                          backend_type::bind_complete,
                          backend_type::close_complete,
                          backend_type::command_complete,
                          backend_type::copy_both_response,
                          backend_type::copy_data,
                          backend_type::copy_done,
                          backend_type::copy_in_response,
                          backend_type::copy_out_response,
                          backend_type::data_row,
                          backend_type::empty_query_response,
                          backend_type::error_response,
                          backend_type::function_call_response,
                          backend_type::negotiate_protocol_version,
                          backend_type::no_data,
                          backend_type::notice_response,
                          backend_type::notification_response,
                          backend_type::parameter_description,
                          backend_type::parameter_status,
                          backend_type::parse_complete,
                          backend_type::portal_suspended,
                          backend_type::ready_for_query,
                          backend_type::row_description}) {
    EXPECT_NE(find_backend_type(static_cast<char>(type)), nullptr) << static_cast<char>(type);
  }
}

TEST(message_table, knows_14_letters_of_clients_and_24_of_servers) {
  int frontend = 0;
  int backend = 0;
  for (int letter = 0; letter < 256; ++letter) {
    frontend += find_frontend_type(static_cast<char>(letter)) != nullptr;
    backend += find_backend_type(static_cast<char>(letter)) != nullptr;
  }
  EXPECT_EQ(frontend, 14);
  EXPECT_EQ(backend, 24);
}

TEST(message_table, tells_the_sides_apart) {
  EXPECT_EQ(find_frontend_type('C')->name, "Close");
  EXPECT_EQ(find_backend_type('C')->name, "CommandComplete");
  EXPECT_EQ(find_frontend_type('S')->name, "Sync");
  EXPECT_EQ(find_backend_type('S')->name, "ParameterStatus");
  EXPECT_EQ(find_frontend_type('Z'), nullptr);
  EXPECT_EQ(find_backend_type('Q'), nullptr);
  EXPECT_EQ(find_frontend_type('\0'), nullptr);
  EXPECT_EQ(find_backend_type('\0'), nullptr);
  EXPECT_EQ(find_frontend_type('d'), find_backend_type('d'));
}

}  // namespace
}  // namespace tidegate::protocol
