// SPDX-License-Identifier: Apache-2.0
// An ONNX graph as it is run.
#include "tiny_engine/engine.hpp"

#include "target.hpp"

namespace {

constexpr std::size_t most_values = 100'000;  // that a graph is run with

void run(const std::uint8_t* data, std::size_t size, tiny::arithmetic numbers) {
  auto model = ptq::read_onnx(fuzz::bytes_of(data, size), "fuzzed.onnx");
  if (!fuzz::succeeded(model)) return;
  auto engine = tiny::engine::load(*std::move(model), numbers);
  if (!fuzz::succeeded(engine)) return;
  std::vector<std::vector<std::byte>> memory;
  std::vector<ptq::named_array> inputs;
  for (const ptq::graph_input& input : engine->inputs()) {
    std::vector<std::size_t> extents;
    for (const auto& extent : input.shape.value_or(std::vector<std::optional<std::size_t>>{}))
      extents.push_back(extent.value_or(1));
    if (extents.size() > ptq::max_rank) return;
    std::size_t count = 1;
    for (const std::size_t extent : extents) {
      if (extent > most_values || count * extent > most_values) return;
      count *= extent;
    }
    memory.emplace_back(count * ptq::size_of(input.type) + 1);
    inputs.push_back(
        {input.name, ptq::any_view(memory.back().data(), input.type, ptq::tensor_shape(std::span(extents)))});
  }
  const std::vector<std::string> outputs(engine->outputs().begin(), engine->outputs().end());
  const auto ignore = [](const ptq::named_array&) -> ptq::result<void> { return {}; };
  static_cast<void>(fuzz::succeeded(engine->run(inputs, outputs, ignore)));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const tiny::arithmetic numbers : {tiny::arithmetic::onnx, tiny::arithmetic::integer})
    run(data, size, numbers);
  return 0;
}
