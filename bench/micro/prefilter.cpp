// The pre-filter on the statements that applications send most, and on long literals.

#include "policies/sql/prefilter.hpp"

#include <string>

#include <benchmark/benchmark.h>

namespace {

using tidegate::sql::classify;
using tidegate::sql::lexical_settings;

void point_select(benchmark::State& state) {
  const std::string text = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711 LIMIT 1";
  for (auto _ : state) benchmark::DoNotOptimize(classify(text, lexical_settings{}));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(point_select);

void long_literal(benchmark::State& state) {
  const std::string text =
      "INSERT INTO t VALUES ('" + std::string(static_cast<std::size_t>(state.range(0)), 'x') + "')";
  for (auto _ : state) benchmark::DoNotOptimize(classify(text, lexical_settings{}));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(long_literal)->Range(1 << 10, 1 << 20);

void ddl(benchmark::State& state) {
  const std::string text = "ALTER TABLE orders ADD COLUMN gift boolean";
  for (auto _ : state) benchmark::DoNotOptimize(classify(text, lexical_settings{}));
}
BENCHMARK(ddl);

}  // namespace
