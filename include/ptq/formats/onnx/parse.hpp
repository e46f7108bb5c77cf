// SPDX-License-Identifier: Apache-2.0
/// @file parse.hpp The protobuf messages of an ONNX file as the structs of model.hpp, unchecked. Field
/// numbers are those of the specification's `onnx.proto`.
#ifndef PTQ_FORMATS_ONNX_PARSE_HPP
#define PTQ_FORMATS_ONNX_PARSE_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/wire.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Where something is wrong, `state` says what and where; what was parsed then has no meaning.
class onnx_parser {
 public:
  wire_state state;

  explicit onnx_parser(onnx_model& model) : model_(&model) {}

  void parse_model(std::string_view message) {
    bool has_graph = false;
    for_each_field(message, state, "ModelProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          model_->ir_version = field.integer();
          break;
        case 2:
          model_->producer = field.text() + model_->producer;
          break;
        case 3:
          model_->producer.append(" ").append(field.bytes());
          break;
        case 7:
          if (has_graph) return state.fail("there is more than one graph.");
          has_graph = true;
          parse_graph(field.bytes());
          break;
        case 8:
          model_->opsets.push_back(parse_opset(field.bytes()));
          break;
        case 25:
          model_->functions.push_back(parse_function(field.bytes()));
          break;
        default:
          break;
      }
    });
    if (!has_graph && !state.is_enough) state.fail("there is no graph.");
  }

 private:
  static constexpr int max_depth = 64;          // of bodies in bodies
  static constexpr std::size_t least_node = 8;  // bytes that a node with an operator and an output takes

  /// Ends reading at a fault that `check_form` describes: nothing that is faulty takes memory more than once.
  void stop_if(bool is_faulty) noexcept { state.is_enough = state.is_enough || is_faulty; }

  onnx_opset parse_opset(std::string_view message) {
    onnx_opset opset;
    for_each_field(message, state, "OperatorSetIdProto", [&](const wire_field& field) {
      if (field.tag == 1) opset.domain = field.text();
      if (field.tag == 2) opset.version = field.integer();
    });
    return opset;
  }

  onnx_function parse_function(std::string_view message) {
    onnx_function function;
    function.source = message;
    for_each_field(message, state, "FunctionProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          function.name = field.text();
          break;
        case 4:
          function.inputs.push_back(field.text());
          break;
        case 5:
          function.outputs.push_back(field.text());
          break;
        case 7:
          function.nodes.push_back(parse_node(field.bytes()));
          break;
        case 9:
          function.opsets.push_back(parse_opset(field.bytes()));
          break;
        default:
          break;
      }
    });
    return function;
  }

  void parse_graph(std::string_view message) {
    onnx_graph& graph = model_->graph;
    graph.source = message;
    make_room(message);
    for_each_field(message, state, "GraphProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          graph.nodes.push_back(parse_node(field.bytes()));
          break;
        case 5:
          graph.initializers.push_back(parse_tensor(field.bytes()));
          stop_if(graph.initializers.back().name.empty());
          break;
        case 11:
          graph.inputs.push_back(parse_value(field.bytes()));
          stop_if(graph.inputs.back().name.empty());
          break;
        case 12:
          graph.outputs.push_back(parse_value(field.bytes()));
          break;
        case 13:
          graph.values.push_back(parse_value(field.bytes()));
          if (graph.values.back().name.empty()) graph.values.pop_back();  // it declares nothing
          break;
        case 15:
          graph.sparse_initializers.push_back(parse_sparse(field.bytes()));
          break;
        default:
          break;
      }
    });
  }

  /// Lists of very many do not move while they grow.
  void make_room(std::string_view message) {
    std::size_t nodes = 0;
    std::size_t initializers = 0;
    wire_state ignored;
    for_each_field(message, ignored, "GraphProto", [&](const wire_field& field) {
      if (field.tag == 1) ++nodes;
      if (field.tag == 5) ++initializers;
    });
    model_->graph.nodes.reserve((std::min)(nodes, message.size() / least_node));
    model_->graph.initializers.reserve((std::min)(initializers, message.size() / least_node));
  }

  onnx_node parse_node(std::string_view message) {
    onnx_node node;
    node.source = message;
    for_each_field(message, state, "NodeProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          node.inputs.push_back(field.text());
          break;
        case 2:
          node.outputs.push_back(field.text());
          break;
        case 3:
          node.name = field.text();
          break;
        case 4:
          node.op_type = field.text();
          break;
        case 5:
          node.attributes.push_back(parse_attribute(field.bytes()));
          break;
        case 7:
          node.domain = field.text();
          break;
        case 9:
          node.metadata.push_back(parse_entry(field.bytes()));
          break;
        default:
          break;
      }
    });
    stop_if(node.op_type.empty() || node.outputs.empty());
    return node;
  }

  onnx_attribute parse_attribute(std::string_view message) {
    using type = onnx_attribute::type;
    onnx_attribute attribute;
    type seen = type::undefined;
    for_each_field(message, state, "AttributeProto", [&](const wire_field& field) {
      const auto hold = [&](type kind) { seen = kind; };
      switch (field.tag) {
        case 1:
          attribute.name = field.text();
          break;
        case 2:
          hold(type::real);
          attribute.real = field.real();
          break;
        case 3:
          hold(type::integer);
          attribute.integer = field.integer();
          break;
        case 4:
          hold(type::text);
          attribute.text = field.text();
          break;
        case 5:
          hold(type::tensor);
          attribute.tensors.push_back(parse_tensor(field.bytes()));
          break;
        case 6:
          hold(type::graph);
          attribute.bodies.push_back(parse_body(field.bytes()));
          break;
        case 7: {
          hold(type::reals);
          std::vector<std::byte> bytes;
          field.append_fixed(sizeof(float), bytes);
          const std::size_t count = attribute.reals.size();
          attribute.reals.resize(count + bytes.size() / sizeof(float));
          std::copy(bytes.begin(), bytes.end(),
                    std::as_writable_bytes(std::span(attribute.reals).subspan(count)).begin());
          break;
        }
        case 8:
          hold(type::integers);
          field.for_each_varint(
              [&](std::uint64_t value) { attribute.integers.push_back(static_cast<std::int64_t>(value)); });
          break;
        case 9:
          hold(type::texts);
          attribute.texts.push_back(field.text());
          break;
        case 10:
          hold(type::tensors);
          attribute.tensors.push_back(parse_tensor(field.bytes()));
          break;
        case 11:
          hold(type::graphs);
          attribute.bodies.push_back(parse_body(field.bytes()));
          break;
        case 22:
          attribute.sparse.push_back(parse_sparse(field.bytes()));
          break;
        case 20:
          attribute.kind = static_cast<type>(field.integer32());
          break;
        case 21:
          attribute.reference = field.text();
          break;
        default:
          break;
      }
    });
    if (attribute.kind == type::undefined) attribute.kind = seen;  // files of IR version 1 have no type
    stop_if(attribute.name.empty());
    return attribute;
  }

  onnx_tensor parse_tensor(std::string_view message) {
    onnx_tensor tensor;
    tensor.source = message;
    std::vector<wire_field> typed;
    onnx_location location;
    bool is_external = false;
    for_each_field(message, state, "TensorProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          field.for_each_varint(
              [&](std::uint64_t extent) { tensor.dims.push_back(static_cast<std::size_t>(extent)); });
          break;
        case 2:
          tensor.type = onnx_type(field.integer32());
          break;
        case 4:
        case 5:
        case 7:
        case 10:
        case 11:
          typed.push_back(field);
          break;
        case 8:
          tensor.name = field.text();
          break;
        case 9:
          tensor.data = std::as_bytes(std::span(field.bytes()));
          break;
        case 13:
          parse_location(field.bytes(), location);
          break;
        case 14:
          is_external = field.integer() == 1;
          break;
        default:
          break;
      }
    });
    if (is_external) tensor.external = std::move(location);
    if (!typed.empty() && tensor.data.empty()) tensor.data = decode(typed, tensor.type);
    return tensor;
  }

  /// Values that are stored one by one, as an array of their type.
  std::span<const std::byte> decode(const std::vector<wire_field>& fields, element_type type) {
    std::vector<std::byte>& bytes = model_->decoded.emplace_back();
    const auto append = [&](std::uint64_t value, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
    };
    for (const wire_field& field : fields) {
      if (field.tag != field_for(type)) {
        state.fail("the values are in a field for another data type.");
        break;
      }
      switch (field.tag) {
        case 4:
          field.append_fixed(sizeof(float), bytes);
          break;
        case 10:
          field.append_fixed(sizeof(double), bytes);
          break;
        default:  // types below a byte have as many elements in an entry as fit in one
          field.for_each_varint(
              [&](std::uint64_t value) { append(value, (std::max<std::size_t>)(bits_of(type) / 8, 1)); });
          break;
      }
    }
    return bytes;
  }

  static protozero::pbf_tag_type field_for(element_type type) noexcept {
    switch (type) {
      case element_type::float32:
      case element_type::complex64:
        return 4;
      case element_type::int64:
        return 7;
      case element_type::float64:
      case element_type::complex128:
        return 10;
      case element_type::uint32:
      case element_type::uint64:
        return 11;
      default:
        return 5;
    }
  }

  /// Key and value.
  std::pair<std::string_view, std::string_view> parse_entry(std::string_view message) {
    std::pair<std::string_view, std::string_view> entry;
    for_each_field(message, state, "StringStringEntryProto", [&](const wire_field& field) {
      if (field.tag == 1) entry.first = field.bytes();
      if (field.tag == 2) entry.second = field.bytes();
    });
    return entry;
  }

  void parse_location(std::string_view message, onnx_location& location) {
    const auto [key, value] = parse_entry(message);
    if (key == "location") location.file = std::string(value);
    if (key == "offset") location.offset = parse_number(value);
    if (key == "length") location.length = parse_number(value);
  }

  std::uint64_t parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc() || end != text.data() + text.size())
      state.fail("offset and length of external data must be whole numbers.");
    return number;
  }

  onnx_value parse_value(std::string_view message) {
    onnx_value value;
    for_each_field(message, state, "ValueInfoProto", [&](const wire_field& field) {
      if (field.tag == 1) value.name = field.text();
      if (field.tag == 2) parse_type(field.bytes(), value);
    });
    return value;
  }

  void parse_type(std::string_view message, onnx_value& value) {
    for_each_field(message, state, "TypeProto", [&](const wire_field& field) {
      if (field.tag != 1) return;
      for_each_field(field.bytes(), state, "TypeProto.Tensor", [&](const wire_field& inner) {
        if (inner.tag == 1) value.type = onnx_type(inner.integer32());
        if (inner.tag == 2) value.shape = parse_shape(inner.bytes());
      });
    });
  }

  std::vector<onnx_extent> parse_shape(std::string_view message) {
    std::vector<onnx_extent> shape;
    for_each_field(message, state, "TensorShapeProto", [&](const wire_field& field) {
      if (field.tag != 1) return;
      onnx_extent& extent = shape.emplace_back();
      for_each_field(field.bytes(), state, "TensorShapeProto.Dimension", [&](const wire_field& inner) {
        if (inner.tag == 1) extent.number = inner.integer();
        if (inner.tag == 2) extent.symbol = inner.text();
      });
    });
    return shape;
  }

  /// Name, type and shape.
  onnx_tensor parse_sparse(std::string_view message) {
    onnx_tensor sparse;
    std::vector<std::size_t> dims;
    for_each_field(message, state, "SparseTensorProto", [&](const wire_field& field) {
      if (field.tag == 1) sparse = parse_tensor(field.bytes());
      if (field.tag == 3)
        field.for_each_varint(
            [&](std::uint64_t extent) { dims.push_back(static_cast<std::size_t>(extent)); });
    });
    sparse.dims = std::move(dims);
    sparse.data = {};
    return sparse;
  }

  onnx_body parse_body(std::string_view message) {
    onnx_body body;
    if (depth_ == max_depth) {
      state.fail("graphs are nested deeper than 64.");
      return body;
    }
    ++depth_;
    body.source = message;
    std::set<std::string> used;
    std::set<std::string> own;
    for_each_field(message, state, "GraphProto", [&](const wire_field& field) {
      switch (field.tag) {
        case 1:
          body.nodes.push_back(parse_node(field.bytes()));
          break;
        case 5: {
          onnx_tensor tensor = parse_tensor(field.bytes());
          stop_if(tensor.name.empty());
          body.names.push_back(tensor.name);
          body.has_external = body.has_external || tensor.external.has_value();
          body.initializers.push_back(std::move(tensor));
          break;
        }
        case 11:
          body.values.push_back(parse_value(field.bytes()));
          body.names.push_back(body.values.back().name);
          break;
        case 12:
          body.values.push_back(parse_value(field.bytes()));
          body.outputs.push_back(body.values.back().name);
          used.insert(body.outputs.back());
          break;
        case 13:
          body.values.push_back(parse_value(field.bytes()));
          break;
        case 15:
          body.sparse_initializers.push_back(parse_sparse(field.bytes()));
          body.names.push_back(body.sparse_initializers.back().name);
          break;
        default:
          break;
      }
    });
    for (const onnx_node& node : body.nodes) {
      used.insert(node.inputs.begin(), node.inputs.end());
      own.insert(node.outputs.begin(), node.outputs.end());
      for (const onnx_attribute& attribute : node.attributes)
        for (const onnx_body& inner : attribute.bodies)
          used.insert(inner.captures.begin(), inner.captures.end());
    }
    own.insert(body.names.begin(), body.names.end());
    own.insert(std::string());  // an input that is left out
    std::set_difference(used.begin(), used.end(), own.begin(), own.end(), std::back_inserter(body.captures));
    --depth_;
    return body;
  }

  onnx_model* model_;
  int depth_ = 0;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_PARSE_HPP
