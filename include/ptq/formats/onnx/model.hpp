// SPDX-License-Identifier: Apache-2.0
/// @file model.hpp An ONNX model as plain structs. Names and fields follow the specification's `onnx.proto`.
#ifndef PTQ_FORMATS_ONNX_MODEL_HPP
#define PTQ_FORMATS_ONNX_MODEL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/onnx/tensor.hpp"

namespace ptq::inline v0_1 {

/// An extent that is a number, or a symbol such as "batch", or neither.
struct onnx_extent {
  std::optional<std::int64_t> number;
  std::string symbol;
};

/// ValueInfoProto: what the file declares about a tensor.
struct onnx_value {
  std::string name;
  element_type type = element_type::unknown;      ///< undefined also for sequences and other non-tensors
  std::optional<std::vector<onnx_extent>> shape;  ///< nothing: not even the rank is known
};

struct onnx_node;

/// A GraphProto inside an attribute (the branches of If, the body of Loop and Scan). It is kept as it is.
struct onnx_body {
  std::string_view source;  ///< the message as it stands in the file
  std::vector<onnx_node> nodes;
  std::vector<std::string> names;     ///< of its own inputs and initializers
  std::vector<std::string> captures;  ///< tensors of the graphs around it that it uses
  std::vector<std::string> outputs;
  std::vector<onnx_value> values;         ///< what it declares about its tensors
  std::vector<onnx_tensor> initializers;  ///< its own
  std::vector<onnx_tensor> sparse_initializers;
  bool has_external = false;  ///< some of its initializers lie in another file
};

/// AttributeProto. The member that `type` names is set, the others are empty.
struct onnx_attribute {
  enum class type : std::int32_t {
    undefined = 0,
    real = 1,
    integer = 2,
    text = 3,
    tensor = 4,
    graph = 5,
    reals = 6,
    integers = 7,
    texts = 8,
    tensors = 9,
    graphs = 10,
  };

  std::string name;
  std::string reference;        ///< inside a function: its parameter that gives the value
  type kind = type::undefined;  ///< other numbers (types) are kept and not read
  float real = 0;
  std::int64_t integer = 0;
  std::string text;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;
  std::vector<std::string> texts;
  std::vector<onnx_tensor> tensors;  ///< one for `tensor`
  std::vector<onnx_body> bodies;     ///< one for `graph`
  std::vector<onnx_tensor> sparse;   ///< the value of a sparse constant, without values
};

struct onnx_node {
  std::string name;
  std::string op_type;
  std::string domain;                ///< "" and "ai.onnx" are the standard operators
  std::vector<std::string> inputs;   ///< an empty name is an optional input that is left out
  std::vector<std::string> outputs;  ///< likewise
  std::vector<onnx_attribute> attributes;
  std::vector<std::pair<std::string_view, std::string_view>> metadata;  ///< keys and values
  std::string_view source;  ///< the message as it stands in the file

  bool is_standard() const noexcept { return domain.empty() || domain == "ai.onnx"; }

  const onnx_attribute* find_attribute(std::string_view wanted) const noexcept {
    for (const onnx_attribute& a : attributes)
      if (a.name == wanted) return &a;
    return nullptr;
  }

  /// Empty where there is no such key.
  std::string_view find_metadata(std::string_view wanted) const noexcept {
    for (const auto& [key, value] : metadata)
      if (key == wanted) return value;
    return {};
  }

  std::int64_t integer(std::string_view attribute, std::int64_t otherwise) const noexcept {
    const onnx_attribute* const found = find_attribute(attribute);
    return found != nullptr ? found->integer : otherwise;
  }

  float real(std::string_view attribute, float otherwise) const noexcept {
    const onnx_attribute* const found = find_attribute(attribute);
    return found != nullptr ? found->real : otherwise;
  }

  /// Empty where the attribute is absent.
  std::span<const std::int64_t> integers(std::string_view attribute) const noexcept {
    const onnx_attribute* const found = find_attribute(attribute);
    return found != nullptr ? std::span<const std::int64_t>(found->integers)
                            : std::span<const std::int64_t>();
  }

