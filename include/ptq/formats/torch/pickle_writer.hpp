// SPDX-License-Identifier: Apache-2.0
/// @file pickle_writer.hpp The data.pkl of a state dict: tensors by name, each alone in its storage.
///
/// Source: what torch.save writes (2.13), by protocol 2, without the memo: a name is written as often as it
/// is needed.
#ifndef PTQ_FORMATS_TORCH_PICKLE_WRITER_HPP
#define PTQ_FORMATS_TORCH_PICKLE_WRITER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/torch/globals.hpp"
#include "ptq/formats/torch/opcodes.hpp"
#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

/// The class of storages that have elements of a type; null where PyTorch has none.
constexpr const torch_global* torch_storage_of(element_type type) noexcept {
  for (const torch_global& known : torch_globals)
    if (known.role == torch_role::storage && known.type == type && type != element_type::unknown)
      return &known;
  return nullptr;
}

/// PyTorch's dtype of a type; null where it has none.
constexpr const torch_global* torch_dtype_of(element_type type) noexcept {
  for (const torch_global& known : torch_globals)
    if (known.role == torch_role::dtype && known.type == type && type != element_type::other) return &known;
  return nullptr;
}

/// Writes a state dict. Its tensors must have a `torch_dtype_of`, and names that are UTF-8.
class torch_pickle_writer {
 public:
  torch_pickle_writer() {
    code(pickle_opcode::proto);
    text_ += '\2';
    ordered_dict();
    code(pickle_opcode::mark);
  }

  /// @param key  of its storage
  /// @param size of its storage, in bytes
  void add(std::string_view name, element_type type, std::span<const std::size_t> shape, std::string_view key,
           std::uint64_t size) {
    const torch_global* const typed = torch_storage_of(type);
    text(name);
    name_global("torch._utils", typed != nullptr ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    code(pickle_opcode::mark);
    storage(typed, key, typed != nullptr ? size / size_of(type) : size);
    number(0);  // its first element
    numbers(shape);
    strides(shape);
    code(pickle_opcode::new_false);  // no gradient
    ordered_dict();                  // no hooks
    if (typed == nullptr) name_global("torch", torch_dtype_of(type)->name);
    code(pickle_opcode::tuple);
    code(pickle_opcode::reduce);
  }

  std::string finish() {
    code(pickle_opcode::setitems);
    code(pickle_opcode::stop);
    return std::move(text_);
  }

 private:
  void code(pickle_opcode one) { text_ += static_cast<char>(one); }

  void little(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i, value >>= 8)
      text_ += static_cast<char>(static_cast<unsigned char>(value));
  }

  void name_global(std::string_view module, std::string_view name) {
    code(pickle_opcode::global);
    text_.append(module).append("\n").append(name).append("\n");
  }

  void ordered_dict() {
    name_global("collections", "OrderedDict");
    code(pickle_opcode::empty_tuple);
    code(pickle_opcode::reduce);
  }

  void text(std::string_view value) {
    code(pickle_opcode::binunicode);
    little(value.size(), 4);
    text_ += value;
  }

  /// In as few bytes as its size allows; LONG1 has a sign.
  void number(std::uint64_t value) {
    if (value < 0x100) {
      code(pickle_opcode::binint1);
      little(value, 1);
    } else if (value < 0x80000000) {
      code(pickle_opcode::binint);
      little(value, 4);
    } else {
      int width = 1;
      for (std::uint64_t left = value; left > 0x7f; left >>= 8) ++width;
      code(pickle_opcode::long1);
      text_ += static_cast<char>(width);
      little(value, width);
    }
  }

  void numbers(std::span<const std::size_t> values) {
    code(pickle_opcode::mark);
    for (const std::size_t value : values) number(value);
    code(pickle_opcode::tuple);
  }

  /// Row-major, as PyTorch counts them: an axis of no extent counts as one.
  void strides(std::span<const std::size_t> shape) {
    std::vector<std::size_t> made(shape.size(), 1);
    for (std::size_t axis = shape.size(); axis > 1; --axis)
      made[axis - 2] = made[axis - 1] * (std::max)(shape[axis - 1], std::size_t{1});
    numbers(made);
  }

  void storage(const torch_global* type, std::string_view key, std::uint64_t count) {
    code(pickle_opcode::mark);
    text("storage");
    if (type != nullptr)
      name_global(type->module, type->name);
    else
      name_global("torch.storage", "UntypedStorage");
    text(key);
    text("cpu");
    number(count);
    code(pickle_opcode::tuple);
    code(pickle_opcode::binpersid);
  }

  std::string text_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_PICKLE_WRITER_HPP
