// SPDX-License-Identifier: Apache-2.0
/// @file openvino.hpp OpenVINO as an engine: any ONNX graph that it can read. Its exceptions end here.
#ifndef PTQ_ENGINE_OPENVINO_HPP
#define PTQ_ENGINE_OPENVINO_HPP

#include <openvino/core/type/element_type.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/op.hpp>
#include <openvino/runtime/core.hpp>
#include <openvino/runtime/properties.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/engine/inputs.hpp"
#include "ptq/engine/openvino_faults.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/rounding.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Replaces each value by that of its code. OpenVINO calls it in the middle of a graph.
class openvino_rounding final : public ov::op::Op {
 public:
  OPENVINO_OP("Rounding", "ptq")

  openvino_rounding() = default;
  openvino_rounding(const ov::Output<ov::Node>& source, const kernel_row* kernels, float scale)
      : Op({source}), kernels_(kernels), scale_(scale) {
    constructor_validate_and_infer_types();
  }

  void validate_and_infer_types() override {
    set_output_type(0, get_input_element_type(0), get_input_partial_shape(0));
  }
  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override {
    return std::make_shared<openvino_rounding>(inputs.at(0), kernels_, scale_);
  }
  /// Two of them are the same only if their attributes are.
  bool visit_attributes(ov::AttributeVisitor& visitor) override {
    std::string dtype = kernels_ != nullptr ? kernels_->dtype->name : "";
    visitor.on_attribute("dtype", dtype);
    visitor.on_attribute("scale", scale_);
    return true;
  }
  bool has_evaluate() const override { return get_input_element_type(0) == ov::element::f32; }
  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
    if (kernels_ == nullptr) return false;
    outputs[0].set_shape(inputs[0].get_shape());
    inputs[0].copy_to(outputs[0]);
    fake_quantize({outputs[0].data<float>(), outputs[0].get_size()}, *kernels_, scale_);
    return true;
  }

 private:
  const kernel_row* kernels_ = nullptr;
  float scale_ = 1;
};

inline std::optional<element_type> scalar_of(const ov::element::Type& type) noexcept {
  for (const auto& [known, scalar] : {std::pair{ov::element::Type_t::f32, element_type::float32},
                                      {ov::element::Type_t::f64, element_type::float64},
                                      {ov::element::Type_t::f16, element_type::float16},
                                      {ov::element::Type_t::bf16, element_type::bfloat16},
                                      {ov::element::Type_t::i8, element_type::int8},
                                      {ov::element::Type_t::i16, element_type::int16},
                                      {ov::element::Type_t::i32, element_type::int32},
                                      {ov::element::Type_t::i64, element_type::int64},
                                      {ov::element::Type_t::u8, element_type::uint8},
                                      {ov::element::Type_t::u16, element_type::uint16},
                                      {ov::element::Type_t::u32, element_type::uint32},
                                      {ov::element::Type_t::u64, element_type::uint64},
                                      {ov::element::Type_t::boolean, element_type::boolean}})
    if (type == known) return scalar;
  return {};
}

/// What an exception of OpenVINO says, without the places in its sources.
inline std::string openvino_text(std::string_view what) {
  constexpr std::string_view missing = "No conversion rule found for operations: ";
  if (const auto at = what.find(missing); at != std::string_view::npos) {
    const std::string_view names = what.substr(at + missing.size());
    return "OpenVINO lacks " + std::string(names.substr(0, names.find('\n'))) + ".";
  }
  std::string text = "OpenVINO:";
  while (!what.empty()) {
    const std::string_view line = what.substr(0, what.find('\n'));
    what.remove_prefix((std::min)(line.size() + 1, what.size()));
    if (line.empty() || line.starts_with("Exception from ") || line.starts_with("Check '")) continue;
    text.append(" ").append(line);
  }
  return text;
}

/// A length of the wire format of protobuf, after its field number.
inline void add_field(std::string& to, char field, std::string_view content) {
  to += static_cast<char>(field << 3 | 2);
  std::size_t length = content.size();
  for (; length > 127; length >>= 7) to += static_cast<char>((length & 127) | 128);
  to += static_cast<char>(length);
  to += content;
}

