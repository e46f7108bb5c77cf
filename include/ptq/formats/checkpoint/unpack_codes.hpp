// SPDX-License-Identifier: Apache-2.0
/// @file unpack_codes.hpp Artifacts whose codes are packed into int32, as if they were not.
#ifndef PTQ_FORMATS_CHECKPOINT_UNPACK_CODES_HPP
#define PTQ_FORMATS_CHECKPOINT_UNPACK_CODES_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view packed_suffix = "_packed";

/// The shape of what is packed into a tensor of int32 [rows, columns / 4, rounded up]; nothing if that is not
/// what there is.
inline std::optional<std::vector<std::size_t>> packed_shape(const stored_tensor& packed,
                                                            const stored_tensor* shape) {
  if (shape == nullptr || shape->type != element_type::int64 || shape->data.size() != 16) return {};
  std::vector<std::size_t> extents(2);
  for (std::size_t i = 16; i-- > 0;)
    extents[i / 8] = extents[i / 8] << 8U | std::to_integer<std::size_t>(shape->data[i]);
  const std::size_t columns = extents[1];
  const bool fits = packed.type == element_type::int32 && !packed.strides && packed.shape.size() == 2 &&
                    packed.shape[0] == extents[0] &&
                    packed.shape[1] == columns / 4 + (columns % 4 != 0 ? 1 : 0);
  return fits ? std::optional(std::move(extents)) : std::nullopt;
}

/// int8, row-major.
inline std::vector<std::byte> unpacked_codes(const stored_tensor& packed, std::size_t columns) {
  std::vector<std::byte> codes;
  if (columns == 0) return codes;  // of any number of rows
  codes.reserve(packed.shape[0] * columns);
  const std::size_t stride = 4 * packed.shape[1];
  for (std::size_t row = 0; row < packed.shape[0]; ++row)
    for (const std::byte code : packed.data.subspan(row * stride, columns))
      codes.push_back(code ^ std::byte{0x80});
  return codes;
}

}  // namespace detail

/// Puts `<layer>.weight` with codes of their own, in memory, in the place of `<layer>.weight_packed` and
/// `<layer>.weight_shape` where the file is an artifact of ptq.
///
/// @return wrong_format: they do not fit each other; duplicate_key: there is a `<layer>.weight`, too
inline result<void> unpack_codes(checkpoint& file) {
  if (!file.metadata().contains("ptq_layers")) return {};
  std::vector<stored_tensor> tensors;
  std::vector<std::vector<std::byte>> memory;
  for (const stored_tensor& tensor : file.tensors()) {
    if (tensor.name.ends_with(".weight_shape") &&
        file.find(tensor.name.substr(0, tensor.name.size() - 6) + "_packed") != nullptr)
      continue;
    tensors.push_back(tensor);
    if (!tensor.name.ends_with(".weight_packed")) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - detail::packed_suffix.size());
    auto shape = detail::packed_shape(tensor, file.find(name + "_shape"));
    if (!shape)
      return error(errc::wrong_format, absolute_path(file.files().front().path()),
                   "tensor \"" + tensor.name + "\" is not of I32, or does not fit \"" + name +
                       "_shape\". The artifact is damaged; make it again.");
    if (file.find(name) != nullptr)
      return error(errc::duplicate_key, absolute_path(file.files().front().path()),
                   "there is a tensor \"" + name + "\" beside \"" + tensor.name +
                       "\". The artifact is damaged; make it again.");
    memory.push_back(detail::unpacked_codes(tensor, (*shape)[1]));
    tensors.back() = {name, element_type::int8, file.word_of(element_type::int8), *std::move(shape),
                      memory.back()};
  }
  if (memory.empty()) return {};
  file.replace(std::move(tensors));
  file.keep(std::move(memory));
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_UNPACK_CODES_HPP
