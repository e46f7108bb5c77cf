// SPDX-License-Identifier: Apache-2.0
/// @file layers_of.hpp The layers that a bare list of named tensors makes.
#ifndef PTQ_MODEL_LAYERS_OF_HPP
#define PTQ_MODEL_LAYERS_OF_HPP

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/model/any_view.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/model/layer.hpp"

namespace ptq::inline v0_1 {

/// A tensor of a model file.
struct named_tensor {
  std::string name;
  any_view view;
};

/// Each tensor `<name>.weight` makes the layer `<name>`, in order; the others belong to no layer.
///
/// @param module_types layer name -> class name, as in `ptq.module_types`; what it lacks is inferred
inline std::vector<layer> layers_of(std::span<const named_tensor> tensors,
                                    const std::map<std::string, std::string>& module_types = {}) {
  constexpr std::string_view suffix = ".weight";
  std::set<std::string_view> names;
  for (const named_tensor& tensor : tensors) names.insert(tensor.name);
  std::vector<layer> layers;
  for (const named_tensor& tensor : tensors) {
    if (tensor.name.size() <= suffix.size() || !std::string_view(tensor.name).ends_with(suffix)) continue;
    layer made;
    made.name = tensor.name.substr(0, tensor.name.size() - suffix.size());
    made.weight = tensor.view;
    if (const auto known = module_types.find(made.name); known != module_types.end()) {
      made.class_name = known->second;
    } else {
      made.class_name =
          suggested_class(made.name, made.weight.shape.rank, names.contains(made.name + ".running_mean"));
      made.inferred = !made.class_name.empty();
    }
    layers.push_back(std::move(made));
  }
  return layers;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_LAYERS_OF_HPP
