// SPDX-License-Identifier: Apache-2.0
// quantize_model IN                                              prints each layer and its input tensor
// quantize_model IN OUT BACKEND DTYPE[/DTYPE] GRANULARITY [LAYER=AMAX...]
//   quantizes all weights; with amaxes, all inputs too, in the second dtype if there is one
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/backend_row.hpp"
#include "ptq/model/match.hpp"
#include "ptq/quantize/scales.hpp"

namespace {

/// Integers from -8 to 7, two to a byte in files.
struct int4 {
  static constexpr const char* name = "int4";
  static constexpr int bits = 4;
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 7.0F;
  static constexpr float lowest = -8.0F;
  static constexpr storage encode(const float& value) noexcept {
    const storage code = ptq::int8::encode(value);
    return code < -8 ? storage{-8} : code > 7 ? storage{7} : code;
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

struct int16 {
  static constexpr const char* name = "int16";
  using storage = std::int16_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 32767.0F;
  static constexpr float lowest = -32768.0F;
  static storage encode(const float& value) noexcept {
    return static_cast<storage>(std::lrint(std::clamp(value, lowest, max_finite)));
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

/// What a user may add stands beside what there is.
struct policies : ptq::builtin {
  using dtypes = ptq::list<ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2, int4, int16>;
};

int fail(const ptq::error& error) {
  std::fprintf(stderr, "%s\n", error.what.c_str());
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() != 1 && words.size() < 5) return 2;
  const auto model = ptq::read_onnx(words[0]);
  if (!model) return fail(model.error());
  const auto layers = ptq::layers_of(*model);
  if (!layers) return fail(layers.error());
  if (words.size() == 1) {
    for (std::size_t i = 0; i < layers->layers.size(); ++i)
      for (const ptq::onnx_call& call : layers->sources[i].calls)
        if (layers->layers[i].reason.empty())
          std::printf("%s\t%s\n", layers->layers[i].name.c_str(),
                      model->graph.nodes[call.node].inputs[call.input].c_str());
    return 0;
  }

  ptq::spec spec;
  spec.quantize.backend = words[2];
  const std::string of_weights = words[3].substr(0, words[3].find('/'));
  const std::string of_inputs = words[3].substr(words[3].find('/') + 1);
  const ptq::slot_config weights{of_weights, {}};
  const ptq::slot_config inputs{of_inputs, {}};
  spec.quantize.layers.push_back({"*", weights, words.size() > 5 ? std::optional(inputs) : std::nullopt});
  auto planned = ptq::match<policies>(spec, layers->layers);
  const ptq::recipe* const of_input = ptq::find_backend_row<policies>(words[2])->find(of_inputs);
  std::vector<ptq::activation_range> ranges;
  for (std::size_t i = 0; i < layers->layers.size(); ++i) {
    if (words[4] != "default" && planned.layers[i].weights.is_quantized())
      planned.layers[i].weights.grain = words[4] == "per_channel"
                                            ? ptq::per_channel(layers->layers[i].output_axis.value_or(0))
                                            : ptq::per_tensor();
    if (!planned.layers[i].activations.is_quantized()) continue;
    const std::string start = layers->layers[i].name + "=";
    const auto given = std::find_if(words.begin() + 5, words.end(),
                                    [&](const std::string& word) { return word.starts_with(start); });
    if (given == words.end()) return 2;
    const float amax = std::strtof(given->c_str() + start.size(), nullptr);
    ranges.emplace_back().layer = i;
    ranges.back().range = {amax, ptq::range_reason::found};
    ranges.back().scale = ptq::detail::scale_of<float>(amax, *of_input);
  }
  auto written = ptq::write_onnx<policies>(
      words[1], *model, *layers, planned, [](const ptq::quantized_layer&) {}, ranges);
  if (!written) return fail(written.error());
  for (const std::string& note : written->notes()) std::printf("note: %s\n", note.c_str());
  if (const auto committed = written->commit(); !committed) return fail(committed.error());
  return 0;
}