/// What makes outputs of a graph of all tensors that lead to none, appended to the model's bytes: protobuf
/// merges messages that follow each other. Empty if there are none.
inline std::string outputs_of_dead_nodes(const onnx_graph& graph) {
  std::set<std::string_view> used;
  for (const onnx_value& output : graph.outputs) used.insert(output.name);
  std::string outputs;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const auto is_used = [&](const std::string& name) { return used.contains(name); };
    if (std::any_of(node->outputs.begin(), node->outputs.end(), is_used)) {
      for_each_use(*node, [&](const std::string& name, std::size_t) { used.insert(name); });
    } else if (node->op_type != "Constant" && !node->outputs.empty() && !node->outputs[0].empty()) {
      std::string value;
      add_field(value, 1, node->outputs[0]);  // ValueInfoProto.name
      add_field(outputs, 12, value);          // GraphProto.output
    }
  }
  std::string appended;
  if (!outputs.empty()) add_field(appended, 7, outputs);  // ModelProto.graph
  return appended;
}

/// Calls f, which returns a result. An exception becomes an error.
template <class F>
auto without_exceptions(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::exception& problem) {
    return error(errc::unsupported, "", openvino_text(problem.what()));
  }
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// A model of `engine`. It computes in float32, with neither bfloat16 nor dynamic quantization, whatever the
/// processor has.
///
/// Q/DQ graphs are computed as the specification says, which OpenVINO's own plugin does not always do: each
/// pair of QuantizeLinear and DequantizeLinear is replaced by `fake_quantize`, each coded constant by its
/// values.
class openvino {
 public:
  /// Reads the graph from the file that the model was read from.
  ///
  /// @return unsupported: an operator that OpenVINO lacks, a tensor that is quantized in another way than
  ///         ours
  static result<openvino> load(const onnx_model& model) {
    openvino loaded;
    const auto prepared = detail::without_exceptions([&] { return loaded.read(model); });
    if (!prepared) return prepared.error().in(model.file);
    return loaded;
  }

  std::span<const graph_input> inputs() const noexcept { return inputs_; }
  std::span<const std::string> outputs() const noexcept { return outputs_; }

  /// As `engine` says. The graph is compiled for the tensors that are wanted, when they change.
  ///
  /// @return tensor_not_found for a tensor that OpenVINO does not have, what `count_samples` returns,
  ///         unsupported
  template <array_sink Sink>
  result<void> run(std::span<const named_array> given, std::span<const std::string> wanted, Sink&& sink) {
    const auto samples = count_samples(inputs_, given);
    if (!samples) return samples.error();
    if (auto ready = detail::without_exceptions([&] { return compile(wanted); }); !ready) return ready;
    const std::size_t batch = fixed_batch(inputs_, given).value_or(*samples);
    for (std::size_t first = 0; first < *samples; first += batch) {
      std::vector<named_array> made;
      const auto ran = detail::without_exceptions([&] { return infer(given, first, batch, wanted, made); });
      if (!ran) return ran;
      for (const named_array& tensor : made)
        if (auto taken = sink(tensor); !taken) return taken;
    }
    return {};
  }

 private:
  openvino() = default;

  result<void> read(const onnx_model& model) {
    const auto links = links_of(model.graph);
    if (!links) return links.error();
    const auto roundings = roundings_of(model.graph, *links);
    if (!roundings) return roundings.error();
    graph_ = read_graph(model);
    for (const auto& node : graph_->get_ordered_ops())
      for (const ov::Output<ov::Node>& tensor : node->outputs())
        for (const std::string& name : tensor.get_names()) tensors_[name] = tensor;
    if (auto sound = refuse_faults(model); !sound) return sound;
    if (auto declared = declare(model.graph, *links); !declared) return declared;
    for (const onnx_node& node : model.graph.nodes)  // passes its input on under its output's name
      if (node.op_type == "Dropout" && !tensors_.contains(node.inputs[0]))
        alias(node.inputs[0], node.outputs[0]);
    return put_values(*roundings);
  }

