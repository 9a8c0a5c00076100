#pragma once
// What the server guard consists of, as SQL. Runs on PostgreSQL 12 to 18.

#include <array>
#include <string>
#include <string_view>

namespace tidegate::control::guard_sql {

struct function {
  std::string_view signature;  // as regprocedure prints it, without the schema
  std::string_view arguments, result, attributes;
  std::string_view body;
  bool definer;
};

struct event_trigger {
  std::string_view name, event, tags;  // tags as pg_event_trigger.evttags prints them; empty: all
};

extern const std::string_view table;
extern const std::array<function, 3> functions;
extern const std::array<event_trigger, 3> event_triggers;

// Default privileges may have given something away as the objects were made.
extern const std::string_view take_rights_away;

std::string create(const function& what);
std::string create(const event_trigger& what);

}  // namespace tidegate::control::guard_sql
