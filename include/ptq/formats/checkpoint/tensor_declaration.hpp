// SPDX-License-Identifier: Apache-2.0
/// @file tensor_declaration.hpp A tensor that a container of tensors is to hold.
#ifndef PTQ_FORMATS_CHECKPOINT_TENSOR_DECLARATION_HPP
#define PTQ_FORMATS_CHECKPOINT_TENSOR_DECLARATION_HPP

#include <cstddef>
#include <string>
#include <vector>

#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

/// A tensor to come.
struct tensor_declaration {
  std::string name;
  element_type type = element_type::float32;
  std::vector<std::size_t> shape;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_TENSOR_DECLARATION_HPP
