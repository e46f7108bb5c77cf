// SPDX-License-Identifier: Apache-2.0
// Your own backend: the numbers by which a tensor becomes codes, for every dtype, under a name of your own.
// Nothing of the library is touched.
#include <cstdio>
#include <vector>

#include "ptq/ptq.hpp"

// What some accelerator asks for: one scale for the whole tensor, never below 2^-16; integers up to the
// largest positive code on either side (-127 to 127 for int8); values are multiplied by the reciprocal of the
// scale.
struct accelerator {
  static constexpr const char* name = "accelerator";
  static constexpr const char* mode = "weight_only_ptq";
  static constexpr bool activations = false;

  template <ptq::dtype D>
  static constexpr ptq::recipe numbers{.divisor = D::max_finite,
                                       .floor = 0x1p-16F,
                                       .how = ptq::arithmetic::multiply_by_reciprocal,
                                       .weights = ptq::per_tensor()};
};

struct my_policies : ptq::builtin {
  using backends = ptq::list<ptq::torchao, accelerator>;
};

int main() {
  const std::vector<float> weights{0.1F, -0.5F, 0.25F, 0.0F, 10.0F, -20.0F, 5.0F, 2.5F};
  const std::vector<ptq::layer> layers{{"head", "Linear", {weights, {2, 4}}}};

  for (const char* backend : {"torchao", "accelerator"}) {
    ptq::spec spec;  // as read_spec(file, {}, words_of<my_policies>()) would give it
    spec.quantize.backend = backend;
    spec.quantize.layers = {{"Linear", ptq::slot_config{"int8", {}}, {}}};

    const ptq::plan plan = ptq::match<my_policies>(spec, layers);
    const auto done = ptq::apply<my_policies>(plan, layers, [&](const ptq::quantized_layer& q) {
      std::printf("%s: codes", backend);
      for (const auto code : q.codes_as<ptq::int8>()) std::printf(" %d", code);
      std::printf(", scales");
      for (const float scale : q.scales) std::printf(" %.6f", static_cast<double>(scale));
      std::printf("\n");
    });
    if (!done) return std::puts(done.error().what.c_str()), 1;
  }
}
