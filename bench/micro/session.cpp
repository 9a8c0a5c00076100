// What the session machine costs: both directions of whole conversations, as they come out of a receive.

#include "proxy/core/session.hpp"

#include "bench/messages.hpp"
#include "protocol/copy.hpp"

#include <string>

#include <benchmark/benchmark.h>

namespace {

using namespace tidegate;
using protocol::byte_buffer;

const protocol::command_complete selected{.tag = "SELECT 1"};

// A request and its answer through the machine; nothing may be left over.
void converse(benchmark::State& state, const byte_buffer& request, const byte_buffer& answer,
              int queries = 1) {
  core::session session;
  for (auto _ : state) {
    const auto asked = session.scan_client(request, true, false);
    const auto answered = session.scan_server(answer, false);
    if (asked.forward != request.size() || answered.forward != answer.size())
      state.SkipWithError("the session held something back");
  }
  state.SetItemsProcessed(state.iterations() * queries);
}

void simple_select(benchmark::State& state) {
  converse(state, bench::encoded(protocol::query{bench::point_select}),
           bench::encoded(bench::one_column(), bench::one_value(), selected, protocol::ready_for_query{}));
}
BENCHMARK(simple_select);

void extended_select(benchmark::State& state) {
  converse(state,
           bench::encoded(
               protocol::parse{
                   .statement = "", .query = bench::point_select_with_parameter, .parameter_types = {}},
               bench::bind_one_value(""), protocol::describe{protocol::named_object::portal, ""},
               protocol::execute{}, protocol::sync{}),
           bench::encoded(protocol::parse_complete{}, protocol::bind_complete{}, bench::one_column(),
                          bench::one_value(), selected, protocol::ready_for_query{}));
}
BENCHMARK(extended_select);

// Batches of prepared statements with one Sync: 1 is the ordinary prepared SELECT.
void prepared_select(benchmark::State& state) {
  byte_buffer request, answer;
  for (int i = 0; i < state.range(0); ++i) {
    bench::append(request, bench::encoded(bench::bind_one_value("P0"), protocol::execute{}));
    bench::append(answer, bench::encoded(protocol::bind_complete{}, bench::one_value(), selected));
  }
  bench::append(request, bench::encoded(protocol::sync{}));
  bench::append(answer, bench::encoded(protocol::ready_for_query{}));
  converse(state, request, answer, static_cast<int>(state.range(0)));
}
BENCHMARK(prepared_select)->Arg(1)->Arg(10)->Arg(100);

// The same for a session that has a prepared ALTER TABLE lying about, and so must follow every name.
void prepared_select_beside_ddl(benchmark::State& state) {
  const auto prepare = bench::encoded(
      protocol::parse{
          .statement = "ddl", .query = "ALTER TABLE orders ADD COLUMN gift boolean", .parameter_types = {}},
      protocol::sync{});
  const auto prepared = bench::encoded(protocol::parse_complete{}, protocol::ready_for_query{});
  const auto request = bench::encoded(bench::bind_one_value("P0"), protocol::execute{}, protocol::sync{});
  const auto answer =
      bench::encoded(protocol::bind_complete{}, bench::one_value(), selected, protocol::ready_for_query{});
  core::session session;
  session.scan_client(prepare, true, false);
  session.scan_server(prepared, false);
  if (session.prepared().empty()) state.SkipWithError("the prepared DDL is not followed");
  for (auto _ : state) {
    benchmark::DoNotOptimize(session.scan_client(request, true, false));
    benchmark::DoNotOptimize(session.scan_server(answer, false));
  }
}
BENCHMARK(prepared_select_beside_ddl);

// A megabyte of rows in receives of 64 kB; the argument is the size of a value.
void big_result(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  const auto row = bench::encoded(bench::one_value(text));
  const auto request = bench::encoded(protocol::query{bench::point_select});
  auto answer = bench::encoded(bench::one_column());
  while (answer.size() < 1 << 20) bench::append(answer, row);
  bench::append(answer, bench::encoded(selected, protocol::ready_for_query{}));
  constexpr std::size_t received = 64 * 1024;
  core::session session;
  for (auto _ : state) {
    benchmark::DoNotOptimize(session.scan_client(request, true, false));
    for (std::size_t at = 0; at < answer.size();) {
      const auto piece = protocol::bytes(answer).subspan(at, std::min(received, answer.size() - at));
      const std::size_t forward = session.scan_server(piece, false).forward;
      if (forward == 0) return state.SkipWithError("the session held something back");
      at += forward;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(answer.size()));
}
BENCHMARK(big_result)->Arg(8)->Arg(100)->Arg(1000);

// A megabyte of COPY data from the client, a row of 100 bytes to the message.
void copy_in(benchmark::State& state) {
  const std::string text(100, 'x');
  const auto row = bench::encoded(protocol::copy_data{protocol::as_bytes(text)});
  byte_buffer data;
  while (data.size() < 1 << 20) bench::append(data, row);
  bench::append(data, bench::encoded(protocol::copy_done{}));
  const auto request = bench::encoded(protocol::query{"COPY t FROM STDIN"});
  const auto go_on = bench::encoded(
      protocol::copy_response{.direction = protocol::copy_direction::in, .overall = {}, .columns = {}});
  const auto done = bench::encoded(protocol::command_complete{.tag = "COPY 1"}, protocol::ready_for_query{});
  core::session session;
  for (auto _ : state) {
    benchmark::DoNotOptimize(session.scan_client(request, true, false));
    benchmark::DoNotOptimize(session.scan_server(go_on, false));
    if (session.scan_client(data, true, false).forward != data.size())
      return state.SkipWithError("the session held something back");
    benchmark::DoNotOptimize(session.scan_server(done, false));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(data.size()));
}
BENCHMARK(copy_in);

}  // namespace