  /// The name of an input; empty where it is left out.
  std::string_view input(std::size_t slot) const noexcept {
    return slot < inputs.size() ? std::string_view(inputs[slot]) : std::string_view();
  }
};

/// Calls f(inner node) for the nodes of all bodies of a node, at any depth.
template <class F>
void for_each_body_node(const onnx_node& node, F&& f) {
  for (const onnx_attribute& attribute : node.attributes) {
    for (const onnx_body& body : attribute.bodies) {
      for (const onnx_node& inner : body.nodes) {
        f(inner);
        for_each_body_node(inner, f);
      }
    }
  }
}

struct onnx_graph {
  std::vector<onnx_node> nodes;  ///< in topological order
  std::vector<onnx_tensor> initializers;
  std::vector<onnx_tensor> constants;  ///< the values of `Constant` nodes, named after their outputs
  std::vector<onnx_tensor> sparse_initializers;  ///< without values
  std::vector<onnx_value> inputs;                ///< those with an initializer of that name have a default
  std::vector<onnx_value> outputs;
  std::vector<onnx_value> values;  ///< inner tensors
  std::string_view source;         ///< the message as it stands in the file
};

struct onnx_opset {
  std::string domain;
  std::int64_t version = 0;
};

/// The version of the standard operators in a list of imports; 0 if they are not imported.
inline std::int64_t standard_opset(const std::vector<onnx_opset>& imports) noexcept {
  for (const onnx_opset& imported : imports)
    if (imported.domain.empty() || imported.domain == "ai.onnx") return imported.version;
  return 0;
}

/// The bytes of the tensors that the bodies of nodes hold, those within bodies included.
inline std::uint64_t bytes_in_bodies(std::span<const onnx_node> nodes) {
  std::uint64_t bytes = 0;
  const auto add = [&](const onnx_tensor& tensor) { bytes += tensor.data.size(); };
  for (const onnx_node& node : nodes) {
    for (const onnx_attribute& attribute : node.attributes) {
      for (const onnx_body& body : attribute.bodies) {
        std::for_each(body.initializers.begin(), body.initializers.end(), add);
        for (const onnx_node& inner : body.nodes)
          for (const onnx_attribute& own : inner.attributes)
            std::for_each(own.tensors.begin(), own.tensors.end(), add);
        bytes += bytes_in_bodies(body.nodes);
      }
    }
  }
  return bytes;
}

/// FunctionProto: an operator that the model brings along.
struct onnx_function {
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<onnx_node> nodes;
  std::vector<onnx_opset> opsets;
  std::string_view source;  ///< the message as it stands in the file
};

/// Move-only. Views stay valid as it moves; they end with the model, or with the bytes it was read from.
struct onnx_model {
  std::string file;  ///< as messages show it
  std::int64_t ir_version = 0;
  std::string producer;  ///< name and version
  std::vector<onnx_opset> opsets;
  onnx_graph graph;
  std::vector<onnx_function> functions;
  std::string_view source;  ///< the whole file

  std::vector<mapped_file> files;              ///< behind the views: the model itself and its external data
  std::deque<std::vector<std::byte>> decoded;  ///< behind tensors that are not stored as plain bytes

  onnx_model() = default;
  // NOLINTBEGIN(performance-noexcept-move-constructor): moving a std::deque may allocate
  onnx_model(onnx_model&&) = default;
  onnx_model& operator=(onnx_model&&) = default;
  // NOLINTEND(performance-noexcept-move-constructor)

  /// Gives the memory behind tensor data back (`mapped_file::release`).
  void release(std::span<const std::byte> data) const noexcept {
    for (const mapped_file& mapped : files) mapped.release(data);
  }

  /// Of the standard operators; 0 if the model imports none.
  std::int64_t opset() const noexcept { return standard_opset(opsets); }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_MODEL_HPP
