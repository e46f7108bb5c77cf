// SPDX-License-Identifier: Apache-2.0
// The same functions in constant expressions: firmware can keep quantized tables without any code to make
// them.
#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "ptq/core.hpp"

namespace {

using ptq::detail::float_of;

template <ptq::dtype D, std::size_t Size, std::size_t Scales>
struct quantized {
  std::array<typename D::storage, Size> codes{};
  std::array<float, Scales> scales{};
  std::array<float, Size> values{};
  ptq::status outcome;
};

template <ptq::dtype D, ptq::backend B, std::size_t Scales, std::size_t Size>
constexpr auto quantize_and_back(const std::array<float, Size>& weight, const ptq::tensor_shape& shape,
                                 ptq::granularity grain) {
  quantized<D, Size, Scales> made;
  const ptq::tensor_view<const float> view(weight.data(), shape);
  made.outcome = ptq::quantize<D, B>(view, made.codes, made.scales, grain);
  const ptq::tensor_view<float> target(made.values.data(), shape);
  if (made.outcome) made.outcome = ptq::dequantize<D>(made.codes, made.scales, grain, target);
  return made;
}

// A case of tests/golden/b_weight_only, 16_normal_3x3, as bit patterns.
constexpr std::array<float, 9> weight{float_of(0xbd24776eu), float_of(0xbd188301u), float_of(0x3c781470u),
                                      float_of(0x3d421fd2u), float_of(0xbd8ce0dau), float_of(0xbd96f8eeu),
                                      float_of(0x3d89d687u), float_of(0x3d6a65cfu), float_of(0xbd064247u)};
constexpr ptq::tensor_shape shape{3, 3};

constexpr auto int8 = quantize_and_back<ptq::int8, ptq::torchao, 3>(weight, shape, ptq::per_channel(0));
static_assert(int8.outcome);
static_assert(int8.codes == std::array<std::int8_t, 9>{-128, -118, 48, 82, -119, -128, 127, 108, -62});
static_assert(int8.scales ==
              std::array<float, 3>{float_of(0x39a51c8bu), float_of(0x3a17907eu), float_of(0x3a0a60e8u)});
static_assert(int8.values ==
              std::array<float, 9>{float_of(0xbd251c8bu), float_of(0xbd183650u), float_of(0x3c77aad0u),
                                   float_of(0x3d423121u), float_of(0xbd8ce855u), float_of(0xbd97907eu),
                                   float_of(0x3d894c26u), float_of(0x3d698388u), float_of(0xbd060de1u)});

constexpr auto e4m3fn =
    quantize_and_back<ptq::fp8_e4m3fn, ptq::torchao, 3>(weight, shape, ptq::per_channel(0));
static_assert(e4m3fn.outcome);
static_assert(e4m3fn.codes ==
              std::array<std::uint8_t, 9>{0xfe, 0xfd, 0x73, 0x79, 0xfd, 0xfe, 0x7e, 0x7c, 0xf6});
static_assert(e4m3fn.scales ==
              std::array<float, 3>{float_of(0x38bbf635u), float_of(0x392c8a35u), float_of(0x391d8776u)});
static_assert(e4m3fn.values ==
              std::array<float, 9>{float_of(0xbd24776eu), float_of(0xbd18b80bu), float_of(0x3c813944u),
                                   float_of(0x3d421b7cu), float_of(0xbd8c304bu), float_of(0xbd96f8eeu),
                                   float_of(0x3d89d687u), float_of(0x3d6c4b31u), float_of(0xbd09d687u)});

constexpr auto e5m2 = quantize_and_back<ptq::fp8_e5m2, ptq::torchao, 3>(weight, shape, ptq::per_channel(0));
static_assert(e5m2.outcome);
static_assert(e5m2.codes ==
              std::array<std::uint8_t, 9>{0xfb, 0xfa, 0x75, 0x79, 0xfb, 0xfb, 0x7b, 0x7a, 0xf7});
static_assert(e5m2.scales ==
              std::array<float, 3>{float_of(0x353bf635u), float_of(0x35ac8a35u), float_of(0x359d8776u)});
static_assert(e5m2.values ==
              std::array<float, 9>{float_of(0xbd24776eu), float_of(0xbd0cf8a8u), float_of(0x3c6af3c2u),
                                   float_of(0x3d57acc2u), float_of(0xbd96f8eeu), float_of(0xbd96f8eeu),
                                   float_of(0x3d89d687u), float_of(0x3d6c4b31u), float_of(0xbd09d687u)});

// NaN, infinity and overflow are no obstacles.
template <ptq::dtype D>
constexpr auto codes_of_special_values() {
  const std::array<float, 4> values{float_of(0x7fc00000u), float_of(0x7f800000u), float_of(0xff7fffffu),
                                    0x1p-149F};
  const std::array<float, 1> scale{0x1p-40F};
  std::array<typename D::storage, 4> codes{};
  const ptq::status outcome = ptq::quantize_by<D, ptq::modelopt>(values, scale, codes);
  return outcome ? codes : std::array<typename D::storage, 4>{};
}
static_assert(codes_of_special_values<ptq::int8>() == std::array<std::int8_t, 4>{0, 127, -128, 0});
static_assert(codes_of_special_values<ptq::fp8_e4m3fn>() == std::array<std::uint8_t, 4>{0x7f, 0x7e, 0xfe, 0});

constexpr auto refused = quantize_and_back<ptq::int8, ptq::modelopt, 1>(
    std::array<float, 3>{1.0F, float_of(0xff800000u), float_of(0x7fc00000u)}, {3}, ptq::per_tensor());
static_assert(refused.outcome == ptq::status{ptq::errc::not_finite, 1});

constexpr auto zeros =
    quantize_and_back<ptq::fp8_e4m3fn, ptq::torchao, 1>(std::array<float, 2>{}, {2}, ptq::per_tensor());
static_assert(zeros.outcome && zeros.scales[0] == 1.0F && zeros.codes[0] == 0);

constexpr std::array<float, 3> faked = [] {
  std::array<float, 3> values{0.26F, -3.0F, 0.0F};
  ptq::fake_quantize<ptq::int8, ptq::modelopt>(values, 127.0F);
  return values;
}();
static_assert(faked == std::array<float, 3>{0.0F, -3.0F, 0.0F});

}  // namespace

TEST_CASE("run time gives what constant evaluation gave") {
  const std::array<float, 9> values = weight;
  const auto made = quantize_and_back<ptq::int8, ptq::torchao, 3>(values, shape, ptq::per_channel(0));
  CHECK(made.codes == int8.codes);
  CHECK(made.scales == int8.scales);
  CHECK(made.values == int8.values);
}
