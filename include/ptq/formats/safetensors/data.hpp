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

/// A tensor of a safetensors file, in memory.
class stored_safetensor final : public stored_array {
 public:
  explicit stored_safetensor(stored_tensor tensor) : tensor_(std::move(tensor)) {}

  result<array_reader> read(const std::string& where) const override {
    if (!is_scalar(tensor_.type))
      return error(errc::unsupported, where,
                   std::string("its elements are ") + tensor_.type_name +
                       "; data are bools, integers or floats of 16, 32 or 64 bits.");
    if (tensor_.shape.size() > max_rank)
      return error(errc::unsupported, where,
                   "it has " + std::to_string(tensor_.shape.size()) + " axes; at most " +
                       std::to_string(max_rank) + " are supported.");
    return array_reader(any_view(tensor_.data.data(), tensor_.type, tensor_shape(std::span(tensor_.shape))));
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
