// SPDX-License-Identifier: Apache-2.0
/// @file artifact_writer.hpp Saves codes and scales that one already holds: an artifact without a checkpoint
/// and without a plan.
#ifndef PTQ_FORMATS_SAFETENSORS_ARTIFACT_WRITER_HPP
#define PTQ_FORMATS_SAFETENSORS_ARTIFACT_WRITER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// Takes views of everything first, writes it then: what was added must live until `write` returns. What it
/// writes, `open_artifact` reads.
class artifact_writer {
 public:
  /// @param backend what the artifact says of how its codes were made: "torchao"
  /// @param mode    the same: "weight_only_ptq"
  explicit artifact_writer(std::string backend = {}, std::string mode = {}) {
    says_.backend = std::move(backend);
    says_.mode = std::move(mode);
  }

  /// The weight of a layer; the file has it as `<layer>.weight`, row-major, with `<layer>.weight_scale`.
  ///
  /// @param class_name PyTorch's, for instance "Linear", where it is known
  /// @param input      how the layer's inputs are quantized, if they are
  /// @return size_mismatch: codes or scales are not as many as the shape and the granularity say, or memory
  ///   lies between the codes; axis_out_of_range; invalid_value: a scale, of the input too, is not positive
  ///   and finite; unsupported: safetensors has no type for the codes
  result<void> add(std::string layer, const quantized_view& weight, std::string class_name = {},
                   std::optional<artifact_activations> input = {}) {
    if (auto checked = check(weight); !checked) return checked.error().in("layer \"" + layer + "\"");
    if (input && (!is_scale(input->scale) || !detail::is_finite(detail::bits_of(input->amax))))
      return error(
          errc::invalid_value, "layer \"" + layer + "\"",
          "the scale of its input must be positive and finite, and its amax finite. Calibrate first.");
    stored_layer added{std::move(layer), std::move(class_name), weight.dtype->name, weight.shape};
    added.codes = weight.dtype;
    added.grain = weight.grain;
    added.activations = std::move(input);
    added.tensors = ptq_tensors_of(added);
    layers_.push_back(std::move(added));
    weights_.push_back(weight);
    return {};
  }

  /// The same from codes of the dtype D that lie in any tensor.
  ///
  /// @param codes  a matrix with an adaptor, a `tensor_view`: it tells the shape
  /// @param scales value = code * scale
  /// @param grain  if it is not given: one scale is that of the tensor, more are those of axis 0
  template <dtype D, class Codes>
    requires std::is_lvalue_reference_v<Codes> || (detail::is_view<std::remove_cvref_t<Codes>>)
  result<void> add(std::string layer, Codes&& codes, contiguous<const float> scales,
                   std::optional<granularity> grain = {}, std::string class_name = {}) {
    const tensor_view<const typename D::storage> view =
        tensor_traits<std::remove_cvref_t<Codes>>::view(codes);
    const auto bytes = std::as_bytes(std::span(view.data, view.size()));
    return add(std::move(layer),
               {&dtype_row_of<D>, view.shape, view.strides,
                grain.value_or(scales.size() == 1 ? per_tensor() : per_channel(0)), bytes, scales},
               std::move(class_name));
  }

  /// A tensor that is not quantized, such as a bias: bit for bit, row-major, by its whole name.
  ///
  /// @return size_mismatch; wrong_rank; unsupported: safetensors has no such element type
  result<void> add(std::string name, const any_view& tensor) {
    const auto fail = [&](errc code, const std::string& text) {
      return error(code, "tensor \"" + name + "\"", text);
    };
    if (tensor.misfits)
      return fail(errc::size_mismatch, "it" + detail::misfit_text(tensor.held, tensor.shape) + ".");
    if (tensor.shape.rank > max_rank)
      return fail(errc::wrong_rank, "it has " + detail::too_many_axes_text(tensor.shape.rank));
    if (!safetensors_place(tensor.type) || size_of(tensor.type) == 0)
      return fail(errc::unsupported,
                  "safetensors has no element type " + std::string(name_of(tensor.type)) + ".");
    tensors_.emplace_back(std::move(name), tensor);
    return {};
  }

