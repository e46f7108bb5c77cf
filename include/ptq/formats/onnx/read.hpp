// SPDX-License-Identifier: Apache-2.0
/// @file read.hpp Reads an ONNX model and checks that it is sound.
#ifndef PTQ_FORMATS_ONNX_READ_HPP
#define PTQ_FORMATS_ONNX_READ_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/external.hpp"
#include "ptq/formats/onnx/form.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/parse.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline result<void> parse_model(onnx_model& model) {
  onnx_parser parser(model);
  parser.parse_model(model.source);
  const wire_state& state = parser.state;
  if (state.failure == nullptr) return {};
  const auto at = static_cast<std::size_t>(state.at - model.source.data());
  error described(errc::wrong_format, {},
                  "byte " + std::to_string(at) + ", in a " + state.message + ": " + state.failure);
  described.at = at;
  return described;
}

/// The bytes that a tensor must have. False if its extents cannot even be multiplied, whether one is 0 or
/// not.
inline bool count_bytes(const onnx_tensor& tensor, std::size_t& bytes) {
  std::ptrdiff_t bits = static_cast<std::ptrdiff_t>((std::max<std::size_t>)(bits_of(tensor.type), 1));
  bool is_empty = false;
  for (const std::size_t extent : tensor.dims) {
    is_empty = is_empty || extent == 0;
    if (extent != 0 && __builtin_mul_overflow(bits, extent, &bits)) return false;
  }
  bytes = is_empty ? 0 : (static_cast<std::size_t>(bits) + 7) / 8;
  return true;
}

inline result<void> check_tensor(onnx_external_data& files, onnx_tensor& tensor, const std::string& where) {
  if (tensor.external) {
    if (const auto loaded = files.load(tensor); !loaded) return loaded.error().in(where);
  }
  for (const std::size_t extent : tensor.dims)
    if (static_cast<std::int64_t>(extent) < 0)
      return error(errc::invalid_value, where, tensor.type_text() + " has a negative extent.");
  std::size_t wanted = 0;
  if (!count_bytes(tensor, wanted))
    return error(errc::validation_overflow, where,
                 tensor.type_text() + " has more bytes than can be addressed.");
  if (bits_of(tensor.type) == 0 || tensor.data.size() == wanted) return {};
  return error(errc::wrong_format, where,
               tensor.type_text() + " takes " + std::to_string(wanted) + " bytes, but the file holds " +
                   std::to_string(tensor.data.size()) + ".");
}

/// The value of a `Constant` node, whichever of its attributes holds it. Strings and sparse tensors are left
/// out.
inline bool read_constant(onnx_model& model, const onnx_node& node, onnx_tensor& value) {
  const auto hold = [&](element_type type, auto numbers, bool is_list) {
    value.type = type;
    if (is_list) value.dims = {numbers.size()};
    const auto bytes = std::as_bytes(numbers);
    value.data = model.decoded.emplace_back(bytes.begin(), bytes.end());
  };
  for (const onnx_attribute& attribute : node.attributes) {
    using type = onnx_attribute::type;
    if (attribute.name == "value" && attribute.kind == type::tensor && attribute.tensors.size() == 1)
      value = attribute.tensors.front();
    else if (attribute.name == "value_float" && attribute.kind == type::real)
      hold(element_type::float32, std::span(&attribute.real, 1), false);
    else if (attribute.name == "value_floats" && attribute.kind == type::reals)
      hold(element_type::float32, std::span(attribute.reals), true);
    else if (attribute.name == "value_int" && attribute.kind == type::integer)
      hold(element_type::int64, std::span(&attribute.integer, 1), false);
    else if (attribute.name == "value_ints" && attribute.kind == type::integers)
      hold(element_type::int64, std::span(attribute.integers), true);
    else
      continue;
    value.name = node.outputs.front();
    return true;
  }
  return false;
}

inline result<void> check_model(onnx_model& model) {
  if (const auto formed = check_form(model); !formed) return formed;
  onnx_graph& graph = model.graph;
  onnx_external_data files(model);
  for (onnx_tensor& tensor : graph.initializers)
    if (const auto sound = check_tensor(files, tensor, "initializer \"" + tensor.name + "\""); !sound)
      return sound.error();
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    onnx_node& node = graph.nodes[i];
    for (onnx_attribute& attribute : node.attributes)
      for (onnx_tensor& tensor : attribute.tensors)
        if (const auto sound =
                check_tensor(files, tensor, node_text(graph, i) + ", attribute \"" + attribute.name + "\"");
            !sound)
          return sound.error();
    onnx_tensor value;
    if (node.is_standard() && node.op_type == "Constant" && node.outputs.size() == 1 &&
        read_constant(model, node, value))
      graph.constants.push_back(std::move(value));
  }
  const auto links = links_of(graph);
  if (!links) return links.error();
  return {};
}

}  // namespace detail

/// Reads a model from bytes that outlive it. Nothing is copied but names, small attributes and tensors whose
/// values are stored one by one.
///
/// @param bytes the file
/// @param file  its path, for messages; external data is looked for in its folder
/// @return wrong_format (no protobuf, cut short, of another form than ONNX asks for, a cycle, a tensor made
///         twice or with too few bytes), tensor_not_found, validation_overflow, cannot_open (external data):
///         the message names file, node and tensor
inline result<onnx_model> read_onnx(std::span<const std::byte> bytes, const std::string& file) {
  onnx_model model;
  model.file = file;
  model.source = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT: text and bytes
  if (const auto parsed = detail::parse_model(model); !parsed) return parsed.error().in(absolute_path(file));
  if (const auto sound = detail::check_model(model); !sound) return sound.error().in(absolute_path(file));
  return model;
}

/// Reads a model from a file, which stays mapped as long as the model lives.
///
/// @return as above, and cannot_open
inline result<onnx_model> read_onnx(const std::string& file) {
  auto mapped = mapped_file::open(file);
  if (!mapped) return mapped.error();
  auto model = read_onnx(mapped->bytes(), file);
  const std::string_view kind = kind_of_file(file, mapped->bytes());
  if (!model && model.error().code == errc::wrong_format && !kind.empty() && kind != "an ONNX model" &&
      kind != "text")  // so does a model that is cut short
    return error(
        errc::wrong_format, absolute_path(file),
        "this is not an ONNX model: it looks like " + std::string(kind) +
            ". Models that are not ONNX are named by what they are: .safetensors, .safetensors.index.json.");
  if (model) model->files.push_back(*std::move(mapped));
  return model;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_READ_HPP
