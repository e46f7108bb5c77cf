// SPDX-License-Identifier: Apache-2.0
/// @file code_types.hpp How ONNX holds the codes of dtypes: in which type, from which operator set on.
#ifndef PTQ_FORMATS_ONNX_CODE_TYPES_HPP
#define PTQ_FORMATS_ONNX_CODE_TYPES_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/error_metrics.hpp"

namespace ptq::inline v0_1 {

/// The ONNX type of a dtype's codes, and the operator set that has it in QuantizeLinear: for int8 with a
/// scale per channel, for all others with the attribute `output_dtype`.
struct onnx_code_type {
  std::string_view dtype;
  element_type type = element_type::unknown;
  std::int64_t opset = 0;
  std::int64_t ir_version = 0;
  std::string weights_reason;      ///< why DequantizeLinear does not do for the dtype; empty where it does
  std::string activations_reason;  ///< likewise QuantizeLinear
};

/// One of each dtype of a bundle.
using onnx_code_types = std::vector<onnx_code_type>;

namespace detail {

struct onnx_versions {
  element_type type;
  std::int64_t opset;
  std::int64_t ir_version;
};

inline constexpr onnx_versions code_versions[] = {
    {element_type::int8, 13, 4},  // since IR version 4 an initializer need not be an input
    {element_type::int16, 21, 10},      {element_type::int4, 21, 10},
    {element_type::fp8_e4m3fn, 21, 10}, {element_type::fp8_e5m2, 21, 10},
};

/// The number that ONNX takes a code for, as bits.
inline std::uint32_t coded_number(element_type type, std::uint32_t code) noexcept {
  const auto narrow = static_cast<std::uint8_t>(code);
  if (type == element_type::fp8_e4m3fn) return bits_of(fp8_e4m3fn::decode(fp8_e4m3fn::storage{narrow}));
  if (type == element_type::fp8_e5m2) return bits_of(fp8_e5m2::decode(fp8_e5m2::storage{narrow}));
  const auto shift = static_cast<int>(32 - ptq::bits_of(type));
  return bits_of(static_cast<float>(static_cast<std::int32_t>(code << shift) >> shift));
}

/// Whether each code of a dtype stands for the number that ONNX takes it for.
inline bool decodes_alike(const dtype_row& dtype, element_type type) {
  const std::size_t count = std::size_t{1} << ptq::bits_of(type);
  for (std::size_t code = 0; code < count; ++code) {
    const auto wide = static_cast<std::uint32_t>(code);
    const auto shift = static_cast<int>(32 - ptq::bits_of(type));
    const std::uint32_t stored =
        dtype.is_signed ? static_cast<std::uint32_t>(static_cast<std::int32_t>(wide << shift) >> shift)
                        : wide;
    alignas(std::uint32_t) std::array<std::byte, sizeof stored> bytes{};
    std::memcpy(bytes.data(), &stored, sizeof stored);
    float value = 0;
    dtype.decode_run(bytes.data(), 1, 1.0F, &value, false);
    const std::uint32_t expected = coded_number(type, wide);
    if (bits_of(value) != expected && !(is_nan(bits_of(value)) && is_nan(expected))) return false;
  }
  return true;
}

/// Whether codes end where those of ONNX do: QuantizeLinear knows no other ends.
inline bool saturates_alike(const dtype_row& dtype, element_type type) noexcept {
  const auto is = [&](representable ends) {
    return dtype.limits.lowest == ends.lowest && dtype.limits.highest == ends.highest;
  };
  if (type == element_type::fp8_e4m3fn) return is(representable_range<fp8_e4m3fn>());
  if (type == element_type::fp8_e5m2) return is(representable_range<fp8_e5m2>());
  const auto half = static_cast<double>(std::size_t{1} << (ptq::bits_of(type) - 1));
  return is({-half - 0.5, half - 0.5});
}

inline onnx_code_type code_type_of(const dtype_row& dtype) {
  onnx_code_type made{dtype.name, {}, 0, 0, {}, {}};
  for (const onnx_versions& known : code_versions)
    if (known.type == dtype.stored && ptq::bits_of(known.type) == static_cast<std::size_t>(dtype.bits)) {
      made.type = known.type;
      made.opset = known.opset;
      made.ir_version = known.ir_version;
    }
  const std::string lacks = "ONNX has no type for dtype \"" + std::string(dtype.name) + "\"";
  const std::string word = name_of(made.type);
  if (made.type == element_type::unknown)
    made.weights_reason = lacks + ".";
  else if (!decodes_alike(dtype, made.type))
    made.weights_reason = lacks + ": it takes codes of " + word + " for other numbers.";
  made.activations_reason = made.weights_reason;
  if (made.weights_reason.empty() && !saturates_alike(dtype, made.type))
    made.activations_reason = lacks + " that its QuantizeLinear could make: " + word +
                              " ends at other codes. Quantize weights alone with it.";
  return made;
}

/// Null where the bundle does not have it.
inline const onnx_code_type* find_code_type(const onnx_code_types& types, std::string_view dtype) noexcept {
  for (const onnx_code_type& known : types)
    if (known.dtype == dtype) return &known;
  return nullptr;
}

/// The one with the highest versions among the dtypes of a plan; null if it quantizes nothing that ONNX has.
inline const onnx_code_type* find_needed_type(const onnx_code_types& types, const plan& planned) noexcept {
  const onnx_code_type* needed = nullptr;
  for (const planned_layer& decided : planned.layers)
    for (const std::string* const word : {&decided.weights.dtype, &decided.activations.dtype}) {
      if (*word == "native") continue;
      const onnx_code_type* const known = find_code_type(types, *word);
      if (known != nullptr && known->opset > (needed == nullptr ? 0 : needed->opset)) needed = known;
    }
  return needed;
}

}  // namespace detail

inline namespace PTQ_BUILD {

/// Of the dtypes of a bundle. An own dtype is written where ONNX has a type with the same numbers.
template <class Policies = builtin>
onnx_code_types onnx_code_types_of() {
  onnx_code_types types;
  detail::for_each_type(typename Policies::dtypes{}, [&]<class D>(detail::type_tag<D>) {
    types.push_back(detail::code_type_of(dtype_row_of<D>));
  });
  return types;
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_CODE_TYPES_HPP
