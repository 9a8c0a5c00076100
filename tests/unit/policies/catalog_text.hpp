#pragma once
// Facts of a database written as text: the `catalog:` lines of behaviour cases (tests/cases/README.md).

#include "policies/catalog.hpp"
#include "policies/fact_request.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::test {

class catalog_text {
 public:
  // One line, without "catalog:". Throws std::runtime_error for what it can't read.
  void add(std::string_view line);

  // As proxy/control/catalog_reader would answer: each name of the request bound, known or missing. Functions
  // that no line mentions stay unknown. Without any line there is no database.
  policies::catalog_snapshot snapshot(const policies::fact_request& request) const;

 private:
  policies::relation_facts& relation(const std::string& full_name);

  bool any_ = false;
  int server_version_ = 150020;
  std::string time_zone_ = "UTC";
  std::vector<std::string> search_path_ = {"public"};
  std::map<std::string, policies::relation_facts> relations_;  // by "schema.name"
  std::map<std::string, policies::type_facts> types_;
  std::vector<policies::function_facts> functions_;
};

}  // namespace tidegate::test
