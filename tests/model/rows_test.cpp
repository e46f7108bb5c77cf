// SPDX-License-Identifier: Apache-2.0
// Dtypes and backends by their words: each row does what its types do.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/backend_row.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/quantize/fake_quantize.hpp"

namespace {

/// A user's dtype with codes of two bytes.
struct int12 {
  static constexpr const char* name = "int12";
  using storage = std::int16_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 2047.0F;
  static constexpr float lowest = -2048.0F;
  static constexpr int bits = 12;

  static storage encode(float value) noexcept {
    return static_cast<storage>(std::lrint(std::clamp(value, lowest, max_finite)));
  }
  static float decode(storage code) noexcept { return static_cast<float>(code); }
};

/// Integers of a few bits, with a sign or without one.
template <class Storage, int Bits>
struct few_bits {
  static constexpr std::array<char, 4> letters{std::is_signed_v<Storage> ? 's' : 'u', '0' + Bits, 0, 0};
  static constexpr const char* name = letters.data();
  using storage = Storage;
  static constexpr bool is_integer = true;
  static constexpr int bits = Bits;
  static constexpr float max_finite = static_cast<float>((1 << (Bits - std::is_signed_v<Storage>)) - 1);
  static constexpr float lowest = std::is_signed_v<Storage> ? -max_finite - 1 : -0.0F;

