// Following prepared statements that may be DDL, in sessions that have some; all others pay for a test of a
// bool.

#include "proxy/core/prepared_statements.hpp"

#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

using tidegate::core::prepared_statements;

const tidegate::core::suspect ddl = std::make_shared<tidegate::core::suspect_statement>(
    tidegate::core::suspect_statement{"ALTER TABLE orders ADD COLUMN gift boolean", {}});

std::vector<std::string> names(std::int64_t count) {
  std::vector<std::string> made;
  for (std::int64_t i = 0; i < count; ++i) made.push_back("statement_" + std::to_string(i));
  return made;
}

// A session that has so many of them, each confirmed.
void prepare(prepared_statements& into, const std::vector<std::string>& all, std::uint64_t& number) {
  for (const std::string& name : all) {
    into.parse_sent(number, name, ddl);
    into.sync_sent();
    into.confirmed(number++);
  }
}

// Bind, Execute and Sync of one of them; the argument says how many there are.
void bind_and_execute(benchmark::State& state) {
  prepared_statements followed;
  std::uint64_t number = 0;
  const auto all = names(state.range(0));
  prepare(followed, all, number);
  std::size_t next = 0;
  for (auto _ : state) {
    followed.bind_sent(number, "", all[next], {});
    benchmark::DoNotOptimize(followed.may_be_suspect(""));
    followed.sync_sent();
    followed.confirmed(number++);
    followed.transaction_ended(number);
    next = (next + 1) % all.size();
  }
}
BENCHMARK(bind_and_execute)->Arg(1)->Arg(100)->Arg(10000);

// Preparing one and closing it, beside so many others.
void parse_and_close(benchmark::State& state) {
  prepared_statements followed;
  std::uint64_t number = 0;
  prepare(followed, names(state.range(0)), number);
  for (auto _ : state) {
    followed.parse_sent(number, "another", ddl);
    followed.confirmed(number++);
    followed.close_sent(number, 'S', "another");
    followed.sync_sent();
    followed.confirmed(number++);
  }
}
BENCHMARK(parse_and_close)->Arg(1)->Arg(100)->Arg(10000);

// A batch of which nothing is confirmed before its end: lookups consider everything on its way.
void unconfirmed_batch(benchmark::State& state) {
  prepared_statements followed;
  std::uint64_t number = 0;
  for (auto _ : state) {
    const std::uint64_t first = number;
    followed.parse_sent(number++, "", ddl);
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      followed.bind_sent(number++, "", "", {});
      benchmark::DoNotOptimize(followed.may_be_suspect(""));
    }
    followed.sync_sent();
    for (std::uint64_t each = first; each < number; ++each) followed.confirmed(each);
    followed.transaction_ended(number);
  }
}
BENCHMARK(unconfirmed_batch)->Arg(1)->Arg(10)->Arg(100);

}  // namespace
