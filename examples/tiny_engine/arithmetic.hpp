// SPDX-License-Identifier: Apache-2.0
/// @file arithmetic.hpp In what numbers the engine computes a quantized graph.
#ifndef TINY_ENGINE_ARITHMETIC_HPP
#define TINY_ENGINE_ARITHMETIC_HPP

#include <string_view>

namespace tiny {

enum class arithmetic {
  onnx,     ///< as ONNX defines the graph: int8 codes are summed in integers, between layers there is float
  integer,  ///< as firmware: integers from the codes of the input to the last layer, or the graph is refused
};

struct named_arithmetic {
  std::string_view name;
  arithmetic value;
};

inline constexpr named_arithmetic arithmetics[] = {{"onnx", arithmetic::onnx},
                                                   {"integer", arithmetic::integer}};

/// Null if there is none of that name.
constexpr const arithmetic* find_arithmetic(std::string_view name) noexcept {
  for (const named_arithmetic& row : arithmetics)
    if (row.name == name) return &row.value;
  return nullptr;
}

}  // namespace tiny

#endif  // TINY_ENGINE_ARITHMETIC_HPP
