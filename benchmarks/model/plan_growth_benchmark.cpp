// SPDX-License-Identifier: Apache-2.0
// The time and memory of a plan as the graph grows: reading, listing layers, matching rules. Linear work
// takes the same time per node, and the same memory per byte of the file, at every size.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstddef>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/match.hpp"

namespace {

using ptq::detail::make_field;
using ptq::detail::make_node;

/// So many nodes: products with weights of their own, each with a Relu behind it.
std::string model_of(std::size_t nodes) {
  const auto value = [](const std::string& name) {
    return make_field(1, name) + make_field(2, make_field(1, "\x08\x01"));
  };
  const std::size_t dims[] = {2, 2};
  std::string graph = make_field(11, value("x"));
  std::string last = "x";
  for (std::size_t i = 0; i < nodes / 2; ++i) {
    const std::string number = std::to_string(i);
    const std::string weight = "encoder.layers." + number + ".weight";
    graph += ptq::detail::make_initializer(weight, ptq::element_type::float32, dims, std::string(16, '\0'));
    graph += make_node("MatMul", "MatMul_" + number, {last, weight}, "product_" + number);
    last = "hidden_" + number;
    graph += make_node("Relu", "Relu_" + number, {"product_" + number}, last);
  }
  graph += make_field(12, value(last));
  return "\x08\x08" + make_field(8, "\x10\x11") + make_field(7, graph);
}

/// A rule for all, and others that match nothing.
ptq::spec spec_of(std::size_t rules) {
  ptq::spec wanted;
  wanted.quantize.layers.push_back({"Linear", ptq::slot_config{"int8", {}}, {}});
  for (std::size_t i = 1; i < rules; ++i)
    wanted.quantize.layers.push_back(
        {"*decoder." + std::to_string(i) + "*", ptq::slot_config{"int8", {}}, {}});
  return wanted;
}

/// In kB, as Linux tells it: "VmHWM:" is the most memory so far, "VmRSS:" what there is now; 0 elsewhere.
std::size_t memory_of(std::string_view field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == field && status >> kilobytes) return kilobytes;
  }
  return 0;
}

/// From here on "VmHWM:" is counted anew.
void forget_peak() {
  std::ofstream("/proc/self/clear_refs") << 5;
}

/// As a run of the command finds the machine: memory was given back, and the caches are full of other things.
void be_cold() {
  static std::vector<char> other_things(64 << 20);
  for (std::size_t i = 0; i < other_things.size(); i += 64) ++other_things[i];
  benchmark::ClobberMemory();
  ::malloc_trim(0);
}

void per_item(benchmark::State& state, const char* name, std::size_t items) {
  state.counters[name] =
      benchmark::Counter(static_cast<double>(items),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void plan_of_nodes(benchmark::State& state) {
  const auto nodes = static_cast<std::size_t>(state.range(0));
  const std::string bytes = model_of(nodes);
  const ptq::spec wanted = spec_of(1);
  be_cold();
  forget_peak();
  const auto before = static_cast<double>(memory_of("VmRSS:"));
  for (auto _ : state) {
    state.PauseTiming();
    be_cold();
    state.ResumeTiming();
    const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "growth.onnx");
    const auto layers = ptq::layers_of(*model);
    benchmark::DoNotOptimize(ptq::match(wanted, layers->layers));
  }
  per_item(state, "per_node", nodes);
  state.counters["peak_per_byte"] =
      1024.0 * (static_cast<double>(memory_of("VmHWM:")) - before) / static_cast<double>(bytes.size());
}
BENCHMARK(plan_of_nodes)->RangeMultiplier(10)->Range(1'000, 1'000'000)->Unit(benchmark::kMillisecond);

/// 100,000 layers, and so many names to skip that each match one of them.
void match_of_skips(benchmark::State& state) {
  const auto skips = static_cast<std::size_t>(state.range(0));
  const std::string bytes = model_of(200'000);
  const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "growth.onnx");
  const auto layers = ptq::layers_of(*model);
  ptq::spec wanted = spec_of(1);
  for (std::size_t i = 0; i < skips; ++i)
    wanted.quantize.skip_names.push_back("*layers." + std::to_string(i));
  for (auto _ : state) benchmark::DoNotOptimize(ptq::match(wanted, layers->layers));
  per_item(state, "per_layer", layers->layers.size());
}
BENCHMARK(match_of_skips)->RangeMultiplier(300)->Range(1, 90'000)->Unit(benchmark::kMillisecond);

/// 100,000 layers.
void match_of_rules(benchmark::State& state) {
  const auto rules = static_cast<std::size_t>(state.range(0));
  const std::string bytes = model_of(200'000);
  const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "growth.onnx");
  const auto layers = ptq::layers_of(*model);
  const ptq::spec wanted = spec_of(rules);
  for (auto _ : state) benchmark::DoNotOptimize(ptq::match(wanted, layers->layers));
  per_item(state, "per_rule_and_layer", rules * layers->layers.size());
}
BENCHMARK(match_of_rules)->RangeMultiplier(10)->Range(1, 1'000)->Unit(benchmark::kMillisecond);

}  // namespace
