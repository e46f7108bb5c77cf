// SPDX-License-Identifier: Apache-2.0
// Your own calibrator: a question to the statistics of a tensor, usable by its name in specifications. And
// how calibration goes: your forward pass pushes the inputs of layers, the ranges go to `apply` with the
// weights.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "ptq/ptq.hpp"

// Leaves out the ten largest values, at most: for sensors that now and then send garbage.
struct all_but_ten {
  static constexpr const char* name = "all_but_ten";

  ptq::range range(const ptq::statistics<>& seen, const ptq::grid&) const noexcept {
    std::uint64_t left_out = 0;
    std::size_t bins = seen.magnitudes.in_use().size();
    while (bins > 0 && left_out + seen.magnitudes.counts[bins - 1] <= 10)
      left_out += seen.magnitudes.counts[--bins];
    return bins == 0 ? seen.whole() : seen.up_to(2 * bins);  // places in the histogram are given in half bins
  }
};

// The policies that words are looked up in: the built-in ones, but for the calibrators.
struct my_policies : ptq::builtin {
  using calibrators = ptq::list<ptq::minmax, ptq::entropy, all_but_ten>;
};

int main() {
  const std::vector<float> weight{0.1F, -0.5F, 0.25F, 0.0F, 1.0F, -2.0F, 0.5F, 0.25F};
  const std::vector<ptq::layer> layers{{"sensor", "Linear", {weight, {2, 4}}}};

  ptq::spec spec;  // as read_spec(file, {}, words_of<my_policies>()) would give it
  spec.quantize.backend = "modelopt";
  spec.quantize.mode = "static_ptq";
  spec.quantize.layers = {{"sensor", ptq::slot_config{"int8", {}}, ptq::slot_config{"int8", {}}}};
  const ptq::plan plan = ptq::match<my_policies>(spec, layers);

  // The forward pass, here without a network: 100 batches of readings between -1 and 1, three of them
  // garbage.
  ptq::calibration calibration(plan);
  for (int batch = 0; batch < 100; ++batch) {
    std::vector<float> input(4);
    for (std::size_t i = 0; i < 4; ++i)
      input[i] = static_cast<float>((batch * 7 + static_cast<int>(i) * 13) % 201 - 100) / 100;
    if (batch % 40 == 7) input[2] = 500;
    if (const auto taken = calibration.collect("sensor", {input, {1, 4}}); !taken)
      return std::puts(taken.error().what.c_str()), 1;
  }

  for (const char* word : {"minmax", "all_but_ten"}) {
    spec.ptq.calibration.algorithm = word;
    const auto ranges = calibration.ranges<my_policies>(spec.ptq.calibration);
    if (!ranges) return std::puts(ranges.error().what.c_str()), 1;
    const auto done = ptq::apply<my_policies>(plan, layers, *ranges, [](const ptq::quantized_layer& q) {
      std::printf("%-12s inputs up to %8.4f, scale %.6f, %llu of %llu clipped\n", q.input->algorithm,
                  static_cast<double>(q.input->range.amax), static_cast<double>(q.input->scale),
                  static_cast<unsigned long long>(q.input->clipped),
                  static_cast<unsigned long long>(q.input->count));
    });
    if (!done) return std::puts(done.error().what.c_str()), 1;
  }
}
