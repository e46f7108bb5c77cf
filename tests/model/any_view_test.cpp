// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/tensor/any_view.hpp"

namespace {

struct outcome {
  std::vector<std::byte> codes;
  std::vector<float> scales;
  friend bool operator==(const outcome&, const outcome&) = default;
};

outcome quantize(const ptq::any_view& weight) {
  const std::vector<ptq::layer> layers{{"fc", "Linear", weight}};
  ptq::plan plan;
  plan.backend = "torchao";
  plan.layers.emplace_back().name = "fc";
  plan.layers[0].shape = weight.shape;
  plan.layers[0].weights.dtype = "int8";
  outcome made;
  CHECK(ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) {
    made = {{q.codes.begin(), q.codes.end()}, {q.scales.begin(), q.scales.end()}};
  }));
  return made;
}

template <class T>
void check_every_address() {
  std::vector<T> values;
  for (int i = 0; i < 3 * 300; ++i)
    values.push_back(ptq::element_traits<T>::from_float(static_cast<float>(i % 71) - 33.5F));
  const ptq::tensor_shape shape{3, 300};
  const outcome wanted = quantize(ptq::any_view(values, shape));
  REQUIRE(wanted.codes.size() == 900);
  std::vector<std::byte> memory(values.size() * sizeof(T) + sizeof(T));
  for (std::size_t shift = 0; shift < sizeof(T); ++shift) {
    CAPTURE(shift);
    std::memcpy(memory.data() + shift, values.data(), values.size() * sizeof(T));
    const ptq::any_view view(memory.data() + shift, ptq::element_traits<T>::type, shape);
    CHECK(quantize(view) == wanted);
  }
}

}  // namespace

TEST_CASE("a tensor may lie at any address") {
  check_every_address<float>();
  check_every_address<double>();
  check_every_address<ptq::half>();
  check_every_address<ptq::bfloat16>();
}
