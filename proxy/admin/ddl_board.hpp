#pragma once
// The guarded schema changes of this moment, for SHOW DDL: whoever runs one keeps a place on the board and
// writes there what it does and who is in its way. Such statements are rare and slow; a mutex does. Any
// thread.

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::admin {

struct ddl_row {
  std::uint64_t client = 0;  // id of SHOW CLIENTS
  std::string database, user, application;
  std::int32_t backend_pid = 0;
  std::string statement;  // without literals
  std::string step;       // "looks", "waits", "attempts"; of a plan "step 2 of 5: looks"
  unsigned attempts = 0;
  std::int64_t background = 0;  // in tidegate.background; 0: its client waits
  std::chrono::steady_clock::time_point since;
  std::string blockers;  // as they were seen last; empty: none
};

class ddl_board {
 public:
  // A place on the board, as long as it lives.
  class place {
   public:
    place(ddl_board& board, ddl_row row);
    ~place();
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    void step(std::string what, unsigned attempts);
    void blockers(std::string text);

   private:
    ddl_board& board_;
    std::uint64_t number_;
  };

  // The oldest first.
  std::vector<ddl_row> list() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, ddl_row> rows_;
  std::uint64_t next_ = 1;
};

}  // namespace tidegate::admin
