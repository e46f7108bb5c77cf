// SPDX-License-Identifier: Apache-2.0
/// @file format.hpp ONNX as a format of models and artifacts.
#ifndef PTQ_FORMATS_ONNX_FORMAT_HPP
#define PTQ_FORMATS_ONNX_FORMAT_HPP

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/from_onnx.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/data_name.hpp"
#include "ptq/formats/onnx/floats.hpp"
#include "ptq/formats/onnx/graph_model.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/read.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/writer.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The constants of a graph, by their names.
inline std::unordered_map<std::string_view, const onnx_tensor*> constants_by_name(const onnx_graph& graph) {
  std::unordered_map<std::string_view, const onnx_tensor*> constants;
  for (const auto* list : {&graph.initializers, &graph.constants})
    for (const onnx_tensor& tensor : *list) constants.emplace(tensor.name, &tensor);
  return constants;
}

/// "takes input [N, 1, 28, 28], gives logits [N, 10]"
inline std::string signature_of(const onnx_graph& graph) {
  const auto constants = constants_by_name(graph);
  std::string text;
  for (const auto& [verb, values] : {std::pair{"takes", &graph.inputs}, {"gives", &graph.outputs}}) {
    text.append(text.empty() ? "" : ", ").append(verb);
    for (const onnx_value& value : *values) {
      if (constants.contains(value.name)) continue;
      text.append(" ").append(value.name);
      std::string extents;
      for (const onnx_extent& e : value.shape.value_or(std::vector<onnx_extent>()))
        extents.append(extents.empty() ? "" : ", ")
            .append(e.number           ? std::to_string(*e.number)
                    : e.symbol.empty() ? "?"
                                       : e.symbol);
      if (value.shape) text.append(" [").append(extents).append("]");
    }
  }
  return text;
}

}  // namespace detail

/// An ONNX model with QuantizeLinear and DequantizeLinear. An `artifact_format` of ONNX models.
struct onnx_artifact {
  static constexpr const char* name = "onnx";

  template <class F>
  static constexpr bool takes = std::same_as<typename F::model, onnx_graph_model>;

  template <class F>
  static std::string file_name(const std::string& backend) {
    return "quantized_model_" + backend + ".onnx";
  }

  /// External data of the artifact, whichever run wrote them.
  static bool is_part_of(std::string_view artifact, std::string_view file) {
    return is_onnx_data_name(artifact, file);
  }

  template <class Policies, class F>
  static result<void> check(const onnx_graph_model& model, const plan& planned) {
    return check_opset<Policies>(model.onnx(), planned);
  }

  template <class Policies, class F, layer_sink Sink>
  static result<pending_artifact> write(const std::string& path, const onnx_graph_model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink) {
    return write_onnx<Policies>(path, model.onnx(), model.found(), planned, sink, ranges);
  }
};

/// Of `float_artifact`.
struct onnx_floats {
  static constexpr const char* suffix = ".onnx";

  template <class Policies, class F>
  static result<void> check(const onnx_graph_model& model, const plan& planned) {
    return check_onnx_floats(model.onnx(), model.found(), planned);
  }

  template <class Policies, class F, layer_sink Sink>
  static result<pending_artifact> write(const std::string& path, const onnx_graph_model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink) {
    return write_onnx_floats<Policies>(path, model.onnx(), model.found(), planned, sink, ranges);
  }

  template <class Policies, class F>
  static result<pending_artifact> convert(const std::string& path, const onnx_graph_model& artifact) {
    return convert_onnx_to_floats<Policies>(path, artifact.onnx());
  }
};

/// A graph and its weights, in one file or with external data. A `model_format`.
struct onnx_format {
  using model = onnx_graph_model;
  using artifact = onnx_artifact;
  using floats = onnx_floats;
  using networks = onnx_networks;

  static constexpr const char* name = "ONNX";
  static constexpr const char* suffix = ".onnx";
  static constexpr const char* files = "ONNX models (.onnx)";
  static constexpr const char* kind = "an ONNX model";

  static bool recognises(const std::string& path) { return path.ends_with(suffix); }

  static bool denies(const error&) noexcept { return false; }

  static result<model> open(const std::string& path) {
    auto read = read_onnx(path);
    if (!read) return read.error();
    auto layers = layers_of(*read);
    if (!layers) return layers.error();
    return model(*std::move(read), *std::move(layers));
  }

  template <class Policies = builtin>
  static result<model_contents> contents(model&& opened) {
    return contents_of<Policies>(std::move(opened));
  }

  /// By what the graphs take and give, and by the weights that became codes. Other numbers in the same graph
  /// are not noticed.
  ///
  /// @return wrong_model
  static result<void> check_origin(const model& artifact, const model& original) {
    const auto refuse = [&](const std::string& why) {
      return error(errc::wrong_model, artifact.path(),
                   "this artifact belongs to another model than " + original.path() + ": " + why +
                       ". Quantize again, or give the results_dir of this model.");
    };
    const std::string found = detail::signature_of(artifact.onnx().graph);
    const std::string expected = detail::signature_of(original.onnx().graph);
    if (found != expected) return refuse("it " + found + ", but the model " + expected);
    const auto weights = detail::constants_by_name(original.onnx().graph);
    for (const onnx_tensor& codes : artifact.onnx().graph.initializers) {
      const std::string_view weight = tensor_of_codes(codes.name);
      if (weight == codes.name || weights.contains(codes.name)) continue;
      const auto source = weights.find(weight);
      if (source == weights.end()) return refuse("the model has no weight \"" + std::string(weight) + "\"");
      if (source->second->dims != codes.dims)
        return refuse("the model's weight \"" + std::string(weight) + "\" has another shape");
    }
    return {};
  }
};

static_assert(model_format<onnx_format>);

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_FORMAT_HPP
