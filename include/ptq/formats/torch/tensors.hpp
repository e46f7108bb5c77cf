// SPDX-License-Identifier: Apache-2.0
/// @file tensors.hpp The tensors that a pickle of PyTorch describes: views of storages, which lie outside of
/// it.
#ifndef PTQ_FORMATS_TORCH_TENSORS_HPP
#define PTQ_FORMATS_TORCH_TENSORS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/torch/globals.hpp"
#include "ptq/formats/torch/pickle_value.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// What a persistent id says of a storage.
struct torch_storage {
  std::string_view key;
  element_type type = element_type::unknown;  ///< unknown of a storage of bytes
  std::size_t count = 0;                      ///< elements; bytes where the type is unknown
  std::size_t first = 0;                      ///< of the element that a view begins with (legacy files)

  std::size_t element_size() const noexcept { return type == element_type::unknown ? 1 : size_of(type); }
};

namespace detail {

/// More are in no storage; sums of so many do not overflow.
inline constexpr std::size_t most_elements = std::size_t{1} << 60;
/// What PyTorch makes no tensors of: a pickle may have a tuple once, for very many tensors.
inline constexpr std::size_t most_torch_axes = 64;

inline const torch_global* global_of(const pickle_value& value) noexcept {
  return value.is(pickle_kind::global) ? &torch_globals[value.place()] : nullptr;
}

/// What a pickle would call.
struct torch_call {
  const torch_global* function = nullptr;
  std::span<const pickle_value> arguments{};

  bool makes_tensor() const noexcept {
    return function != nullptr && function->role >= torch_role::tensor &&
           function->role <= torch_role::foreign_tensor;
  }
};

/// Without a function of anything else.
inline torch_call call_of(const pickle_graph& graph, const pickle_value& value) {
  if (!value.is(pickle_kind::call)) return {};
  const auto items = graph.items_of(value);
  return {global_of(items[0]), graph.items_of(items[1])};
}

/// A number that counts something.
inline std::optional<std::size_t> count_of(const pickle_value& value) noexcept {
  if (!value.is(pickle_kind::integer) || value.number() < 0) return {};
  return static_cast<std::size_t>(value.number());
}

/// Extents or strides: a tuple of them, or torch.Size of one.
inline std::optional<std::vector<std::size_t>> counts_of(const pickle_graph& graph, pickle_value value) {
  if (const torch_call made = call_of(graph, value);
      made.function != nullptr && made.function->name == "Size") {
    if (made.arguments.size() != 1) return {};
    value = made.arguments.front();
  }
  if (!value.is(pickle_kind::tuple) && !value.is(pickle_kind::list)) return {};
  std::vector<std::size_t> counts;
  if (graph.items_of(value).size() > most_torch_axes) return {};
  for (const pickle_value& item : graph.items_of(value)) {
    const auto count = count_of(item);
    if (!count) return {};
    counts.push_back(*count);
  }
  return counts;
}

}  // namespace detail

/// Reads a persistent id: ("storage", type, key, device, count), in legacy files with a view behind it.
///
/// @return wrong_format
inline result<torch_storage> read_torch_storage(const pickle_graph& graph, const pickle_value& id) {
  const error damaged(errc::wrong_format, {},
                      "a storage is not described as PyTorch does it. Save the checkpoint again with "
                      "torch.save.");
  if (!id.is(pickle_kind::persistent)) return damaged;
  const pickle_value about = graph.items_of(id).front();
  if (!about.is(pickle_kind::tuple)) return damaged;
  const auto items = graph.items_of(about);
  if (items.size() < 5 || items[0].text() != "storage" || !items[2].is(pickle_kind::text)) return damaged;
  const torch_global* const type = detail::global_of(items[1]);
  const auto count = detail::count_of(items[4]);
  if (type == nullptr || type->role != torch_role::storage || !count || *count > detail::most_elements)
    return damaged;
  torch_storage storage{items[2].text(), type->type, *count};
  if (items.size() < 6 || items[5].is(pickle_kind::none)) return storage;
  if (!items[5].is(pickle_kind::tuple)) return damaged;
  const auto view = graph.items_of(items[5]);  // (key, first element, count)
  const auto first = view.size() == 3 ? detail::count_of(view[1]) : std::nullopt;
  if (!first || *first > detail::most_elements) return damaged;
  storage.first = *first;
  return storage;
}

