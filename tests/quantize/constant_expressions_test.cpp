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

// Row 3 of a case of tests/golden/c_static, normal_16x33, as ModelOpt packs it with one scale per channel.
constexpr std::array<float, 33> row{
    float_of(0xbf75fc86u), float_of(0xbe0b57d2u), float_of(0x3f8a0e51u), float_of(0x3f885e28u),
    float_of(0xbeed4f2bu), float_of(0xbf42293bu), float_of(0x3f637540u), float_of(0xbeb25a76u),
    float_of(0x3f7840fdu), float_of(0x3f141fc1u), float_of(0xbcdee374u), float_of(0xbe6f7be4u),
    float_of(0x3f66d5bbu), float_of(0xbee55a20u), float_of(0x3f671d58u), float_of(0x3f8b5f86u),
    float_of(0xbf15beedu), float_of(0x3f142a5cu), float_of(0x3ee9a722u), float_of(0x3f091e84u),
    float_of(0x3f4257bfu), float_of(0xbebc7b02u), float_of(0xc0039e07u), float_of(0xbf755b3fu),
    float_of(0x3f3e4194u), float_of(0x3feb5481u), float_of(0xbf07e421u), float_of(0x3fd877b4u),
    float_of(0x3de017acu), float_of(0xbef452eau), float_of(0xbdffca40u), float_of(0xbf96760fu),
    float_of(0x3f48a835u)};

constexpr auto packed_int8 =
    quantize_and_back<ptq::int8, ptq::modelopt, 1>(row, {1, 33}, ptq::per_channel(0));
static_assert(packed_int8.outcome && packed_int8.scales[0] == float_of(0x3c84a756u));
static_assert(packed_int8.codes == std::array<std::int8_t, 33>{-59, -8, 67,  66,  -29,  -47, 55, -22, 60,
                                                               36,  -2, -14, 56,  -28,  56,  67, -36, 36,
                                                               28,  33, 47,  -23, -127, -59, 46, 114, -33,
                                                               104, 7,  -29, -8,  -73,  48});

constexpr auto packed_e4m3fn =
    quantize_and_back<ptq::fp8_e4m3fn, ptq::modelopt, 1>(row, {1, 33}, ptq::per_channel(0));
static_assert(packed_e4m3fn.outcome && packed_e4m3fn.scales[0] == float_of(0x3b966b76u));
static_assert(packed_e4m3fn.codes ==
              std::array<std::uint8_t, 33>{0xf5, 0xdf, 0x77, 0x77, 0xed, 0xf2, 0x74, 0xe9, 0x75, 0x70, 0xcc,
                                           0xe5, 0x74, 0xec, 0x74, 0x77, 0xf0, 0x70, 0x6c, 0x6f, 0x72, 0xea,
                                           0xfe, 0xf5, 0x72, 0x7d, 0xee, 0x7c, 0x5c, 0xed, 0xde, 0xf8, 0x73});

// About every 300th line of tests/golden/a_codec: the bits of a value, and its code.
struct coded {
  std::uint32_t value;
  std::uint8_t code;
};

template <class D, std::size_t Size>
constexpr bool encodes(const std::array<coded, Size>& lines) {
  for (const coded& line : lines)
    if (D::codec::template encode<ptq::saturate>(line.value) != line.code) return false;
  return true;
}

template <class D, std::size_t Size>
constexpr bool decodes(const std::array<coded, Size>& lines) {
  for (const coded& line : lines)
    if (D::codec::decode(line.code) != line.value) return false;
  return true;
}

