// SPDX-License-Identifier: Apache-2.0
/// @file operator.hpp What an operator is: a node and its input tensors in, one tensor out.
#ifndef TINY_ENGINE_OPERATORS_OPERATOR_HPP
#define TINY_ENGINE_OPERATORS_OPERATOR_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../tensor.hpp"
#include "ptq/formats/onnx/model.hpp"

namespace tiny {

/// What an operator gets.
struct call {
  const ptq::onnx_node& node;
  std::int64_t opset = 0;
  std::vector<const tensor*> inputs;  ///< null where an optional one is left out

  const tensor* input(std::size_t slot) const noexcept {
    return slot < inputs.size() ? inputs[slot] : nullptr;
  }
};

using operator_function = result<tensor> (*)(const call&);

/// Why a node cannot run: `text` names the attribute, type or shape.
inline error unsupported(const std::string& text) {
  return {errc::unsupported, "", text};
}

/// Checks that the first `count` inputs are there and hold floats.
inline result<void> expect_floats(const call& c, std::size_t count) {
  for (std::size_t slot = 0; slot < count; ++slot) {
    if (c.input(slot) == nullptr) return unsupported("input " + std::to_string(slot) + " is missing.");
    if (c.input(slot)->type != element_type::float32)
      return unsupported("input " + std::to_string(slot) + " holds " + ptq::onnx_word(c.input(slot)->type) +
                         "; this engine computes with float32.");
  }
  return {};
}

/// The integers of an input that holds axes or a shape.
inline result<std::vector<std::int64_t>> integers_of(const tensor& t) {
  if (t.type != element_type::int64)
    return unsupported(std::string("a list of integers holds ") + ptq::onnx_word(t.type) +
                       " instead of int64.");
  const auto numbers = t.as<std::int64_t>();
  return std::vector<std::int64_t>(numbers.begin(), numbers.end());
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_OPERATOR_HPP
