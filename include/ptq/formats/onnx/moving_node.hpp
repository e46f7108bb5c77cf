// SPDX-License-Identifier: Apache-2.0
/// @file moving_node.hpp A node on its way to a newer operator set: what an adapter sees and changes.
#ifndef PTQ_FORMATS_ONNX_MOVING_NODE_HPP
#define PTQ_FORMATS_ONNX_MOVING_NODE_HPP

#include <protozero/pbf_writer.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/onnx/build.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/scope.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/text.hpp"
#include "ptq/formats/onnx/wire.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A name that no tensor and no node has: `wanted`, or with a number behind it. It is taken then.
inline std::string fresh_name(std::set<std::string>& taken, const std::string& wanted) {
  std::string name = wanted;
  for (std::size_t i = 2; !taken.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

/// Adapters read attributes through it, change operator, inputs, outputs and attributes, and add nodes before
/// and behind. Attributes that nobody changes stay byte for byte.
class onnx_moving_node {
 public:
  onnx_moving_node(const onnx_node& node, const onnx_scope& scope, std::set<std::string>& names)
      : node_(&node),
        scope_(&scope),
        names_(&names),
        op_type_(node.op_type),
        inputs_(node.inputs),
        outputs_(node.outputs) {}

  const std::string& op_type() const noexcept { return op_type_; }
  std::string_view original_op_type() const noexcept { return node_->op_type; }
  const onnx_scope& scope() const noexcept { return *scope_; }
  bool is_changed() const noexcept { return is_changed_; }
  /// Why the node cannot be moved, as the end of a sentence; empty if it can.
  const std::string& refusal() const noexcept { return refusal_; }
  /// What to do about it, if that is not what always helps.
  const std::string& remedy() const noexcept { return remedy_; }

  std::string_view input(std::size_t slot) const noexcept {
    return slot < inputs_.size() ? std::string_view(inputs_[slot]) : std::string_view();
  }
  const std::vector<std::string>& outputs() const noexcept { return outputs_; }

  bool has(std::string_view attribute) { return find(attribute) != nullptr; }
  std::int64_t integer(std::string_view attribute, std::int64_t otherwise) {
    const onnx_attribute* const found = find(attribute);
    return found != nullptr ? found->integer : otherwise;
  }
  float real(std::string_view attribute, float otherwise) {
    const onnx_attribute* const found = find(attribute);
    return found != nullptr ? found->real : otherwise;
  }
  std::string text(std::string_view attribute, std::string_view otherwise) {
    const onnx_attribute* const found = find(attribute);
    return found != nullptr ? found->text : std::string(otherwise);
  }
  std::vector<std::int64_t> integers(std::string_view attribute) {
    const onnx_attribute* const found = find(attribute);
    return found != nullptr ? found->integers : std::vector<std::int64_t>();
  }
  std::vector<float> reals(std::string_view attribute) {
    const onnx_attribute* const found = find(attribute);
    return found != nullptr ? found->reals : std::vector<float>();
  }

  void refuse(std::string why, std::string remedy = {}) {
    if (!refusal_.empty()) return;
    refusal_ = std::move(why);
    remedy_ = std::move(remedy);
  }

  void rename(std::string_view op_type) {
    op_type_ = op_type;
    is_changed_ = true;
  }
  void set_input(std::size_t slot, std::string name) {
    if (inputs_.size() <= slot) inputs_.resize(slot + 1);
    inputs_[slot] = std::move(name);
    is_changed_ = true;
  }
  /// The node keeps its first outputs.
  void keep_outputs(std::size_t count) {
    if (outputs_.size() <= count) return;
    outputs_.resize(count);
    is_changed_ = true;
  }
  void drop(std::string_view attribute) {
    dropped_.emplace(attribute);
    is_changed_ = true;
  }
  void set(std::string_view attribute, std::int64_t value) {
    add_attribute(attribute, onnx_attribute::type::integer,
                  [&](protozero::pbf_writer& a) { a.add_int64(3, value); });
  }
  void set(std::string_view attribute, std::string_view value) {
    add_attribute(attribute, onnx_attribute::type::text,
                  [&](protozero::pbf_writer& a) { a.add_bytes(4, value.data(), value.size()); });
  }

  /// A Constant before the node: a list of int64, or one number of a type. Its name.
  std::string constant(std::string_view what, std::span<const std::int64_t> values) {
    const std::size_t dims[] = {values.size()};
    return add_constant(what, element_type::int64, dims, bytes_of(values));
  }
  std::string constant(std::string_view what, std::span<const float> values) {
    const std::size_t dims[] = {values.size()};
    return add_constant(what, element_type::float32, dims, bytes_of(values));
  }
  std::string scalar(std::string_view what, std::int64_t value) {
    return add_constant(what, element_type::int64, {}, bytes_of(std::span<const std::int64_t>(&value, 1)));
  }
  std::string scalar(std::string_view what, float value) {
    return add_constant(what, element_type::float32, {}, bytes_of(std::span<const float>(&value, 1)));
  }
  /// Of the type that the node's first input and output have; refuses where that is not known.
  std::string typed_scalar(std::string_view what, float value) {
    element_type type = scope_->type_of(input(0));
    if (type == element_type::unknown) type = scope_->type_of(outputs_.front());
    const auto bytes = encode(value, type);
    if (!bytes) {
      refuse("the type of its input \"" + std::string(input(0)) + "\" is " +
                 (type == element_type::unknown ? "not known" : onnx_word(type)),
             "Save the model with the types of its inner tensors (onnx.shape_inference.infer_shapes).");
      return {};
    }
    return add_constant(what, type, {}, *bytes);
  }

  /// Another node before this one. The name of its output.
  std::string before(std::string_view op_type, std::string_view what, const std::vector<std::string>& inputs,
                     onnx_integer attribute = {}) {
    std::string output = name_for(what);
    before_ += make_node(op_type, fresh_name(*names_, output + "_" + std::string(op_type)), inputs, output,
                         attribute);
    return output;
  }
  /// Another node behind this one, which makes what this one made first; its input 0 is this one's new
  /// output.
  void behind(std::string_view op_type, std::string_view what, const std::string& second_input) {
    const std::string old = std::exchange(outputs_.front(), name_for(what));
    behind_ += make_node(op_type, fresh_name(*names_, old + "_" + std::string(op_type)),
                         {outputs_.front(), second_input}, old);
    is_changed_ = true;
  }

  /// The fields that stand for the node.
  ///
  /// @param tag    of a node in the message around it
  /// @param bodies what stands in place of attributes that hold graphs, by their index
  onnx_text text(protozero::pbf_tag_type tag, std::map<std::size_t, onnx_text> bodies) const {
    onnx_text message;
    std::string start;
    protozero::pbf_writer writer(start);
    for (const std::string& name : inputs_) writer.add_string(1, name);
    for (const std::string& name : outputs_) writer.add_string(2, name);
    if (!node_->name.empty()) writer.add_string(3, node_->name);
    writer.add_string(4, op_type_);
    message.add(std::move(start));
    std::size_t attribute = 0;
    wire_state state;
    for_each_field(node_->source, state, "NodeProto", [&](const wire_field& field) {
      if (field.tag >= 1 && field.tag <= 4) return;
      const std::size_t at = field.tag == 5 ? attribute++ : no_attribute;
      if (const auto body = bodies.find(at); body != bodies.end())
        message.add_field(5, std::move(body->second));
      else if (at == no_attribute || !dropped_.contains(node_->attributes[at].name))
        message.keep(field.raw);
    });
    message.add(added_);
    onnx_text all;
    all.add(tagged(tag, before_));
    all.add_field(tag, std::move(message));
    all.add(tagged(tag, behind_));
    return all;
  }

 private:
  static constexpr std::size_t no_attribute = static_cast<std::size_t>(-1);

  static std::string tagged(protozero::pbf_tag_type tag, std::string_view node_fields) {
    std::string fields;
    wire_state state;
    for_each_field(node_fields, state, "GraphProto",
                   [&](const wire_field& field) { fields += make_field(tag, field.bytes()); });
    return fields;
  }

  const onnx_attribute* find(std::string_view attribute) {
    const onnx_attribute* const found = node_->find_attribute(attribute);
    if (found != nullptr && !found->reference.empty())
      refuse("its attribute \"" + found->name + "\" is the parameter \"" + found->reference +
             "\" of the function around it");
    return found;
  }

  template <class Write>
  void add_attribute(std::string_view name, onnx_attribute::type type, Write&& write) {
    drop(name);
    protozero::pbf_writer writer(added_);
    protozero::pbf_writer attribute(writer, 5);
    attribute.add_string(1, name.data(), name.size());
    write(attribute);
    attribute.add_enum(20, static_cast<std::int32_t>(type));
  }

  std::string name_for(std::string_view what) const {
    return fresh_name(*names_, node_->outputs.front() + "_" + std::string(what));
  }

  template <class T>
  static std::string bytes_of(std::span<const T> values) {
    std::string bytes(values.size_bytes(), '\0');
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size_bytes());
    return bytes;
  }

  static std::optional<std::string> encode(float value, element_type type) {
    const auto bytes = [](auto number) { return bytes_of(std::span<const decltype(number)>(&number, 1)); };
    switch (type) {
      case element_type::float32:
        return bytes(value);
      case element_type::float64:
        return bytes(static_cast<double>(value));
      case element_type::float16:
        return bytes(half::from_float(value).bits);
      case element_type::bfloat16:
        return bytes(bfloat16::from_float(value).bits);
      default:
        return std::nullopt;
    }
  }

  std::string add_constant(std::string_view what, element_type type, std::span<const std::size_t> dims,
                           const std::string& bytes) {
    std::string output = name_for(what);
    std::string attribute;
    protozero::pbf_writer value(attribute);
    value.add_string(1, "value");
    value.add_message(5, describe_tensor(output, type, dims) + make_field(9, bytes));
    value.add_enum(20, static_cast<std::int32_t>(onnx_attribute::type::tensor));
    std::string message;
    protozero::pbf_writer node(message);
    node.add_string(2, output);
    node.add_string(3, fresh_name(*names_, output + "_Constant"));
    node.add_string(4, "Constant");
    node.add_message(5, attribute);
    before_ += make_field(1, message);
    return output;
  }

  const onnx_node* node_;
  const onnx_scope* scope_;
  std::set<std::string>* names_;  // taken
  std::string op_type_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
  std::set<std::string, std::less<>> dropped_;
  std::string added_;   // NodeProto.attribute fields
  std::string before_;  // GraphProto.node fields
  std::string behind_;
  bool is_changed_ = false;
  std::string refusal_;
  std::string remedy_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_MOVING_NODE_HPP
