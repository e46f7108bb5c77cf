// SPDX-License-Identifier: Apache-2.0
// The numbers of each backend, and what makes a class a backend.
#include <doctest/doctest.h>

#include <string_view>

#include "ptq/backends.hpp"
#include "ptq/core.hpp"

namespace {

/// A user's dtype: backends have numbers for it without knowing it.
struct int4 {
  static constexpr const char* name = "int4";
  using storage = signed char;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 7;
  static constexpr float lowest = -8;
  static constexpr storage encode(const float& value) noexcept {
    const int code = ptq::int8::encode(value);
    return static_cast<storage>(code < -8 ? -8 : code > 7 ? 7 : code);
  }
  static constexpr float decode(storage code) noexcept { return code; }
};
static_assert(ptq::dtype<int4>);

using enum ptq::arithmetic;
using ptq::half_rounding;
using ptq::per_channel;
using ptq::per_tensor;
using ptq::recipe;
using ptq::recipe_of;

static_assert(recipe_of<ptq::int8, ptq::torchao> ==
              recipe{127.5F, 0x1p-23F, multiply_by_reciprocal, per_channel(0), half_rounding::scale});
static_assert(recipe_of<ptq::fp8_e4m3fn, ptq::torchao> ==
              recipe{448.0F, 0, divide, per_channel(0), half_rounding::scale});
static_assert(recipe_of<ptq::fp8_e5m2, ptq::torchao> ==
              recipe{57344.0F, 0, divide, per_channel(0), half_rounding::scale});
static_assert(recipe_of<int4, ptq::torchao>.divisor == 7.5F);
static_assert(recipe_of<ptq::int8, ptq::modelopt> ==
              recipe{127.0F, 0, divide, per_channel(0), half_rounding::scale_and_quotient});
static_assert(recipe_of<ptq::fp8_e4m3fn, ptq::modelopt> ==
              recipe{448.0F, 0, divide, per_tensor(), half_rounding::scale_and_quotient});
static_assert(recipe_of<ptq::fp8_e5m2, ptq::modelopt>.divisor == 57344.0F);
static_assert(recipe_of<int4, ptq::modelopt>.divisor == 7.0F);
static_assert(recipe_of<ptq::native, ptq::torchao> == recipe{} &&
              recipe_of<ptq::native, ptq::modelopt> == recipe{});
// What nobody sets scales nothing, and is of the whole tensor.
static_assert(recipe{} ==
              recipe{0, 0, divide, {ptq::granularity::kind_type::per_tensor, 0}, half_rounding::nothing});
static_assert(per_tensor() == ptq::granularity{ptq::granularity::kind_type::per_tensor, 0});

static_assert(!ptq::torchao::activations && ptq::modelopt::activations);
static_assert(std::string_view(ptq::torchao::mode) == "weight_only_ptq");
static_assert(std::string_view(ptq::modelopt::mode) == "static_ptq");

// A channel axis keeps its number, however large: an axis that does not exist must not become one that does.
static_assert(per_channel(256).axis == 256 && per_channel(256) != per_channel(0));

/// What a backend needs, and twins in which one member each is something else.
struct archetype {
  static constexpr const char* name = "archetype";
  static constexpr const char* mode = "weight_only_ptq";
  static constexpr bool activations = false;
  template <ptq::dtype D>
  static constexpr recipe numbers = recipe{D::max_finite, 0, divide, per_tensor(), half_rounding::nothing};
};
struct without_name : archetype {
  struct name;
};
struct without_mode : archetype {
  struct mode;
};
struct without_activations : archetype {
  struct activations;
};
struct without_numbers : archetype {
  struct numbers;
};
struct with_state : archetype {
  int state = 0;
};
static_assert(ptq::backend<archetype>);
static_assert(ptq::backend<ptq::torchao> && ptq::backend<ptq::modelopt>);
static_assert(!ptq::backend<without_name> && !ptq::backend<without_mode> &&
              !ptq::backend<without_activations> && !ptq::backend<without_numbers> &&
              !ptq::backend<with_state>);

}  // namespace

TEST_CASE("the scale for an amax") {
  CHECK(ptq::scale_for<ptq::int8, ptq::torchao>(127.5F) == 1.0F);
  CHECK(ptq::scale_for<ptq::int8, ptq::torchao>(0.0F) == 0x1p-23F);
  CHECK(ptq::scale_for<ptq::int8, ptq::torchao>(1e-30F) == 0x1p-23F);
  CHECK(ptq::scale_for<ptq::int8, ptq::modelopt>(254.0F) == 2.0F);
  CHECK(ptq::scale_for<ptq::int8, ptq::modelopt>(0.0F) == 1.0F);
  CHECK(ptq::scale_for<ptq::fp8_e4m3fn, ptq::torchao>(448.0F) == 1.0F);
  CHECK(ptq::scale_for<ptq::fp8_e5m2, ptq::modelopt>(0x1p-149F) == 1.0F);  // underflows to 0
  CHECK(ptq::scale_for<ptq::native, ptq::modelopt>(12.0F) == 1.0F);
  CHECK(ptq::scale_for<int4, ptq::torchao>(15.0F) == 2.0F);
}

TEST_CASE("a user's dtype quantizes under the built-in backends") {
  const float values[] = {7.5F, -7.5F, 1.0F, 0.5F, -0.4F};
  signed char codes[5];
  float scale[1];
  CHECK(ptq::quantize<int4, ptq::torchao>(values, codes, scale, per_tensor()) == ptq::status{});
  CHECK(scale[0] == 1.0F);
  CHECK(codes[0] == 7);
  CHECK(codes[1] == -8);
  CHECK(codes[2] == 1);
  CHECK(codes[3] == 0);
  CHECK(codes[4] == 0);
}
