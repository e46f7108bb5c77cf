// SPDX-License-Identifier: Apache-2.0
/// @file from_onnx.hpp The network of an ONNX artifact: its graph tells what comes before and behind a layer.
#ifndef PTQ_FORMATS_C_HEADER_FROM_ONNX_HPP
#define PTQ_FORMATS_C_HEADER_FROM_ONNX_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/bias_values.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/c_header/onnx_ways.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/graph_model.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/read.hpp"
#include "ptq/formats/onnx/restore.hpp"
#include "ptq/formats/onnx/rounding.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class Policies>
class c_onnx_layers {
 public:
  c_onnx_layers(const restored_onnx& file, const onnx_links& links)
      : file_(&file), graph_(&file.model.graph), links_(&links), ways_(file, links) {}

  c_network make() {
    c_network made;
    for (std::size_t i = 0; i < file_->layers.layers.size(); ++i) {
      const onnx_layer& source = file_->layers.sources[i];
      const auto coded = file_->coded.find(source.weight);
      if (coded == file_->coded.end()) continue;
      made.layers.push_back(layer_of(file_->layers.layers[i], source, coded->second));
    }
    for (const auto* const list : {&graph_->initializers, &graph_->constants})
      for (const onnx_tensor& tensor : *list)
        if (is_float(tensor.type) && tensor.size() > 1 && !used_.contains(tensor.name) &&
            !file_->coded.contains(tensor.name))
          made.left_out.push_back(tensor.name);
    return made;
  }

 private:
  c_layer layer_of(const layer& one, const onnx_layer& source, const onnx_coded_tensor& coded) {
    c_layer made{one.name, one.class_name, source.weight, coded.view()};
    made.dtype = find_dtype_row<Policies>(coded.dtype);
    PTQ_ASSERT(made.dtype != nullptr);                         // its codes were known to be of that dtype
    if (made.rank() >= 2) made.output_axis = one.output_axis;  // a product with a vector has one output
    const onnx_node& node = graph_->nodes[source.calls.front().node];
    made.is_brought = source.calls.front().carrier.has_value();
    if (made.is_convolution()) {
      const std::int64_t groups = node.integer("group", 1);
      if (groups >= 1 && static_cast<std::size_t>(groups) <= made.weights.shape[0])
        made.groups = static_cast<std::size_t>(groups);
      made.window = window_of(node, made.rank() - 2);
    }
    made.no_integers = why_none(one, node);
    add_calls(made, source);
    return made;
  }

  static std::string why_none(const layer& one, const onnx_node& node) {
    if (one.weight_is_left) return "its weight is the left side of a product";
    if (node.op_type == "Gemm" && (node.real("alpha", 1) != 1 || node.integer("transA", 0) != 0))
      return "its Gemm has an alpha or a transA";
    if (!node.is_standard()) return node.op_type + " may do more than multiply";
    return {};
  }

  static c_window window_of(const onnx_node& node, std::size_t axes) {
    const auto numbers = [&](std::string_view name, std::size_t count, std::int64_t otherwise) {
      const auto given = node.integers(name);
      return given.size() == count ? std::vector<std::int64_t>(given.begin(), given.end())
                                   : std::vector<std::int64_t>(count, otherwise);
    };
    c_window window{numbers("strides", axes, 1), {}, numbers("dilations", axes, 1)};
    const onnx_attribute* const automatic = node.find_attribute("auto_pad");
    const bool is_given = automatic == nullptr || automatic->text.empty() || automatic->text == "NOTSET";
    if (is_given || automatic->text == "VALID")
      window.pads = numbers("pads", 2 * axes, 0);
    else
      window.automatic = automatic->text;
    return window;
  }

  /// What all nodes that compute the layer agree in.
  void add_calls(c_layer& made, const onnx_layer& source) {
    for (std::size_t i = 0; i < source.calls.size(); ++i) {
      c_layer call = made;
      add_call(call, graph_->nodes[source.calls[i].node], source.calls[i]);
      if (i == 0)
        made = std::move(call);
      else
        agree(made, call);
    }
  }

  static void agree(c_layer& made, const c_layer& call) {
    if (made.input_scale != call.input_scale || made.input_dtype != call.input_dtype)
      made.no_integers = "nodes that share its weight have inputs of their own";
    if (made.bias != call.bias) {
      made.no_integers = "nodes that share its weight have biases of their own, which are left out";
      made.bias.clear();
    }
    if (made.flattened != call.flattened) made.flattened = 0;
    const auto& a = made.output;
    const auto& b = call.output;
    if (a.becomes != b.becomes || a.scale != b.scale || a.low != b.low || a.high != b.high) {
      made.output = {};
      made.output.reason = "nodes that share its weight have outputs of their own";
    }
  }

  void add_call(c_layer& made, const onnx_node& node, const onnx_call& call) {
    if (const onnx_rounded_tensor* const input = ways_.rounding(call.node, call.input)) {
      made.input_dtype = input->dtype;
      const dtype_row* const dtype = find_dtype_row<Policies>(input->dtype);
      if (dtype != nullptr && is_int8_input(*dtype)) made.input_scale = input->scale;
    }
    std::string_view output = node.outputs.front();
    if (node.op_type == "MatMul")
      output = take_addition(made, output);
    else if (!node.input(2).empty())
      take_bias(made, node);
    if (made.class_name == "Linear") made.flattened = ways_.flattened(node.input(call.input));
    made.output = ways_.output(output);
  }