  static storage encode(float value) noexcept {
    return static_cast<storage>(std::lrint(std::clamp(value, lowest, max_finite)));
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

template <int Bits>
using s = few_bits<std::int8_t, Bits>;
template <int Bits>
using u = few_bits<std::uint8_t, Bits>;

struct my_policies : ptq::builtin {
  using dtypes = ptq::list<ptq::int8, ptq::fp8_e5m2, ptq::native, int12, s<2>, s<3>, s<4>, s<5>, s<6>, s<7>,
                           u<1>, u<2>, u<3>, u<4>, u<5>, u<6>, u<7>>;
};

std::vector<float> ramp(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i)
    values[i] = (static_cast<float>(i * 29 % size) - static_cast<float>(size) * 0.6F) * 0.25F;
  return values;
}

template <class F>
void for_each_pair(F&& f) {
  ptq::detail::for_each_type(my_policies::dtypes{}, [&]<class D>(ptq::detail::type_tag<D>) {
    ptq::detail::for_each_type(my_policies::backends{},
                               [&]<class B>(ptq::detail::type_tag<B>) { f(D{}, B{}); });
  });
}

}  // namespace

TEST_CASE("a row has the facts of its dtype") {
  const ptq::dtype_row* const int8 = ptq::find_dtype_row("int8");
  REQUIRE(int8 != nullptr);
  CHECK(int8->name == std::string_view("int8"));
  CHECK(int8->bits == 8);
  CHECK(int8->code_size == 1);
  CHECK(int8->is_signed);
  CHECK(!int8->is_packed());
  CHECK(int8->stored_size(10) == 10);
  CHECK(int8->limits.lowest == -128.5);
  CHECK(int8->limits.highest == 127.5);
  CHECK(int8->levels.size() == 128);
  CHECK(ptq::find_dtype_row("fp8_e4m3fn")->levels.size() == 127);
  CHECK(!ptq::find_dtype_row("fp8_e4m3fn")->is_signed);
  CHECK(ptq::find_dtype_row("native")->code_size == 4);
  CHECK(int8 == &ptq::dtype_row_of<ptq::int8>);
  CHECK(int8 == ptq::find_dtype_row<my_policies>("int8"));

  CHECK(ptq::find_dtype_row("int12") == nullptr);
  const ptq::dtype_row* const wide = ptq::find_dtype_row<my_policies>("int12");
  REQUIRE(wide != nullptr);
  CHECK(wide->bits == 12);
  CHECK(wide->code_size == 2);
  CHECK(wide->stored_size(5) == 10);  // not packed: files hold its storage
  const ptq::dtype_row* const narrow = ptq::find_dtype_row<my_policies>("s4");
  REQUIRE(narrow != nullptr);
  CHECK(narrow->is_packed());
  CHECK(narrow->code_size == 1);
  CHECK(narrow->stored_size(5) == 3);
}

TEST_CASE("a backend is found by each of its names, and by no other") {
  for (const char* word : {"modelopt", "modelopt.pytorch", "modelopt.onnx"}) {
    CAPTURE(word);
    const ptq::backend_row* const found = ptq::find_backend_row(word);
    REQUIRE(found != nullptr);
    CHECK(found->name == std::string_view("modelopt"));
    CHECK(found->activations);
    CHECK(ptq::find_quantizer("int8", word) != nullptr);
  }
  for (const char* word : {"", "model", "modelopt.", "modelopt.tensorrt", "torchao.onnx", "torchao."}) {
    CAPTURE(word);
    CHECK(ptq::find_backend_row(word) == nullptr);
    CHECK(ptq::find_quantizer("int8", word) == nullptr);
  }
  CHECK(!ptq::find_backend_row("torchao")->activations);
  CHECK(ptq::find_backend_row("torchao")->find("int4") == nullptr);
  CHECK(ptq::find_quantizer("int4", "torchao") == nullptr);
}

TEST_CASE("kernels are found for the arithmetic that some backend uses") {
  for_each_pair([]<class D, class B>(D, B) {
    CAPTURE(D::name);
    CAPTURE(B::name);
    const ptq::quantizer* const found = ptq::find_quantizer<my_policies>(D::name, B::name);
    REQUIRE(found != nullptr);
    CHECK(found->numbers == ptq::recipe_of<D, B>);
    CHECK(found->kernels == &ptq::kernel_row_of<D, ptq::recipe_of<D, B>.how>);
    CHECK(&found->dtype() == &ptq::dtype_row_of<D>);
  });
  CHECK(ptq::find_kernel_row("fp8_e5m2", ptq::arithmetic::divide) != nullptr);
  CHECK(ptq::find_kernel_row("fp8_e5m2", ptq::arithmetic::multiply_by_reciprocal) == nullptr);
  CHECK(ptq::find_kernel_row("int12", ptq::arithmetic::divide) == nullptr);
}

TEST_CASE("rows quantize and dequantize as types do, into the caller's memory") {
  const std::vector<float> flat = ramp(600);
  const ptq::tensor_view<const float> columns(flat.data(), {300, 2}, {1, 300});
  for_each_pair([&]<class D, class B>(D, B) {
    CAPTURE(D::name);
    CAPTURE(B::name);
    using storage = typename D::storage;
    const ptq::quantizer& how = *ptq::find_quantizer<my_policies>(D::name, B::name);
    for (const ptq::granularity grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)}) {
      std::vector<storage> wanted(600);
      std::vector<float> wanted_scales(ptq::scale_count(columns.shape, grain));
      REQUIRE(ptq::quantize<D, B>(columns, wanted, wanted_scales, grain));
      std::vector<storage> codes(600);
      std::vector<float> scales(wanted_scales.size());
      const auto bytes = std::as_writable_bytes(std::span(codes));
      REQUIRE(ptq::quantize(columns, how, bytes, scales, grain));
      CHECK(codes == wanted);
      CHECK(scales == wanted_scales);

      std::fill(codes.begin(), codes.end(), storage{});
      REQUIRE(ptq::quantize_by(columns, how, scales, bytes, grain));
      CHECK(codes == wanted);

      std::vector<float> values(600), wanted_values(600);
      REQUIRE(
          ptq::dequantize<D>(wanted, scales, grain,
                             ptq::tensor_view<float>(wanted_values.data(), columns.shape, columns.strides)));
      REQUIRE(ptq::dequantize(how.dtype(), bytes, scales, grain,
                              ptq::tensor_view<float>(values.data(), columns.shape, columns.strides)));
      CHECK(values == wanted_values);

      CHECK(ptq::quantize(columns, how, bytes.first(bytes.size() - 1), scales, grain) ==
            ptq::status{ptq::errc::size_mismatch, 600});
      CHECK(ptq::quantize_by(columns, how, scales, bytes.first(bytes.size() - 1), grain) ==
            ptq::status{ptq::errc::size_mismatch, 600});
      CHECK(ptq::dequantize(how.dtype(), bytes.first(0), scales, grain, values).code != ptq::errc::ok);
    }
    std::vector<storage> codes(600), wanted(600);
    std::vector<float> scales(300), wanted_scales(300);
    REQUIRE(ptq::quantize_per_token<D, B>(columns, wanted, wanted_scales));
    REQUIRE(ptq::quantize_per_token(columns, how, std::as_writable_bytes(std::span(codes)), scales));
    CHECK(codes == wanted);
    CHECK(scales == wanted_scales);
    std::vector<float> some(flat.begin(), flat.begin() + 300);
    std::vector<float> same = some;
    ptq::fake_quantize(some, *how.kernels, ptq::scale_for<D, B>(40.0F));
    ptq::fake_quantize<D, B>(same, 40.0F);
    CHECK(some == same);
  });
}