  /// Writes the artifact, but does not let it appear yet: call `commit` on what is returned.
  ///
  /// @return what `safetensors_writer` returns: duplicate_key if a name was added twice, cannot_write
  result<pending_artifact> write(const std::string& path) const {
    const checkpoint nothing;
    std::vector<const stored_tensor*> copied;
    auto declared = detail::declare_artifact(nothing, layers_, copied);
    if (!declared) return declared.error();
    std::uint64_t bytes = detail::tensor_bytes(copied, layers_);
    for (const auto& [name, tensor] : tensors_) {
      declared->push_back({name, tensor.type, extents_of(tensor.shape)});
      bytes += tensor.size() * size_of(tensor.type);
    }
    auto writer = safetensors_writer::create(path, *std::move(declared), ptq_metadata({}, says_, layers_));
    if (!writer) return writer.error();
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (auto written = write_layer(*writer, layers_[i], weights_[i]); !written) return written.error();
    for (const auto& [name, tensor] : tensors_)
      if (auto written = write_tensor(*writer, name, tensor); !written) return written.error();
    return writer->finish(bytes);
  }

 private:
  static result<void> check(const quantized_view& weight) {
    const tensor_shape& shape = weight.shape;
    if (weight.dtype == nullptr) return error(errc::no_data, {}, "there are no codes to save.");
    if (shape.rank > max_rank)
      return error(errc::wrong_rank, {}, "the weight has " + detail::too_many_axes_text(shape.rank));
    if (weight.grain.is_per_channel() && weight.grain.axis >= shape.rank)
      return error(errc::axis_out_of_range, {},
                   "the weight of shape " + extents_text(shape) + " has no axis " +
                       std::to_string(weight.grain.axis) + " to have scales for.");
    if (weight.codes.size() != shape.size() * weight.dtype->code_size)
      return error(errc::size_mismatch, {},
                   "shape " + extents_text(shape) + " asks for " +
                       std::to_string(shape.size() * weight.dtype->code_size) +
                       " bytes of codes; there are " + std::to_string(weight.codes.size()) + ".");
    if (const std::size_t wanted = scale_count(shape, weight.grain); weight.scales.size() != wanted)
      return error(errc::size_mismatch, {},
                   "shape " + extents_text(shape) + " asks for " + std::to_string(wanted) +
                       (weight.grain.is_per_channel()
                            ? " scales, one for each index of axis " + std::to_string(weight.grain.axis)
                            : " scale") +
                       "; there are " + std::to_string(weight.scales.size()) +
                       ". Give the granularity, too.");
    const tensor_strides dense = dense_strides(shape, weight.strides);
    for (std::size_t axis = 0; axis < shape.rank; ++axis)
      if (shape[axis] > 1 && weight.strides[axis] != dense[axis])
        return error(errc::size_mismatch, {},
                     "memory lies between the codes. Copy them to where nothing does.");
    for (std::size_t i = 0; i < weight.scales.size(); ++i)
      if (!is_scale(weight.scales[i]))
        return error(errc::invalid_value, {}, "scale " + std::to_string(i) + " is not positive and finite.");
    if (!weight.dtype->is_packed() && !safetensors_place(weight.dtype->stored))
      return error(errc::unsupported, {},
                   "safetensors has no element type for the codes of \"" + std::string(weight.dtype->name) +
                       "\". Give the dtype another storage, or specialise stored_type_of for it.");
    return {};
  }

  static result<void> write_layer(tensor_writer& writer, const stored_layer& layer,
                                  const quantized_view& weight) {
    const std::string name = layer.name + ".weight";
    const auto write = [&](std::span<const std::byte> piece) { return writer.write(name, piece); };
    if (auto written = for_each_stored_piece(weight, write); !written) return written;
    if (auto written = writer.write(name + "_scale", std::as_bytes(weight.scales)); !written) return written;
    if (!layer.activations) return {};
    const std::span<const float> scale(&layer.activations->scale, 1);
    return writer.write(layer.name + ".input_scale", std::as_bytes(scale));
  }

  /// Gathers what is not row-major, element by element, a piece at a time.
  static result<void> write_tensor(tensor_writer& writer, const std::string& name, const any_view& tensor) {
    const std::size_t size = size_of(tensor.type);
    if (tensor.strides == row_major(tensor.shape))
      return writer.write(name, {static_cast<const std::byte*>(tensor.data), tensor.size() * size});
    std::vector<std::byte> gathered;
    for (std::size_t at = 0; at < tensor.size(); ++at) {
      const std::byte* const element = tensor.at(offset_of(at, tensor.shape, tensor.strides));
      gathered.insert(gathered.end(), element, element + size);
      if (gathered.size() < detail::codes_per_piece && at + 1 < tensor.size()) continue;
      if (auto written = writer.write(name, gathered); !written) return written;
      gathered.clear();
    }
    return {};
  }

  plan says_;  // its backend and mode; it has no layers
  std::vector<stored_layer> layers_;
  std::vector<quantized_view> weights_;  // of the layers
  std::vector<std::pair<std::string, any_view>> tensors_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_ARTIFACT_WRITER_HPP
