// SPDX-License-Identifier: Apache-2.0
/// @file opset.hpp Moves a graph to a newer operator set, with its bodies and functions.
#ifndef PTQ_FORMATS_ONNX_OPSET_HPP
#define PTQ_FORMATS_ONNX_OPSET_HPP

#include <protozero/pbf_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/onnx/adapters.hpp"
#include "ptq/formats/onnx/infer.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/moving_node.hpp"
#include "ptq/formats/onnx/operators.hpp"
#include "ptq/formats/onnx/scope.hpp"
#include "ptq/formats/onnx/text.hpp"
#include "ptq/formats/onnx/wire.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::int64_t oldest_movable_opset = 7;  // broadcasting changed there

/// An OperatorSetIdProto field of the standard operators.
inline std::string opset_field(protozero::pbf_tag_type tag, std::int64_t version) {
  std::string message;
  protozero::pbf_writer(message).add_int64(2, version);
  return make_field(tag, message);
}

inline bool is_standard_opset(std::string_view message) {
  bool standard = true;
  wire_state state;
  for_each_field(message, state, "OperatorSetIdProto", [&](const wire_field& field) {
    if (field.tag == 1) standard = field.bytes().empty() || field.bytes() == "ai.onnx";
  });
  return standard;
}

/// Moves nodes one by one. Where one has no newer form, the mover says so and what it makes has no meaning.
class onnx_mover {
 public:
  /// @param reason what needs the operator set `to`: "fp8_e4m3fn"
  /// @param names  taken ones, of tensors and nodes; it adds its own
  onnx_mover(const onnx_model& model, const onnx_links& links, std::int64_t to, std::string reason,
             std::set<std::string>& names)
      : model_(&model),
        declarations_(model.graph, links),
        scope_(links, declarations_),
        from_(model.opset()),
        to_(to),
        reason_(std::move(reason)),
        names_(&names) {
    if (from_ < oldest_movable_opset) refuse("operators of before version 7 mean something else now", {});
  }

  /// The GraphProto.node fields that stand for a node; nothing where it stays as it is. The node is one of
  /// the graph, or a copy of one with other names.
  std::optional<onnx_text> move(const onnx_node& node) {
    where_ = place_of(node);
    return move(node, scope_, from_, 1);
  }

  /// A ModelProto.functions field; nothing where the function stays as it is.
  std::optional<onnx_text> move(const onnx_function& function) {
    const std::int64_t from = standard_opset(function.opsets);
    if (from == 0 || from >= to_) return {};
    where_ = "function \"" + function.name + "\"";
    if (from < oldest_movable_opset) refuse(where_ + " has operator set " + std::to_string(from), {});
    const onnx_scope scope(function);
    onnx_text message;
    std::size_t node = 0;
    wire_state state;
    for_each_field(function.source, state, "FunctionProto", [&](const wire_field& field) {
      if (field.tag == 9 && is_standard_opset(field.bytes()))
        message.add(opset_field(9, to_));
      else if (auto moved = field.tag == 7 ? move(function.nodes[node++], scope, from, 7) : std::nullopt)
        message.add(*std::move(moved));
      else
        message.keep(field.raw);
    });
    onnx_text field;
    field.add_field(25, std::move(message));
    return field;
  }

  /// Everything; for those who only want to know whether it goes.
  result<void> check() {
    for (const onnx_node& node : model_->graph.nodes) (void)move(node);
    for (const onnx_function& function : model_->functions) (void)move(function);
    return outcome();
  }

  /// How many nodes are in another form now.
  std::size_t count() const noexcept { return count_; }

  result<void> outcome() const {
    if (refusal_.empty()) return {};
    return error(errc::unsupported, {},
                 reason_ + " needs operator set " + std::to_string(to_) + ", but the model has " +
                     std::to_string(from_) + ", and " + refusal_ + ". " + remedy_);
  }

