// The codec: walking the frames of a relayed stream, collecting whole messages, reading and writing single
// ones.

#include "bench/messages.hpp"
#include "protocol/frame_assembler.hpp"
#include "protocol/frame_reader.hpp"

#include <string>

#include <benchmark/benchmark.h>

namespace {

using namespace tidegate;

// Rows of a result, about 64 kB of them, which is what one receive brings.
protocol::byte_buffer rows(std::size_t size) {
  const std::string text(size, 'x');
  const auto row = bench::encoded(bench::one_value(text));
  protocol::byte_buffer out;
  while (out.size() < 64 * 1024) bench::append(out, row);
  return out;
}

void walk_rows(benchmark::State& state) {
  const auto stream = rows(static_cast<std::size_t>(state.range(0)));
  std::int64_t frames = 0;
  for (auto _ : state) {
    protocol::frame_reader reader(protocol::max_backend_length);
    for (std::size_t position = 0; position < stream.size(); ++frames)
      benchmark::DoNotOptimize(reader.next(stream, position));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
  state.SetItemsProcessed(frames);
}
BENCHMARK(walk_rows)->Arg(8)->Arg(100)->Arg(1000)->Arg(10000);

// The same in receives of 4 kB: frames end anywhere.
void walk_rows_in_pieces(benchmark::State& state) {
  const auto stream = rows(static_cast<std::size_t>(state.range(0)));
  constexpr std::size_t piece = 4096;
  for (auto _ : state) {
    protocol::frame_reader reader(protocol::max_backend_length);
    std::size_t begin = 0;
    while (begin < stream.size()) {
      const auto input = protocol::bytes(stream).subspan(begin, std::min(piece, stream.size() - begin));
      std::size_t position = 0;
      while (position < input.size()) {
        const auto slice = reader.next(input, position);
        benchmark::DoNotOptimize(slice);
        if (slice.kind == protocol::slice_kind::need_more) break;
      }
      if (position == 0) break;  // the last bytes are less than a header
      begin += position;         // what is left of a header comes again in front of the next receive
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}
BENCHMARK(walk_rows_in_pieces)->Arg(100)->Arg(10000);

void collect_messages(benchmark::State& state) {
  const auto answer =
      bench::encoded(protocol::authentication_ok{}, protocol::parameter_status{"TimeZone", "UTC"},
                     protocol::parameter_status{"client_encoding", "UTF8"}, protocol::ready_for_query{});
  protocol::frame_assembler assembler;
  for (auto _ : state) {
    assembler.append(answer);
    for (;;) {
      const auto message = assembler.next_message(protocol::max_backend_length);
      if (!message.has_value() || !message->has_value()) break;
      benchmark::DoNotOptimize(**message);
    }
  }
}
BENCHMARK(collect_messages);

// The body of the first message.
protocol::bytes body_of(const protocol::byte_buffer& message) {
  return protocol::bytes(message).subspan(protocol::frame_header_size);
}

void read_startup(benchmark::State& state) {
  const auto packet = bench::encoded(protocol::startup_message{
      .version = protocol::protocol_3_0,
      .parameters = {
          {"user", "shop"}, {"database", "shop"}, {"application_name", "web"}, {"client_encoding", "UTF8"}}});
  for (auto _ : state)
    benchmark::DoNotOptimize(protocol::decode_startup_packet(protocol::bytes(packet).subspan(4)));
}
BENCHMARK(read_startup);

void read_parse(benchmark::State& state) {
  const auto message = bench::encoded(protocol::parse{
      .statement = "P0", .query = bench::point_select_with_parameter, .parameter_types = {23}});
  for (auto _ : state) benchmark::DoNotOptimize(protocol::decode_parse(body_of(message)));
}
BENCHMARK(read_parse);

void read_bind(benchmark::State& state) {
  const auto message = bench::encoded(bench::bind_one_value("P0"));
  for (auto _ : state) benchmark::DoNotOptimize(protocol::decode_bind(body_of(message)));
}
BENCHMARK(read_bind);

void read_bind_names(benchmark::State& state) {
  const auto message = bench::encoded(bench::bind_one_value("P0"));
  for (auto _ : state) benchmark::DoNotOptimize(protocol::decode_bind_names(body_of(message)));
}
BENCHMARK(read_bind_names);

void write_answer(benchmark::State& state) {
  protocol::byte_buffer out;
  for (auto _ : state) {
    out.clear();
    protocol::writer w(out);
    encode(w, protocol::bind_complete{});
    encode(w, bench::one_value());
    encode(w, protocol::command_complete{.tag = "SELECT 1"});
    encode(w, protocol::ready_for_query{});
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(write_answer);

}  // namespace
