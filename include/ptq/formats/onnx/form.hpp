// SPDX-License-Identifier: Apache-2.0
/// @file form.hpp Whether a graph has the form that ONNX asks for: outputs, names, inputs, types of
/// attributes. It is checked before anything else looks at a graph, so that the rest may rely on it.
#ifndef PTQ_FORMATS_ONNX_FORM_HPP
#define PTQ_FORMATS_ONNX_FORM_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/operators.hpp"
#include "ptq/result.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Whether a text of words between single spaces has a word.
constexpr bool has_listed(std::string_view words, std::string_view word) noexcept {
  for (std::size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

/// How many inputs a standard operator must have, whatever its version from 7 on. Optional ones between them
/// count. Source: the operators' schemas of the ONNX project, up to operator set 25.
inline std::size_t least_inputs(std::string_view op_type) noexcept {
  static constexpr std::pair<std::size_t, std::string_view> operators[] = {
      {0, "Constant Optional OptionalHasElement RandomNormal RandomUniform SequenceEmpty"},
      {2,
       "Add AffineGrid And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike CausalConvWithState "
       "CenterCropPad Compress Conv "
       "ConvInteger ConvTranspose CumProd CumSum DequantizeLinear Div Equal Expand Gather GatherElements "
       "GatherND Gemm Greater "
       "GreaterOrEqual GridSample LayerNormalization Less LessOrEqual Loop MatMul MatMulInteger MaxRoiPool "
       "MaxUnpool Mod Mul "
       "NegativeLogLikelihoodLoss NonMaxSuppression Or PRelu Pow QuantizeLinear RMSNormalization Reshape "
       "ReverseSequence STFT "
       "SequenceAt SequenceInsert SoftmaxCrossEntropyLoss StringConcat Sub SwiGLU TensorScatter Tile Xor"},
      {3,
       "Attention Col2Im DeformConv GRU GroupNormalization InstanceNormalization LSTM LinearAttention OneHot "
       "RNN Range RoiAlign "
       "RotaryEmbedding Scatter ScatterElements ScatterND Where"},
      {5, "BatchNormalization MelWeightMatrix"},
      {8, "QLinearConv QLinearMatMul"},
  };
  for (const auto& [count, names] : operators)
    if (has_listed(names, op_type)) return count;
  return 1;
}

/// The types that an attribute of a standard operator may have; of most names it is one type, whatever the
/// operator. Nothing for names that are not known. Source: as above.
inline std::optional<onnx_attribute::type> type_of_attribute(std::string_view op_type,
                                                             std::string_view name) noexcept {
  using type = onnx_attribute::type;
  static constexpr std::pair<type, std::string_view> attributes[] = {
      {type::integer,
       "align_corners allowzero antialias axis batch_axis batch_dims block_size blocksize ceil_mode "
       "center_point_box chunk_size "
       "count_include_pad detect_negative detect_positive dtype end exclude_outside exclusive fmod group "
       "hidden_size "
       "ignore_index input_forget interleaved inverse is_case_sensitive is_causal k keepdims kv_num_heads "
       "largest layout "
       "left_window_size linear_before_reset max_gram_length max_skip_count maxsplit min_gram_length "
       "new_axis "
       "noop_with_empty_axes num_groups num_heads num_outputs num_scan_inputs offset_group onesided "
       "output_datatype output_dtype "
       "output_height output_width p periodic precision q_num_heads qk_matmul_output_mode reverse "
       "right_window_size "
       "rotary_embedding_dim sample_size sampling_ratio saturate select_last_index size softmax_precision "
       "sorted spatial start "
       "stash_type storage_order time_axis to training_mode transA transB upper value_int"},
      {type::integers,
       "axes dilations directions ends kernel_shape ngram_counts ngram_indexes output_padding output_shape "
       "pads perm pool_int64s "
       "pooled_shape scan_input_axes scan_input_directions scan_output_axes scan_output_directions shape "
       "split starts strides "
       "value_ints"},
      {type::real,
       "alpha beta bias clip cubic_coeff_a epsilon extrapolation_value gamma high lambd low max mean min "
       "momentum ratio scale "
       "softcap spatial_scale value_float"},
      {type::reals, "activation_alpha activation_beta scales value_floats weights"},
      {type::text,
       "activation approximate auto_pad case_change_action coordinate_transformation_mode delimiter "
       "direction equation "
       "keep_aspect_ratio_policy locale mode nearest_mode padding_mode pattern pixel_format reduction "
       "round_mode update_rule "
       "value_string"},
      {type::texts, "activations pool_strings stopwords value_strings"},
      {type::graph, "body else_branch then_branch"},
  };
  if (name == "value") return op_type == "Pad" ? type::real : type::tensor;
  if (name == "seed") return op_type == "Dropout" ? type::integer : type::real;
  for (const auto& [kind, names] : attributes)
    if (has_listed(names, name)) return kind;
  return {};
}

inline const char* text_of(onnx_attribute::type kind) noexcept {
  constexpr const char* texts[] = {
      "of no type",        "a float",           "an integer",      "a string",
      "a tensor",          "a graph",           "floats",          "a list of integers",
      "a list of strings", "a list of tensors", "a list of graphs"};
  const auto at = static_cast<std::size_t>(kind);
  return at < std::size(texts) ? texts[at] : "of a type that is unknown here";
}

/// Checks a model: its graph, the bodies in it, its functions.
class onnx_form {
 public:
  static result<void> check(const onnx_model& model) {
    for (const onnx_value& input : model.graph.inputs)
      if (input.name.empty()) return nameless("a graph input");
    if (auto sound = check_names(model.graph.initializers); !sound) return sound;
    if (auto sound = check_nodes(model.graph.nodes); !sound) return sound;
    for (const onnx_function& function : model.functions)
      if (auto sound = check_nodes(function.nodes); !sound)
        return sound.error().in("function \"" + function.name + "\"");
    return {};
  }

 private:
  static error nameless(const std::string& what) {
    return {errc::wrong_format, "graph", what + " has no name: nothing can use it. Export the model again."};
  }

  static result<void> check_names(const std::vector<onnx_tensor>& initializers) {
    for (const onnx_tensor& tensor : initializers)
      if (tensor.name.empty()) return nameless("an initializer");
    return {};
  }

  static result<void> check_nodes(const std::vector<onnx_node>& nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (auto sound = check_node(nodes[i]); !sound) {
        const std::string name = nodes[i].name.empty() ? std::to_string(i) : "\"" + nodes[i].name + "\"";
        return sound.error().in("node " + name + " (" + nodes[i].op_type + ")");
      }
    return {};
  }

  static result<void> check_node(const onnx_node& node) {
    std::string wrong = fault_of(node);
    for (const onnx_attribute& attribute : node.attributes)
      if (wrong.empty()) wrong = fault_of(node, attribute);
    if (!wrong.empty()) return error(errc::wrong_format, {}, wrong + " Export the model again.");
    for (const onnx_attribute& attribute : node.attributes) {
      for (const onnx_body& body : attribute.bodies) {
        auto sound = check_names(body.initializers);
        if (sound) sound = check_nodes(body.nodes);
        if (!sound) return sound.error().in("attribute \"" + attribute.name + "\"");
      }
    }
    return {};
  }

  /// In words; empty if there is none.
  static std::string fault_of(const onnx_node& node) {
    if (node.op_type.empty()) return "it names no operator.";
    const bool makes_something = std::any_of(node.outputs.begin(), node.outputs.end(),
                                             [](const std::string& name) { return !name.empty(); });
    if (!makes_something) return "it has no outputs: nothing can use what it computes.";
    if (!node.is_standard()) return {};
    const bool is_recurrent = has_listed("GRU LSTM RNN", node.op_type);  // all of their outputs are optional
    if (node.outputs.front().empty() && !is_recurrent) return "its first output has no name.";
    const std::size_t least = least_inputs(node.op_type);
    if (node.inputs.size() < least)
      return "it has " + counted(node.inputs.size(), "input") + "; " + node.op_type + " takes " +
             std::to_string(least) + " or more.";
    const bool may_lack_first = has_listed("Loop Scan", node.op_type);  // of Scan 8: the lengths of sequences
    if (least > 0 && node.inputs.front().empty() && !may_lack_first) return "its first input has no name.";
    return {};
  }

  static std::string fault_of(const onnx_node& node, const onnx_attribute& attribute) {
    if (attribute.name.empty()) return "one of its attributes has no name.";
    if (!node.is_standard() || is_experimental(node)) return {};
    const auto wanted = type_of_attribute(node.op_type, attribute.name);
    if (!wanted || attribute.kind == *wanted) return {};
    return "its attribute \"" + attribute.name + "\" is " + text_of(attribute.kind) + "; it must be " +
           text_of(*wanted) + ".";
  }
};

}  // namespace detail

/// @return wrong_format: a node without outputs or with too few inputs, an attribute of another type than its
///         operator's, a tensor without a name; `where` names the node, and the body or function around it
inline result<void> check_form(const onnx_model& model) {
  return detail::onnx_form::check(model);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_FORM_HPP
