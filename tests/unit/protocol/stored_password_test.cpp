#include "protocol/stored_password.hpp"

#include "protocol/base64.hpp"

#include <gtest/gtest.h>

namespace tidegate::protocol {
namespace {

constexpr std::string_view secret_text =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

TEST(stored_password, tells_the_formats_apart) {
  EXPECT_TRUE(std::holds_alternative<scram_secret>(*parse_stored_password(secret_text)));
  EXPECT_TRUE(std::holds_alternative<md5_hash>(*parse_stored_password("md5" + std::string(32, 'a'))));
  for (const std::string plain : {"", "secret", "md5", "md5rocks", "scram-sha-256$x"}) {
    EXPECT_EQ(std::get<plain_password>(*parse_stored_password(plain)).text, plain);
  }
  EXPECT_TRUE(std::holds_alternative<plain_password>(*parse_stored_password("md5" + std::string(32, 'A'))));
  EXPECT_TRUE(std::holds_alternative<plain_password>(*parse_stored_password("md5" + std::string(33, 'a'))));
}

TEST(scram_secret, round_trips) {
  const auto secret = parse_scram_secret(secret_text);
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->iterations, 4096u);
  EXPECT_EQ(secret->salt.size(), 16u);
  EXPECT_EQ(format_scram_secret(*secret), secret_text);
}

TEST(scram_secret, is_refused_when_malformed_and_not_taken_for_a_password) {
  const std::string key = encode_base64(scram_key{});
  for (const std::string& text :
       {std::string("SCRAM-SHA-256$"), std::string("SCRAM-SHA-256$4096"),
        std::string(secret_text.substr(0, 60)), std::string(secret_text) + "=",
        "SCRAM-SHA-256$0:AAAA$" + key + ":" + key, "SCRAM-SHA-256$-1:AAAA$" + key + ":" + key,
        "SCRAM-SHA-256$x:AAAA$" + key + ":" + key, "SCRAM-SHA-256$99999999999:AAAA$" + key + ":" + key,
        "SCRAM-SHA-256$1:$" + key + ":" + key, "SCRAM-SHA-256$1:AAA$" + key + ":" + key,
        "SCRAM-SHA-256$1:AAAA$" + key, "SCRAM-SHA-256$1:AAAA$AAAA:" + key,
        "SCRAM-SHA-256$1:AAAA$" + key + ":AAAA", "SCRAM-SHA-256$1:AAAA$" + key + ":" + key + ":" + key}) {
    EXPECT_EQ(parse_stored_password(text).error(), authentication_errc::malformed_secret) << text;
  }
  EXPECT_EQ(parse_scram_secret("secret").error(), authentication_errc::malformed_secret);
}

// As PostgreSQL computes it: select 'md5' || md5('secret' || 'ann').
TEST(md5, hash_and_response_are_those_of_postgresql) {
  const auto stored = hash_md5("secret", "ann");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->text, "md59d792a3a8853c2411afb9163d088c036");
  const auto response = md5_response(*stored, as_bytes("salt"));
  ASSERT_TRUE(response);
  EXPECT_EQ(*response, "md5b8f5ba9f485dba302ec0963f7ee9ba8f");
}

TEST(equal_in_constant_time, compares) {
  EXPECT_TRUE(equal_in_constant_time(as_bytes("same"), as_bytes("same")));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("same"), as_bytes("some")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("same"), as_bytes("samee")));
}

// RFC 4648 §10.
TEST(base64, gives_the_vectors_of_the_rfc) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"},
                                                                   {"\xfb\xff", "+/8="}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(encode_base64(as_bytes(plain)), encoded);
    const auto decoded = decode_base64(encoded);
    ASSERT_TRUE(decoded) << encoded;
    EXPECT_EQ(as_text(*decoded), plain);
  }
}

TEST(base64, refuses_what_is_not_the_one_encoding) {
  for (const std::string_view text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "=", "==", "====", "Z===",
                                      "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm-_", "Zm\x80v"}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

}  // namespace
}  // namespace tidegate::protocol