TEST_CASE("codes of a dtype that is known at run time go to matrices too, in their order") {
  const float rows[2][3] = {{1, -2, 3}, {4, 5, -6}};
  const ptq::tensor_view<const float> columns(&rows[0][0], {2, 3}, {1, 2});
  const ptq::quantizer& how = *ptq::find_quantizer<my_policies>("int12", "modelopt");
  std::int16_t codes[2][3] = {};
  float scales[2] = {};
  REQUIRE(ptq::quantize(rows, how, codes, scales, ptq::per_channel(0)));
  CHECK(codes[1][2] == -2047);
  CHECK(ptq::quantize_by(rows, how, scales, codes, ptq::per_channel(0)));
  CHECK(ptq::quantize_per_token(columns, how, codes, scales));
  const ptq::status other_order{ptq::errc::unsupported, 0};
  CHECK(ptq::quantize(columns, how, codes, scales, ptq::per_channel(0)) == other_order);
  CHECK(ptq::quantize_by(columns, how, scales, codes, ptq::per_channel(0)) == other_order);
  float values[2][3] = {};
  CHECK(ptq::dequantize(how.dtype(), codes, scales, ptq::per_channel(0), values));
  std::vector<float> flat(6);
  CHECK(ptq::dequantize(how.dtype(), codes, scales, ptq::per_channel(0),
                        ptq::tensor_view<float>(flat.data(), {2, 3}, {1, 2})) == other_order);
}

TEST_CASE("what cannot be quantized at run time is told in the status") {
  const std::vector<float> flat = ramp(6);
  const ptq::quantizer& how = *ptq::find_quantizer("int8", "torchao");
  std::vector<std::byte> codes(6);
  std::vector<float> scales(2);
  const ptq::any_view misfit(flat, {2, 4});
  CHECK(ptq::quantize(misfit, how, codes, scales, ptq::per_channel(0)) ==
        ptq::status{ptq::errc::size_mismatch, 8});
  CHECK(ptq::quantize_by(misfit, how, scales, codes, ptq::per_channel(0)) ==
        ptq::status{ptq::errc::size_mismatch, 8});
  const ptq::any_view no_floats(codes.data(), ptq::element_type::int8, {6});
  CHECK(ptq::quantize(no_floats, how, codes, std::span(scales).first(1), ptq::per_tensor()).code ==
        ptq::errc::unsupported);
  CHECK(ptq::quantize_by(no_floats, how, std::span(scales).first(1), codes).code == ptq::errc::unsupported);
  CHECK(ptq::quantize_by(ptq::any_view(flat, {2, 3}), how, scales, codes, ptq::per_channel(2)) ==
        ptq::status{ptq::errc::axis_out_of_range, 2});
}

TEST_CASE("weights of an artifact are decoded as their dtype says, packed codes in blocks") {
  const std::vector<float> flat = ramp(3 * 700);
  for_each_pair([&]<class D, class B>(D, B) {
    CAPTURE(D::name);
    CAPTURE(B::name);
    const ptq::tensor_view<const float> tensor(flat.data(), {3, 700});
    for (const ptq::granularity grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)}) {
      std::vector<typename D::storage> codes(flat.size());
      std::vector<float> scales(ptq::scale_count(tensor.shape, grain));
      REQUIRE(ptq::quantize<D, B>(tensor, codes, scales, grain));
      std::vector<float> wanted(flat.size());
      REQUIRE(ptq::dequantize<D>(codes, scales, grain, ptq::tensor_view<float>(wanted.data(), tensor.shape)));

      const ptq::dtype_row& row = ptq::dtype_row_of<D>;
      const auto bytes = std::as_bytes(std::span(codes));
      std::vector<std::byte> stored(row.stored_size(flat.size()));
      if (row.is_packed())
        ptq::pack(bytes, row.bits, stored);
      else
        std::copy(bytes.begin(), bytes.end(), stored.begin());
      std::vector<float> values(flat.size());
      const ptq::artifact_weights weights{D::name, tensor.shape, grain, stored, scales};
      REQUIRE(ptq::dequantize<my_policies>(weights, values));
      CHECK(values == wanted);

      ptq::artifact_weights cut = weights;
      cut.codes = cut.codes.first(cut.codes.size() - 1);
      CHECK(ptq::dequantize<my_policies>(cut, values) == ptq::status{ptq::errc::size_mismatch, flat.size()});
      CHECK(ptq::dequantize<my_policies>(weights, std::span(values).first(5)) ==
            ptq::status{ptq::errc::size_mismatch, flat.size()});
    }
  });
  CHECK(ptq::dequantize(ptq::artifact_weights{"int12", {0}, {}, {}, {}}, {}).code == ptq::errc::unsupported);
}
