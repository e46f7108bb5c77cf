// SPDX-License-Identifier: Apache-2.0
// Constant weights have the codes and scales that `quantize` gives.
#include "ptq/quantize/quantize_constant.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "ptq/backends.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/random.hpp"

namespace {

using ptq::detail::bits_of;
using ptq::detail::float_of;

constexpr ptq::granularity by_tensor = ptq::per_tensor();
constexpr ptq::granularity by_row = ptq::per_channel(0);
constexpr ptq::granularity by_column = ptq::per_channel(1);

/// Ordinary values; all zeros; one far larger than the others; subnormals; the largest floats; ties.
constexpr float rows[6][7] = {
    {0.5F, -0.25F, 1.0F, 0.1F, -0.3F, 0.7F, -0.9F},
    {0.0F, -0.0F, 0.0F, 0.0F, 0.0F, -0.0F, 0.0F},
    {1e30F, 1.0F, -1e-30F, 1e-37F, -1e10F, 1e20F, 3e25F},
    {0x1p-149F, -0x1p-140F, 0x1.8p-130F, 0x1p-127F, -0x1.fp-128F, 0.0F, 0x1p-145F},
    {0x1.fffffep127F, -0x1p127F, 0x1.8p126F, 1.0F, -0x1p120F, 0x1p-149F, 0x1.4p121F},
    {127.0F, 0.5F, -1.5F, 2.5F, -126.5F, 63.5F, -127.0F},
};

template <class Element, std::size_t Size>
constexpr auto random_weights(std::uint64_t seed) {
  std::array<Element, Size> made{};
  test::random_bits random(seed);
  for (Element& weight : made) weight = ptq::element_traits<Element>::from_float(random.next_float(-12, -2));
  return made;
}
constexpr auto floats = random_weights<float, 3 * 2000>(20);
constexpr auto doubles = random_weights<double, 60>(21);
constexpr auto halves = random_weights<ptq::half, 60>(22);
constexpr auto many_halves = random_weights<ptq::half, 5000>(24);
constexpr auto bfloats = random_weights<ptq::bfloat16, 60>(23);
constexpr std::array<std::array<float, 3>, 2> nested{{{0.25F, -1.0F, 0.5F}, {3.0F, 2.0F, -0.125F}}};
constexpr float one = 0.75F;
constexpr std::array<float, 1> single{one};

constexpr ptq::tensor_shape in_chunks{3, 2, 1000};
constexpr ptq::tensor_shape matrix{4, 15};

/// Whether a constant has the bits that `quantize` makes of the same weights.
template <class D, class B, class Constant, class Element>
bool is_quantized(const Constant& constant, const Element* weights) {
  std::array<typename D::storage, Constant::shape.size()> codes{};
  std::array<float, std::tuple_size_v<decltype(constant.scales)>> scales{};
  const ptq::tensor_view<const Element> view(weights, Constant::shape);
  if (!ptq::quantize<D, B>(view, codes, scales, Constant::grain)) return false;
  for (std::size_t i = 0; i < scales.size(); ++i)
    if (bits_of(scales[i]) != bits_of(constant.scales[i])) return false;
  return codes == constant.codes;
}

/// Calls f with each dtype under each backend.
template <class F>
void for_each_pair(const F& f) {
  ptq::detail::for_each_type(ptq::dtypes{}, [&]<class D>(ptq::detail::type_tag<D>) {
    ptq::detail::for_each_type(ptq::backends{}, [&]<class B>(ptq::detail::type_tag<B>) {
      if constexpr (!std::is_same_v<D, ptq::native>) f.template operator()<D, B>();
    });
  });
}

constexpr auto layer = ptq::quantize_constant<ptq::int8, ptq::modelopt, nested>();
static_assert(layer.codes == std::array<std::int8_t, 6>{32, -127, 64, 127, 85, -5});
static_assert(layer.scales == std::array<float, 2>{1.0F / 127, 3.0F / 127});
static_assert(sizeof(layer) == 6 + 2 + 2 * sizeof(float) && layer.shape == ptq::tensor_shape{2, 3});
static_assert(ptq::quantize_constant<ptq::int8, ptq::modelopt, single, by_tensor>().codes[0] == 127);

}  // namespace

TEST_CASE("hostile rows, by row, by column and by tensor") {
  for_each_pair([]<class D, class B>() {
    CAPTURE(D::name);
    CAPTURE(B::name);
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, rows, by_row>(), &rows[0][0]));
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, rows, by_column>(), &rows[0][0]));
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, rows, by_tensor>(), &rows[0][0]));
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, rows>(), &rows[0][0]));
  });
}

TEST_CASE("tensors of several chunks, which end within rows") {
  for_each_pair([]<class D, class B>() {
    CAPTURE(D::name);
    CAPTURE(B::name);
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, floats, in_chunks>(), floats.data()));
  });
  CHECK(is_quantized<ptq::int8, ptq::torchao>(
      ptq::quantize_constant<ptq::int8, ptq::torchao, floats, in_chunks, by_column>(), floats.data()));
  CHECK(is_quantized<ptq::int8, ptq::torchao>(
      ptq::quantize_constant<ptq::int8, ptq::torchao, floats, in_chunks, ptq::per_channel(2)>(),
      floats.data()));
  CHECK(is_quantized<ptq::int8, ptq::torchao>(
      ptq::quantize_constant<ptq::int8, ptq::torchao, floats, by_tensor>(), floats.data()));
}

TEST_CASE("several chunks of weights that are no floats") {
  CHECK(is_quantized<ptq::int8, ptq::modelopt>(
      ptq::quantize_constant<ptq::int8, ptq::modelopt, many_halves, by_tensor>(), many_halves.data()));
}

TEST_CASE("elements of other types") {
  for_each_pair([]<class D, class B>() {
    CAPTURE(D::name);
    CAPTURE(B::name);
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, doubles, matrix, by_row>(), doubles.data()));
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, halves, matrix, by_row>(), halves.data()));
    CHECK(is_quantized<D, B>(ptq::quantize_constant<D, B, bfloats, matrix, by_row>(), bfloats.data()));
  });
}
