// SPDX-License-Identifier: Apache-2.0
/// @file data.hpp safetensors files as data: the tensors by their names.
#ifndef PTQ_FORMATS_SAFETENSORS_DATA_HPP
#define PTQ_FORMATS_SAFETENSORS_DATA_HPP

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Nothing for fp8, fp4 and complex numbers, which no engine takes as input.
constexpr std::optional<scalar_type> scalar_type_of(stored_type type) noexcept {
  switch (type) {
    case stored_type::boolean:
      return scalar_type::boolean;
    case stored_type::u8:
      return scalar_type::uint8;
    case stored_type::i8:
      return scalar_type::int8;
    case stored_type::u16:
      return scalar_type::uint16;
    case stored_type::i16:
      return scalar_type::int16;
    case stored_type::u32:
      return scalar_type::uint32;
    case stored_type::i32:
      return scalar_type::int32;
    case stored_type::u64:
      return scalar_type::uint64;
    case stored_type::i64:
      return scalar_type::int64;
    case stored_type::f16:
      return scalar_type::float16;
    case stored_type::bf16:
      return scalar_type::bfloat16;
    case stored_type::f32:
      return scalar_type::float32;
    case stored_type::f64:
      return scalar_type::float64;
    default:
      return {};
  }
}

/// A tensor of a safetensors file, in memory.
class stored_safetensor final : public stored_array {
 public:
  explicit stored_safetensor(stored_tensor tensor) : tensor_(std::move(tensor)) {}

  result<array_reader> read(const std::string& where) const override {
    const auto type = scalar_type_of(tensor_.type);
    if (!type)
      return error(errc::unsupported, where,
                   "its elements are " + std::string(name_of(tensor_.type)) +
                       "; data are bools, integers or floats of 16, 32 or 64 bits.");
    if (tensor_.shape.size() > max_rank)
      return error(errc::unsupported, where,
                   "it has " + std::to_string(tensor_.shape.size()) + " axes; at most " +
                       std::to_string(max_rank) + " are supported.");
    return array_reader(array_view(tensor_.data.data(), *type, tensor_shape(std::span(tensor_.shape))));
  }

 private:
  stored_tensor tensor_;
};

}  // namespace detail

/// The format of data files that safetensors' save_file writes.
struct safetensors {
  static constexpr const char* name = "safetensors";

  /// Eight bytes of length come first, then the header, which is a JSON object.
  static bool recognises(std::span<const std::byte> file) {
    return file.size() > 8 && file[8] == std::byte{'{'};
  }

  static result<std::vector<named_stored_array>> list(std::span<const std::byte> file,
                                                      const std::string& where) {
    auto content = parse_safetensors(file, where);
    if (!content) return content.error();
    std::vector<named_stored_array> arrays;
    for (stored_tensor& tensor : content->tensors) {
      std::string tensor_name = tensor.name;
      arrays.push_back(
          {std::move(tensor_name), std::make_unique<detail::stored_safetensor>(std::move(tensor))});
    }
    return arrays;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_DATA_HPP
