// SPDX-License-Identifier: Apache-2.0
/// @file fed_layers.hpp Which tensors of a graph are the inputs of which layers.
#ifndef PTQ_DATA_FED_LAYERS_HPP
#define PTQ_DATA_FED_LAYERS_HPP

#include <map>
#include <string>
#include <vector>

namespace ptq::inline v0_1 {

/// Tensor -> the layers that it feeds, by their names.
using fed_layers = std::map<std::string, std::vector<std::string>, std::less<>>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_FED_LAYERS_HPP