static_assert(encodes<ptq::fp8_e4m3fn>(std::array<coded, 16>{{{0xc3e00000u, 0xfe},
                                                              {0xbfe80000u, 0xbe},
                                                              {0x3ba00001u, 0x03},
                                                              {0x4037ffffu, 0x43},
                                                              {0xc3900001u, 0xf9},
                                                              {0xc02a88f6u, 0xc3},
                                                              {0xb82d7713u, 0x80},
                                                              {0xbb60138cu, 0x82},
                                                              {0xbcba8b9cu, 0x8c},
                                                              {0x43304cc4u, 0x73},
                                                              {0x39ec2083u, 0x00},
                                                              {0xbe40fa71u, 0xa4},
                                                              {0xc058b04cu, 0xc6},
                                                              {0x1b8f7b08u, 0x00},
                                                              {0x9227ad14u, 0x80},
                                                              {0x8b34784eu, 0x80}}}));
static_assert(decodes<ptq::fp8_e4m3fn>(std::array<coded, 15>{{{0x00000000u, 0x00},
                                                              {0x3d100000u, 0x11},
                                                              {0x3e200000u, 0x22},
                                                              {0x3f300000u, 0x33},
                                                              {0x40400000u, 0x44},
                                                              {0x41500000u, 0x55},
                                                              {0x42600000u, 0x66},
                                                              {0x43700000u, 0x77},
                                                              {0xbc800000u, 0x88},
                                                              {0xbd900000u, 0x99},
                                                              {0xbea00000u, 0xaa},
                                                              {0xbfb00000u, 0xbb},
                                                              {0xc0c00000u, 0xcc},
                                                              {0xc1d00000u, 0xdd},
                                                              {0xc2e00000u, 0xee}}}));
static_assert(encodes<ptq::fp8_e5m2>(std::array<coded, 16>{{{0xc7600000u, 0xfb},
                                                            {0xbef00000u, 0xb8},
                                                            {0x39b00001u, 0x0e},
                                                            {0x424fffffu, 0x52},
                                                            {0xc4000001u, 0xe0},
                                                            {0x426a67bcu, 0x53},
                                                            {0xbc3ae643u, 0xa2},
                                                            {0xc42ec915u, 0xe1},
                                                            {0x45310cc7u, 0x6a},
                                                            {0x3ea1e722u, 0x35},
                                                            {0xba4e4a57u, 0x92},
                                                            {0xc0950f8au, 0xc5},
                                                            {0x43c057d7u, 0x5e},
                                                            {0xa31f5d12u, 0x80},
                                                            {0xe3544789u, 0xfb},
                                                            {0x06d0c1bau, 0x00}}}));
static_assert(decodes<ptq::fp8_e5m2>(std::array<coded, 15>{{{0x00000000u, 0x00},
                                                            {0x3a200000u, 0x11},
                                                            {0x3c400000u, 0x22},
                                                            {0x3e600000u, 0x33},
                                                            {0x40800000u, 0x44},
                                                            {0x42a00000u, 0x55},
                                                            {0x44c00000u, 0x66},
                                                            {0x46e00000u, 0x77},
                                                            {0xb9000000u, 0x88},
                                                            {0xbb200000u, 0x99},
                                                            {0xbd400000u, 0xaa},
                                                            {0xbf600000u, 0xbb},
                                                            {0xc1800000u, 0xcc},
                                                            {0xc3a00000u, 0xdd},
                                                            {0xc5c00000u, 0xee}}}));

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

// A layer of ordinary size needs no compiler's limits raised.
template <ptq::dtype D, ptq::backend B>
constexpr bool quantizes_a_layer() {
  std::array<float, 4096> values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 1021) - 510.0F;
  std::array<typename D::storage, 4096> codes{};
  std::array<float, 16> scales{};
  const ptq::tensor_view<const float> view(values.data(), {16, 256});
  return ptq::quantize<D, B>(view, codes, scales, ptq::per_channel(0)) == ptq::status{} &&
         D::decode(codes[0]) < 0.0F;
}
static_assert(quantizes_a_layer<ptq::int8, ptq::torchao>());
static_assert(quantizes_a_layer<ptq::int8, ptq::modelopt>());
static_assert(quantizes_a_layer<ptq::fp8_e4m3fn, ptq::torchao>());
static_assert(quantizes_a_layer<ptq::fp8_e5m2, ptq::modelopt>());

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
