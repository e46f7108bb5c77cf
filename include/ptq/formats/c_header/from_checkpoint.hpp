// SPDX-License-Identifier: Apache-2.0
/// @file from_checkpoint.hpp The network of an artifact that is a checkpoint: layers without a graph.
#ifndef PTQ_FORMATS_C_HEADER_FROM_CHECKPOINT_HPP
#define PTQ_FORMATS_C_HEADER_FROM_CHECKPOINT_HPP

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/formats/c_header/bias_values.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr const char* no_graph_note =
    "The source is a checkpoint, which has no graph: what a layer's output becomes, and so its multiplier "
    "and "
    "shift, is not known. Nor is which Linear has a flattened image for its input: the columns of those are "
    "in the "
    "order of channels, rows, columns of the image (NCHW), whatever the layout. An ONNX artifact of the "
    "model has "
    "all of that.";

/// @param file what the artifact was read from
template <class Policies>
c_layer c_layer_of(const checkpoint& file, const artifact_layer& from, std::set<std::string>& used) {
  c_layer made{from.name, from.class_name, from.name + ".weight", *from.weights};
  made.dtype = find_dtype_row<Policies>(from.weights->dtype);
  PTQ_ASSERT(made.dtype != nullptr);  // `read_artifact` looked it up
  if (made.rank() >= 2) made.output_axis = made.is_transposed() ? 1 : 0;
  used.insert(made.tensor);
  const std::string bias = from.name + ".bias";
  if (const stored_tensor* const stored = file.find(bias)) {
    made.bias = bias_values(stored->view());
    if (!made.bias.empty()) used.insert(bias);
  }
  if (from.activations) {
    made.input_dtype = from.activations->dtype;
    const dtype_row* const input = find_dtype_row<Policies>(made.input_dtype);
    if (input != nullptr && is_int8_input(*input)) made.input_scale = from.activations->scale;
  }
  made.output.reason = "the source has no graph, so the scale of the output is not known";
  return made;
}

}  // namespace detail

/// The network looks into the artifact.
template <class Policies>
c_network c_network_of(const checkpoint& file, const artifact& content) {
  c_network made;
  std::set<std::string> used;
  for (const artifact_layer& one : content.layers) {
    used.insert({one.name + ".weight_scale", one.name + ".input_scale"});
    if (one.weights) made.layers.push_back(detail::c_layer_of<Policies>(file, one, used));
  }
  for (const stored_tensor& tensor : file.tensors())
    if (!used.contains(tensor.name) && tensor.view().has_floats()) made.left_out.push_back(tensor.name);
  made.graph_note = detail::no_graph_note;
  made.files = file.files();
  return made;
}

/// Of `c_header_artifact`: the networks of artifacts that are checkpoints.
struct checkpoint_networks {
  /// @return what `open_artifact` returns
  template <class Policies>
  static result<c_network> open(const std::string& path) {
    auto opened = open_artifact<Policies>(path);
    if (!opened) return opened.error();
    const auto file = std::make_shared<const artifact_file>(*std::move(opened));
    c_network made = c_network_of<Policies>(file->file, file->content);
    made.owner = file;
    return made;
  }

  /// Looks into the model.
  ///
  /// @return what `read_artifact` returns
  template <class Policies>
  static result<c_network> of(const checkpoint_model& model) {
    const auto content = read_artifact<Policies>(model.file());
    if (!content) return content.error();
    return c_network_of<Policies>(model.file(), *content);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_FROM_CHECKPOINT_HPP