  std::size_t channels(const c_layer& layer) const { return layer.output_channels().value_or(0); }

  void take_bias(c_layer& made, const onnx_node& node) {
    std::vector<double> values = numbers_of(node.input(2));
    const std::size_t count = channels(made);
    const onnx_tensor* const constant = links_->constant(node.input(2));
    if (constant != nullptr && values.size() > 1 && constant->dims.back() != count)
      values.clear();  // of samples
    if (values.size() == 1) values.resize(count, values.front());
    if (values.size() != count) {
      made.no_integers = "its bias is not one constant for each output channel";
      return;
    }
    const double factor = node.op_type == "Gemm" ? static_cast<double>(node.real("beta", 1)) : 1;
    for (double& value : values) value *= factor;
    made.bias = std::move(values);
    used_.emplace(node.input(2));
  }

  /// MatMul has no bias: an addition may follow, the only user of what it makes.
  ///
  /// @return what holds the sum
  std::string_view take_addition(c_layer& made, std::string_view output) {
    const std::string_view product = ways_.handed_on(output);
    const auto uses = links_->uses(product);
    if (uses.size() != 1 || links_->is_output(product) || made.is_brought) return output;
    const onnx_node& node = graph_->nodes[uses.front().node];
    if (!node.is_standard() || node.op_type != "Add" || uses.front().slot > 1) return output;
    if (ways_.rounding(uses.front().node, uses.front().slot) != nullptr) return output;
    const std::string_view other = node.input(1 - uses.front().slot);
    const onnx_tensor* const constant = links_->constant(other);
    const std::size_t count = channels(made);
    if (constant == nullptr || constant->dims.empty() || constant->dims.back() != count) return output;
    std::vector<double> values = numbers_of(other);
    if (values.size() != count || count == 0) return output;
    made.bias = std::move(values);
    used_.emplace(other);
    return node.outputs.front();
  }

  /// A constant of floats, or of int32 behind DequantizeLinear.
  std::vector<double> numbers_of(std::string_view name) {
    if (const onnx_tensor* const constant = links_->constant(name)) return bias_values(constant->view());
    const onnx_node* const node = links_->producer(name, *graph_);
    if (node == nullptr || !node->is_standard() || node->op_type != "DequantizeLinear") return {};
    const onnx_tensor* const codes = links_->constant(node->input(0));
    const onnx_tensor* const scale = links_->constant(node->input(1));
    if (codes == nullptr || scale == nullptr || codes->type != element_type::int32 || codes->dims.size() > 1)
      return {};
    const auto is_zero = [](std::byte b) { return b == std::byte{}; };
    if (!node->input(2).empty()) {
      const onnx_tensor* const zero = links_->constant(node->input(2));
      if (zero == nullptr || !std::all_of(zero->data.begin(), zero->data.end(), is_zero)) return {};
    }
    const std::vector<double> scales = bias_values(scale->view());
    if (scales.empty() || (scales.size() != 1 && scales.size() != codes->size())) return {};
    std::vector<double> values;
    for (std::size_t i = 0; i < codes->size(); ++i) {
      std::int32_t code = 0;
      std::memcpy(&code, codes->data.data() + i * sizeof code, sizeof code);
      values.push_back(static_cast<double>(code) * scales[scales.size() == 1 ? 0 : i]);
    }
    used_.emplace(node->input(1));
    return values;
  }

  const restored_onnx* file_;
  const onnx_graph* graph_;
  const onnx_links* links_;
  onnx_ways<Policies> ways_;
  std::set<std::string, std::less<>> used_;  // constants that layers have
};

}  // namespace detail

/// Of `c_header_artifact`: the networks of ONNX artifacts.
struct onnx_networks {
  /// @return what `read_onnx`, `roundings_of` and `restore_onnx` return
  template <class Policies>
  static result<c_network> open(const std::string& path) {
    auto model = read_onnx(path);
    if (!model) return model.error();
    const onnx_code_types types = onnx_code_types_of<Policies>();
    if (auto ours = check_roundings(*model, types); !ours) return ours.error().in(absolute_path(path));
    auto restored = restore_onnx(*std::move(model), types);
    if (!restored) return restored.error();
    const auto file = std::make_shared<const restored_onnx>(*std::move(restored));
    const auto links = links_of(file->model.graph);
    if (!links) return links.error().in(absolute_path(path));
    c_network made = detail::c_onnx_layers<Policies>(*file, *links).make();
    made.files = file->model.files;
    made.owner = file;
    return made;
  }

  /// Opens its file again: the graph is taken apart.
  template <class Policies>
  static result<c_network> of(const onnx_graph_model& model) {
    return open<Policies>(model.path());
  }

 private:
  /// What is rounded in other ways than ours would be taken for floats.
  static result<void> check_roundings(const onnx_model& model, const onnx_code_types& types) {
    const auto links = links_of(model.graph);
    if (!links) return links.error();
    if (const auto found = roundings_of(model.graph, *links, types); !found) return found.error();
    return {};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_FROM_ONNX_HPP
