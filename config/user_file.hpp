#pragma once
// The file of users: lines of `"user" "secret"`, the format of PgBouncer's userlist.txt. A secret is what
// pg_authid has in rolpassword (SCRAM-SHA-256$… or md5…) or a password in the clear. A quote inside quotes is
// written twice; what begins with ; or # is a comment.

#include "config/problem.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::config {

struct user_list {
  std::map<std::string, std::string, std::less<>> users;
  std::vector<problem> problems;  // never quote the file, since it is full of secrets
};

user_list parse_user_list(std::string_view text);

}  // namespace tidegate::config
