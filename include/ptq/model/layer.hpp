// SPDX-License-Identifier: Apache-2.0
/// @file layer.hpp A model is a list of layers.
#ifndef PTQ_MODEL_LAYER_HPP
#define PTQ_MODEL_LAYER_HPP

#include <string>

#include "ptq/model/any_view.hpp"

namespace ptq::inline v0_1 {

struct layer {
  std::string name;        ///< qualified name, for instance "encoder.layer.0.query"
  std::string class_name;  ///< PyTorch's class name, for instance "Linear"; empty if unknown
  any_view weight;
  bool inferred = false;  ///< the class was guessed from name and shape
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_LAYER_HPP
