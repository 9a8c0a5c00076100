#pragma once
// What a plan has done so far, in schema `tidegate` of its own database: tidegate.plan has a row for each,
// and tidegate.step one for each step. Written on a control connection, so that it outlives client and
// gateway; whoever runs the same statement again finds where it stopped (gateway_schema.hpp).

#include "policies/plan/plan.hpp"
#include "policies/plan/restore.hpp"
#include "proxy/control/querier.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

// A statement without what surrounds it: by this text it is known again.
std::string_view as_written_down(std::string_view statement);

struct plan_owner {
  std::string statement;  // as_written_down()
  std::string role, application;
  std::int32_t backend_pid = 0;
};

// One that was begun and neither finished nor taken back.
struct interrupted_plan {
  std::int64_t id = 0;
  std::vector<policies::written_step> steps;
  std::vector<bool> finished;  // of the steps
};

// The newest one of this statement on this relation. Whether somebody still works on it, the caller knows by
// its advisory lock.
boost::asio::awaitable<outcome<std::optional<interrupted_plan>>> find_interrupted_plan(
    querier& source, std::uint32_t relation, const std::string& statement);

// Makes the tables if need be and writes the plan down. Its id.
boost::asio::awaitable<outcome<std::int64_t>> record_plan(querier& source, const policies::plan& plan,
                                                          const plan_owner& owner);

// `state`: running, done, undone.
boost::asio::awaitable<bool> record_step(querier& source, std::int64_t plan, std::size_t number,
                                         std::string_view state);
// `state`: running, stopped, done, failed.
boost::asio::awaitable<bool> record_plan_state(querier& source, std::int64_t plan, std::string_view state);

// Whether a step has taken effect: its probe. None: it can't be told.
boost::asio::awaitable<std::optional<bool>> took_effect(querier& source, const std::string& probe);

}  // namespace tidegate::control