  /// OpenVINO drops what leads to no output of the graph; layers there have inputs, too. External data are
  /// found from a file alone.
  std::shared_ptr<ov::Model> read_graph(const onnx_model& model) {
    const std::string more = detail::outputs_of_dead_nodes(model.graph);
    if (more.empty() || model.source.empty() || model.files.size() > 1) return core_.read_model(model.file);
    return core_.read_model(std::string(model.source) + more, ov::Tensor());
  }

  result<void> refuse_faults(const onnx_model& model) const {
    result<void> outcome;
    const auto check = [&](const onnx_node& node, const std::string& where) {
      const std::string_view fault = find_openvino_fault(node, model.opset(), rank_of(node));
      if (!fault.empty() && outcome)
        outcome = error(errc::unsupported, where,
                        "OpenVINO computes " + node.op_type +
                            " otherwise than ONNX defines it: " + std::string(fault) + ".");
    };
    for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
      const onnx_node& node = model.graph.nodes[i];
      const std::string where = node_text(model.graph, i);
      check(node, where);
      for_each_body_node(node, [&](const onnx_node& inner) { check(inner, where); });
    }
    return outcome;
  }

  std::optional<std::size_t> rank_of(const onnx_node& node) const {
    const auto made = node.outputs.empty() ? tensors_.end() : tensors_.find(node.outputs[0]);
    if (made == tensors_.end() || made->second.get_partial_shape().rank().is_dynamic()) return {};
    return static_cast<std::size_t>(made->second.get_partial_shape().rank().get_length());
  }

  /// OpenVINO keeps the order of inputs, but not always their names.
  result<void> declare(const onnx_graph& graph, const onnx_links& links) {
    std::vector<const onnx_value*> free;
    for (const onnx_value& input : graph.inputs)
      if (links.constant(input.name) == nullptr) free.push_back(&input);
    const ov::ParameterVector& parameters = graph_->get_parameters();
    if (parameters.size() != free.size())
      return error(errc::unsupported, "",
                   "OpenVINO takes " + std::to_string(parameters.size()) + " of the graph's " +
                       std::to_string(free.size()) + " inputs.");
    for (std::size_t i = 0; i < free.size(); ++i) {
      const auto type = detail::scalar_of(parameters[i]->get_element_type());
      if (!type)
        return error(errc::unsupported, "graph input \"" + free[i]->name + "\"",
                     "takes " + parameters[i]->get_element_type().get_type_name() + ".");
      graph_input& input = inputs_.emplace_back(graph_input{free[i]->name, *type, {}});
      if (free[i]->shape)
        for (const onnx_extent& extent : *free[i]->shape) input.symbols.push_back(extent.symbol);
      tensors_[input.name] = parameters[i]->output(0);
      const ov::PartialShape& shape = parameters[i]->get_partial_shape();
      if (shape.rank().is_dynamic()) continue;
      input.shape.emplace();
      for (const ov::Dimension& extent : shape)
        input.shape->push_back(
            extent.is_static() ? std::optional(static_cast<std::size_t>(extent.get_length())) : std::nullopt);
    }
    for (const onnx_value& output : graph.outputs) outputs_.push_back(output.name);
    return {};
  }

  void alias(const std::string& name, const std::string& other) {
    if (const auto found = tensors_.find(other); found != tensors_.end()) tensors_[name] = found->second;
  }

  /// Puts values in the place of codes.
  result<void> put_values(const onnx_roundings& roundings) {
    for (const onnx_coded_constant& constant : roundings.constants) {
      if (!tensors_.contains(constant.name)) continue;
      const tensor_shape shape(std::span<const std::size_t>(constant.codes->dims));
      ov::Tensor values(ov::element::f32, ov::Shape(constant.codes->dims));
      const auto done =
          dequantize({constant.dtype, shape, constant.grain, constant.codes->data, constant.scales},
                     {values.data<float>(), values.get_size()});
      if (!done) return error(done.code, "tensor \"" + constant.name + "\"", "cannot be dequantized.");
      replace(constant.name, std::make_shared<ov::op::v0::Constant>(values));
    }
    for (const onnx_rounded_tensor& tensor : roundings.tensors) {
      const auto source = tensors_.find(tensor.source);
      if (!tensors_.contains(tensor.rounded) || source == tensors_.end())
        return error(errc::unsupported, "tensor \"" + tensor.rounded + "\"",
                     "OpenVINO does not have it, so it cannot be rounded.");
      const kernel_row* const kernels =
          find_kernel_row(tensor.dtype, arithmetic::divide);  // as QuantizeLinear
      replace(tensor.rounded,
              std::make_shared<detail::openvino_rounding>(source->second, kernels, tensor.scale));
    }
    graph_->validate_nodes_and_infer_types();
    return {};
  }

  void replace(const std::string& name, const std::shared_ptr<ov::Node>& maker) {
    ov::Output<ov::Node>& old = tensors_[name];
    old.replace(maker->output(0));
    old.set_names({});
    maker->output(0).set_names({name});
    old = maker->output(0);
  }

  result<void> compile(std::span<const std::string> wanted) {
    if (compiled_ && std::equal(wanted.begin(), wanted.end(), wanted_.begin(), wanted_.end())) return {};
    ov::OutputVector ports;
    std::string lost;
    std::vector<std::size_t> places;
    for (const std::string& name : wanted) {
      const auto found = tensors_.find(name);
      if (found == tensors_.end()) {
        lost.append(lost.empty() ? "" : ", ").append("\"" + name + "\"");
        continue;
      }
      const auto same = std::find(ports.begin(), ports.end(), found->second);
      places.push_back(static_cast<std::size_t>(same - ports.begin()));
      if (same == ports.end()) ports.push_back(found->second);
    }
    if (!lost.empty())
      return error(
          errc::tensor_not_found, "",
          "OpenVINO has no tensor " + lost +
              ": the graph does not have it, or nothing on the way to an output of the graph uses it.");
    const auto part = std::make_shared<ov::Model>(ports, graph_->get_parameters());
    compiled_ = core_
                    .compile_model(part, "CPU", ov::hint::inference_precision(ov::element::f32),
                                   ov::hint::dynamic_quantization_group_size(0), ov::num_streams(1))
                    .create_infer_request();
    wanted_.assign(wanted.begin(), wanted.end());
    places_ = std::move(places);
    return {};
  }

  /// Computes one batch. What is made is valid until the next one.
  result<void> infer(std::span<const named_array> given, std::size_t first, std::size_t count,
                     std::span<const std::string> wanted, std::vector<named_array>& made) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const auto input = std::find_if(given.begin(), given.end(),
                                      [&](const named_array& a) { return a.name == inputs_[i].name; });
      const any_view part = batch_of(*input, first, count);
      const ov::Shape shape(part.shape.extents.begin(),
                            part.shape.extents.begin() + static_cast<std::ptrdiff_t>(part.shape.rank));
      ov::Tensor tensor(graph_->get_parameters()[i]->get_element_type(), shape);
      copy_elements(part, static_cast<std::byte*>(tensor.data()));
      compiled_->set_input_tensor(i, tensor);
    }
    compiled_->infer();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const ov::Tensor tensor = compiled_->get_output_tensor(places_[i]);
      const auto type = detail::scalar_of(tensor.get_element_type());
      if (!type || tensor.get_shape().size() > max_rank)
        return error(errc::wrong_type, "tensor \"" + wanted[i] + "\"",
                     "holds " + tensor.get_element_type().get_type_name() + " of rank " +
                         std::to_string(tensor.get_shape().size()) + ".");
      const ov::Shape& shape = tensor.get_shape();
      made.push_back(
          {wanted[i], any_view(tensor.data(), *type, tensor_shape(std::span<const std::size_t>(shape)))});
    }
    return {};
  }

  ov::Core core_;
  std::shared_ptr<ov::Model> graph_;
  std::unordered_map<std::string, ov::Output<ov::Node>> tensors_;  // by their names in the ONNX graph
  std::vector<graph_input> inputs_;
  std::vector<std::string> outputs_;
  std::optional<ov::InferRequest> compiled_;
  std::vector<std::string> wanted_;  // what it is compiled for
  std::vector<std::size_t> places_;  // of these among its outputs
};

static_assert(engine<openvino>);

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_OPENVINO_HPP
