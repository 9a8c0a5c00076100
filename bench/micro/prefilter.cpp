// The pre-filter on the statements that applications send most, and on long literals.

#include "policies/sql/prefilter.hpp"

#include "policies/sql/parse.hpp"

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

// As an object-relational mapper writes it: the argument is the number of columns.
void mapped_select(benchmark::State& state) {
  std::string text = "SELECT ";
  for (std::int64_t i = 0; i < state.range(0); ++i)
    text += "\"t0\".\"column_" + std::to_string(i) + "\" AS \"t0_c" + std::to_string(i) + "\", ";
  text += "1 FROM \"orders\" \"t0\" WHERE \"t0\".\"id\" = $1 AND \"t0\".\"deleted_at\" IS NULL";
  for (auto _ : state) benchmark::DoNotOptimize(classify(text, lexical_settings{}));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(mapped_select)->Arg(10)->Arg(100);

void commented_update(benchmark::State& state) {
  const std::string text =
      "/* controller='orders', action='update', trace='00-4bf92f3577b34da6a3ce929d0e0e4736-01' */ "
      "UPDATE orders SET note = 'it''s a gift', changed_at = now() WHERE id = 4711 -- from the shop\n";
  for (auto _ : state) benchmark::DoNotOptimize(classify(text, lexical_settings{}));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(commented_update);

void ddl(benchmark::State& state) {
  const std::string text = "ALTER TABLE orders ADD COLUMN gift boolean";
  for (auto _ : state) benchmark::DoNotOptimize(classify(text, lexical_settings{}));
}
BENCHMARK(ddl);

// What is not harmless is parsed: what the pre-filter saves.
void parse_instead(benchmark::State& state) {
  const std::string text = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711 LIMIT 1";
  for (auto _ : state) benchmark::DoNotOptimize(tidegate::sql::parse(text));
}
BENCHMARK(parse_instead);

}  // namespace
