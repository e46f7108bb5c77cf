// SPDX-License-Identifier: Apache-2.0
/// @file build.hpp The protobuf messages that quantization adds to a graph. Field numbers are those of the
/// specification's `onnx.proto`.
#ifndef PTQ_FORMATS_ONNX_BUILD_HPP
#define PTQ_FORMATS_ONNX_BUILD_HPP

#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/wire.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Tag and length of a length-delimited field whose payload follows.
inline std::string field_header(protozero::pbf_tag_type tag, std::uint64_t size) {
  std::string header;
  protozero::add_varint_to_buffer(&header, tag << 3u | 2u);
  protozero::add_varint_to_buffer(&header, size);
  return header;
}

inline std::string make_field(protozero::pbf_tag_type tag, std::string_view payload) {
  return field_header(tag, payload.size()).append(payload);
}

/// An integer attribute, or for none an empty name.
struct onnx_integer {
  std::string_view name;
  std::int64_t value = 0;
};

/// A GraphProto.node field with one output.
inline std::string make_node(std::string_view op_type, const std::string& name,
                             const std::vector<std::string>& inputs, const std::string& output,
                             onnx_integer attribute = {}) {
  std::string message;
  protozero::pbf_writer node(message);
  for (const std::string& input : inputs) node.add_string(1, input);
  node.add_string(2, output);
  node.add_string(3, name);
  node.add_string(4, op_type.data(), op_type.size());
  if (!attribute.name.empty()) {
    protozero::pbf_writer added(node, 5);
    added.add_string(1, attribute.name.data(), attribute.name.size());
    added.add_int64(3, attribute.value);
    added.add_enum(20, static_cast<std::int32_t>(onnx_attribute::type::integer));
  }
  return make_field(1, message);
}

/// A GraphProto.node field: a node with other names for some inputs, and for its first output and itself if
/// they are given. All other fields are copied.
inline std::string rename_node(std::string_view source, const std::map<std::size_t, std::string>& inputs,
                               const std::string& output = {}, const std::string& name = {}) {
  std::string message;
  std::size_t slot = 0;
  std::size_t outputs = 0;
  wire_state state;
  for_each_field(source, state, "NodeProto", [&](const wire_field& field) {
    const auto renamed = field.tag == 1 ? inputs.find(slot++) : inputs.end();
    if (renamed != inputs.end())
      message += make_field(1, renamed->second);
    else if (field.tag == 2 && outputs++ == 0 && !output.empty())
      message += make_field(2, output);
    else if (field.tag == 3 && !name.empty())
      message += make_field(3, name);
    else
      message += field.raw;
  });
  return make_field(1, message);
}

/// TensorProto without its data.
inline std::string describe_tensor(const std::string& name, element_type type,
                                   std::span<const std::size_t> dims) {
  std::string message;
  protozero::pbf_writer tensor(message);
  for (const std::size_t extent : dims) tensor.add_int64(1, static_cast<std::int64_t>(extent));
  tensor.add_int32(2, static_cast<std::int32_t>(onnx_number(type)));
  tensor.add_string(8, name);
  return message;
}

/// The start of a GraphProto.initializer field, after which `size` bytes of data follow.
inline std::string initializer_header(const std::string& name, element_type type,
                                      std::span<const std::size_t> dims, std::uint64_t size) {
  std::string message = describe_tensor(name, type, dims);
  message += field_header(9, size);
  return field_header(5, message.size() + size) + message;
}

inline std::string make_initializer(const std::string& name, element_type type,
                                    std::span<const std::size_t> dims, std::string_view data) {
  return initializer_header(name, type, dims, data.size()).append(data);
}

/// The fields of TensorProto that say that its data lie in another file.
inline std::string location_fields(const onnx_location& location) {
  std::string fields;
  const auto entry = [&](std::string_view key, const std::string& value) {
    fields += make_field(13, make_field(1, key) + make_field(2, value));
  };
  entry("location", location.file);
  entry("offset", std::to_string(location.offset));
  if (location.length) entry("length", std::to_string(*location.length));
  protozero::pbf_writer(fields).add_enum(14, 1);
  return fields;
}

/// A GraphProto.initializer field: a tensor whose data have moved. Keys that are not about the place stay.
inline std::string move_initializer(std::string_view source, const onnx_location& location) {
  std::string message;
  wire_state state;
  for_each_field(source, state, "TensorProto", [&](const wire_field& field) {
    if (field.tag == 14) return;
    bool is_place = false;
    if (field.tag == 13) {
      for_each_field(field.bytes(), state, "StringStringEntryProto", [&](const wire_field& entry) {
        const bool is_key = entry.tag == 1;
        is_place = is_place || (is_key && (entry.bytes() == "location" || entry.bytes() == "offset" ||
                                           entry.bytes() == "length"));
      });
    }
    if (!is_place) message += field.raw;
  });
  return make_field(5, message + location_fields(location));
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_BUILD_HPP
