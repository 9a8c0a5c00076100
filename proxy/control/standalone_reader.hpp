#pragma once
// Facts for the command line (`check --database`, `plan`) and tests: one connection of its own on which names
// are resolved and facts are read, behind blocking calls. Never used by a running gateway.

#include "policies/catalog.hpp"
#include "policies/fact_request.hpp"
#include "proxy/control/control_settings.hpp"

#include <memory>
#include <string>

namespace tidegate::control {

class standalone_reader {
 public:
  // Connects at once. Throws std::invalid_argument for a bad connection string, std::runtime_error when the
  // database can't be reached or the login fails.
  explicit standalone_reader(const std::string& conninfo);
  explicit standalone_reader(const control_target& target);
  ~standalone_reader();

  // Runs in the session's own settings: search_path is that of the user and database, not the control
  // plane's. Never throws for what the database says: what could not be read is unknown in the snapshot.
  policies::catalog_snapshot read(const policies::fact_request& request);

  int server_version() const;               // 150020
  const std::string& database() const;      // that was connected to
  const std::string& last_problem() const;  // why the last read lacked facts; empty: it did not

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

// For a single question.
policies::catalog_snapshot read_facts_for(const std::string& conninfo, const policies::fact_request& request);

}  // namespace tidegate::control
