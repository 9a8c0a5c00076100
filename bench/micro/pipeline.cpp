// One prepared select through the pure part of the data path: Bind, Execute, Sync one way, BindComplete …
// ReadyForQuery the other.

#include "protocol/writer.hpp"
#include "proxy/core/session.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace tidegate;

protocol::byte_buffer bind_execute_sync() {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message('B');
  w.cstring("");
  w.cstring("P0");
  w.uint16(0);
  w.uint16(1);
  w.value(protocol::as_bytes("4711"));
  w.uint16(0);
  w.end_message();
  w.begin_message('E');
  w.cstring("");
  w.int32(0);
  w.end_message();
  w.begin_message('S');
  w.end_message();
  return out;
}

protocol::byte_buffer answer() {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message('2');
  w.end_message();
  w.begin_message('D');
  w.uint16(1);
  w.value(protocol::as_bytes("0"));
  w.end_message();
  w.begin_message('C');
  w.cstring("SELECT 1");
  w.end_message();
  w.begin_message('Z');
  w.character('I');
  w.end_message();
  return out;
}

void prepared_select(benchmark::State& state) {
  core::session session;
  const auto request = bind_execute_sync();
  const auto reply = answer();
  for (auto _ : state) {
    benchmark::DoNotOptimize(session.scan_client(request, true, false));
    benchmark::DoNotOptimize(session.scan_server(reply, false));
  }
}
BENCHMARK(prepared_select);

}  // namespace