 private:
  /// Where something is refused: the node of the graph, or the function.
  static std::string place_of(const onnx_node& node) {
    return "node " +
           (node.name.empty() ? "that makes \"" + (node.outputs.empty() ? "" : node.outputs.front()) + "\""
                              : "\"" + node.name + "\"") +
           " (" + node.op_type + ")";
  }

  void refuse(std::string why, const std::string& remedy) {
    if (!refusal_.empty()) return;
    refusal_ = std::move(why);
    remedy_ = !remedy.empty()
                  ? remedy
                  : "Export the model with operator set " + std::to_string(to_) + " or later" +
                        (to_ > 13 && from_ >= oldest_movable_opset ? ", or use int8, which needs 13." : ".");
  }

  std::optional<onnx_text> move(const onnx_node& node, const onnx_scope& scope, std::int64_t from,
                                protozero::pbf_tag_type tag) {
    onnx_moving_node moving(node, scope, *names_);
    if (is_experimental(node) && from < without_experiments)
      moving.refuse("it was on trial, and is gone since operator set " + std::to_string(without_experiments),
                    "Export the model with operators that stayed.");
    else if (node.is_standard() && !node.outputs.empty())
      adapt(moving, from, to_);
    if (!moving.refusal().empty()) {
      const std::string place = place_of(node);
      refuse((place == where_ ? place : place + " in " + where_) + " cannot be moved: " + moving.refusal(),
             moving.remedy());
    }
    if (moving.is_changed()) ++count_;
    std::map<std::size_t, onnx_text> attributes;
    for (std::size_t i = 0; i < node.attributes.size(); ++i)
      if (!node.attributes[i].bodies.empty())
        if (auto attribute = move_bodies(node, i, scope, from)) attributes.emplace(i, *std::move(attribute));
    if (!moving.is_changed() && attributes.empty()) return {};
    return moving.text(tag, std::move(attributes));
  }

  /// An AttributeProto with its graphs.
  std::optional<onnx_text> move_bodies(const onnx_node& node, std::size_t index, const onnx_scope& around,
                                       std::int64_t from) {
    const onnx_attribute& attribute = node.attributes[index];
    onnx_text message;
    std::size_t body = 0;
    bool is_changed = false;
    for_each_attribute(node, index, [&](const wire_field& field) {
      auto moved = field.tag == 6 || field.tag == 11 ? move(attribute.bodies[body++], around, from)
                                                     : std::optional<onnx_text>();
      is_changed = is_changed || moved;
      if (moved)
        message.add_field(field.tag, *std::move(moved));
      else
        message.keep(field.raw);
    });
    if (!is_changed) return {};
    return message;
  }

  /// Calls f(field) for the fields of one attribute of a node.
  template <class F>
  static void for_each_attribute(const onnx_node& node, std::size_t index, F&& f) {
    std::size_t attribute = 0;
    wire_state state;
    for_each_field(node.source, state, "NodeProto", [&](const wire_field& field) {
      if (field.tag == 5 && attribute++ == index) for_each_field(field.bytes(), state, "AttributeProto", f);
    });
  }

  /// A GraphProto inside an attribute.
  std::optional<onnx_text> move(const onnx_body& body, const onnx_scope& around, std::int64_t from) {
    const onnx_scope scope(body, around);
    onnx_text message;
    std::size_t node = 0;
    bool is_changed = false;
    wire_state state;
    for_each_field(body.source, state, "GraphProto", [&](const wire_field& field) {
      auto moved = field.tag == 1 ? move(body.nodes[node++], scope, from, 1) : std::optional<onnx_text>();
      is_changed = is_changed || moved;
      if (moved)
        message.add(*std::move(moved));
      else
        message.keep(field.raw);
    });
    if (!is_changed) return {};
    return message;
  }

  const onnx_model* model_;
  onnx_declarations declarations_;
  onnx_scope scope_;
  std::int64_t from_;
  std::int64_t to_;
  std::string reason_;
  std::set<std::string>* names_;
  std::string where_;
  std::string refusal_;
  std::string remedy_;
  std::size_t count_ = 0;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_OPSET_HPP