namespace detail {

/// The tensor that some elements of a storage are. Bytes are those of the whole storage.
///
/// @return size_mismatch: elements lie outside of it; validation_overflow; unsupported: too many axes
inline result<stored_tensor> view_of_storage(std::span<const std::byte> bytes, element_type type,
                                             std::size_t first, std::vector<std::size_t> shape,
                                             std::span<const std::size_t> strides) {
  const std::size_t size = size_of(type);
  const std::size_t held = bytes.size() / size;
  constexpr std::size_t most = (std::numeric_limits<std::size_t>::max)() / 2;  // stands for all that is more
  const auto times = [](std::size_t a, std::size_t b) { return b != 0 && a > most / b ? most : a * b; };
  bool is_dense = true;      // row-major, without gaps
  std::size_t count = 1;     // elements
  std::size_t last = first;  // the last of them in the storage
  for (std::size_t axis = shape.size(); axis-- > 0; count = times(count, shape[axis])) {
    if (shape[axis] < 2) continue;
    is_dense = is_dense && strides[axis] == count;
    last = (std::min)(last + times(shape[axis] - 1, strides[axis]), most);
  }
  const bool is_empty = std::find(shape.begin(), shape.end(), std::size_t{0}) != shape.end();
  stored_tensor made{{}, type, torch_word(type), std::move(shape), {}, {}};
  if (is_empty) return made;
  if (last >= held)
    return error(errc::size_mismatch, {},
                 "shape " + extents_text(made.shape) + " with strides " + extents_text(strides) +
                     " from element " + std::to_string(first) + " on reaches beyond its storage of " +
                     std::to_string(held) + " elements. Get the file again.");
  if (times(count, size) == most)
    return error(errc::validation_overflow, {},
                 "shape " + extents_text(made.shape) + " takes more bytes than can be counted.");
  made.data = bytes.subspan(first * size, (is_dense ? count : last - first + 1) * size);
  if (is_dense) return made;
  if (made.shape.size() > max_rank)
    return error(
        errc::unsupported, {},
        "it is not contiguous and has " + std::to_string(made.shape.size()) + " axes. Save x.contiguous().");
  made.strides.emplace();
  for (std::size_t axis = 0; axis < strides.size(); ++axis)
    (*made.strides)[axis] = static_cast<std::ptrdiff_t>(strides[axis]);
  return made;
}

/// The call that names the storage of a tensor, inside of parameters and subclasses; without a function where
/// there is none.
inline torch_call plain_tensor(const pickle_graph& graph, torch_call made) {
  constexpr int most_wrapped = 4;
  for (int depth = 0; depth < most_wrapped; ++depth) {
    if (!made.makes_tensor()) return {};
    const auto given = made.arguments;
    if (made.function->role == torch_role::parameter && !given.empty())
      made = call_of(graph, given[0]);
    else if (made.function->role == torch_role::subclass && given.size() > 2 &&
             given[2].is(pickle_kind::tuple))
      made = {global_of(given[0]), graph.items_of(given[2])};
    else
      return made;
  }
  return {};
}

inline error foreign_tensor(const torch_global& function) {
  const std::string_view name = function.name;
  const char* const what = name == "_rebuild_sparse_tensor" ? "sparse. Save x.to_dense()."
                           : name == "_rebuild_qtensor"     ? "quantized by PyTorch. Give the float model."
                                                        : "on the device \"meta\", where nothing has data. "
                                                          "Save the real one.";
  return {errc::unsupported, {}, std::string("it is ") + what};
}

/// Whether PyTorch is to negate or conjugate what it reads.
inline bool has_math_bits(const pickle_graph& graph, std::span<const pickle_value> metadata) {
  if (metadata.empty() || !metadata[0].is(pickle_kind::dict)) return false;
  const auto items = graph.items_of(metadata[0]);
  return std::any_of(items.begin(), items.end(), [](const pickle_value& item) {
    return item.is(pickle_kind::boolean) && item.number() != 0;
  });
}

inline error broken_tensor(const char* what) {
  return {errc::wrong_format, {}, std::string("it ") + what + ". Save the checkpoint again with torch.save."};
}

/// The element type of a tensor that has one.
inline result<element_type> type_of_tensor(const torch_call& made, const torch_storage& storage) {
  if (made.function->role == torch_role::tensor && storage.type != element_type::unknown) return storage.type;
  const torch_global* const told =
      made.function->role == torch_role::typed_tensor ? global_of(made.arguments[6]) : nullptr;
  if (told == nullptr || told->role != torch_role::dtype) return broken_tensor("has no dtype");
  if (told->type != element_type::other) return told->type;
  return error(
      errc::unsupported, {},
      "its elements are " + told->qualified_name() + ", which are not supported. Save another dtype.");
}

}  // namespace detail

/// Whether a value is a tensor, of a kind that can be read or not.
inline bool is_torch_tensor(const pickle_graph& graph, const pickle_value& value) {
  return detail::call_of(graph, value).makes_tensor();
}

/// Reads one tensor, without a name: it looks into its storage.
///
/// @param bytes_of gives the bytes of a `torch_storage`, as many as it has, or an error
/// @return wrong_format, unsupported, size_mismatch, validation_overflow; they do not say whose they are
template <class BytesOf>
result<stored_tensor> read_torch_tensor(const pickle_graph& graph, const pickle_value& value,
                                        const BytesOf& bytes_of) {
  using namespace detail;
  const torch_call made = plain_tensor(graph, call_of(graph, value));
  if (made.function == nullptr) return broken_tensor("has no storage");
  if (made.function->role == torch_role::foreign_tensor) return foreign_tensor(*made.function);
  const std::size_t own = made.function->role == torch_role::typed_tensor ? 7 : 6;  // but for the metadata
  const auto arguments = made.arguments;
  if (arguments.size() < 4 || (own == 7 && arguments.size() < own))
    return broken_tensor("has too few arguments");
  if (has_math_bits(graph, arguments.subspan((std::min)(own, arguments.size()))))
    return error(errc::unsupported, {},
                 "it is conjugated or negated when it is read. Save x.resolve_conj().resolve_neg().");
  const auto storage = read_torch_storage(graph, arguments[0]);
  if (!storage) return storage.error();
  const auto type = type_of_tensor(made, *storage);
  if (!type) return type.error();
  const auto first = count_of(arguments[1]);
  auto shape = counts_of(graph, arguments[2]);
  const auto strides = counts_of(graph, arguments[3]);
  if (!first || *first > most_elements || !shape || !strides || shape->size() != strides->size())
    return broken_tensor("has no shape and strides of at most 64 axes that fit each other");
  const auto bytes = bytes_of(*storage);
  if (!bytes) return bytes.error();
  return view_of_storage(*bytes, *type, storage->first + *first, *std::move(shape), *strides);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_TENSORS_HPP
