// SPDX-License-Identifier: Apache-2.0
// Your own dtype, usable by its name in specifications, with every backend. Nothing of the library is
// touched.
#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "ptq/ptq.hpp"

// Integers from -8 to 7: in memory one to a byte, in files two.
struct int4 {
  static constexpr const char* name = "int4";
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr int bits = 4;
  static constexpr float max_finite = 7.0F;
  static constexpr float lowest = -8.0F;

  // int8 rounds already; what is left is a smaller range.
  static constexpr storage encode(float value) noexcept {
    const storage code = ptq::int8::encode(value);
    return code < -8 ? storage{-8} : code > 7 ? storage{7} : code;
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

// The policies that words are looked up in: the built-in ones, but for the dtypes.
struct my_policies : ptq::builtin {
  using dtypes = ptq::list<ptq::int8, int4>;
};

int main() {
  const std::vector<float> weights{0.1F, -0.5F, 0.25F, 0.0F, 10.0F, -20.0F, 5.0F, 2.5F};
  const std::vector<ptq::layer> layers{{"encoder", "Linear", {weights, {2, 4}}},
                                       {"head", "Linear", {weights, {2, 4}}}};

  using pair = std::pair<const char*, const char*>;
  for (const auto& [backend, mode] : {pair("torchao", "weight_only_ptq"), pair("modelopt", "static_ptq")}) {
    ptq::spec spec;  // as read_spec(file, {}, words_of<my_policies>()) would give it
    spec.quantize.backend = backend;
    spec.quantize.mode = mode;
    spec.quantize.layers = {{"*", ptq::slot_config{"int8", {}}, {}},
                            {"head", ptq::slot_config{"int4", {}}, {}}};

    const ptq::plan plan = ptq::match<my_policies>(spec, layers);
    const auto done = ptq::apply<my_policies>(plan, layers, [&](const ptq::quantized_layer& q) {
      std::printf("%s, %s: %s, %.1f dB, scales", backend, q.source.name.c_str(), q.dtype.name,
                  ptq::quantization_error(q).sqnr_db);
      for (const float scale : q.scales) std::printf(" %.6f", static_cast<double>(scale));
      std::printf("\n");
    });
    if (!done) return std::puts(done.error().what.c_str()), 1;
  }

  // And by its type, where that is known when you compile.
  constexpr std::array<float, 4> row{0.1F, -0.5F, 0.25F, 0.0F};
  std::array<std::int8_t, 4> codes{};
  float scale = 0;
  if (!ptq::quantize<int4, ptq::torchao>(row, codes, {&scale, 1}, ptq::per_tensor())) return 1;
  std::printf("codes %d %d %d %d\n", codes[0], codes[1], codes[2], codes[3]);
}
