// SPDX-License-Identifier: Apache-2.0
/// @file quantized_tensor.hpp A quantized tensor that owns its codes and scales.
#ifndef PTQ_MODEL_QUANTIZED_TENSOR_HPP
#define PTQ_MODEL_QUANTIZED_TENSOR_HPP

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/model/not_finite.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Why `quantize` refused a tensor that has no name, in words.
inline error tensor_refusal(const any_view& tensor, status outcome) {
  const auto because = [&](const std::string& text) {
    error made(outcome.code, {}, "the tensor" + text);
    made.at = outcome.at;
    return made;
  };
  switch (outcome.code) {
    case errc::wrong_rank:
      return because(" has " + too_many_axes_text(outcome.at));
    case errc::axis_out_of_range:
      return because(" of shape " + extents_text(tensor.shape) + " has no axis " +
                     std::to_string(outcome.at) + " to have scales for. Name one of its axes.");
    case errc::not_finite:
      return because(index_text(outcome.at, tensor.shape) + " " + why_not_finite(tensor, outcome.at) +
                     ". Repair the data.");
    case errc::size_mismatch:
      return because(misfit_text(tensor.held, tensor.shape) + ". Give the shape that the memory has.");
    default:
      return because(" does not hold floating-point numbers. Give it as floats.");
  }
}

}  // namespace detail

/// Codes and scales of one tensor, with what they mean. The codes lie in the order of the tensor that they
/// were made from.
class quantized_tensor {
 public:
  /// Nothing: no element, no dtype.
  quantized_tensor() = default;

  /// Quantizes a tensor.
  ///
  /// @param tensor any tensor with an adaptor, or an `any_view`
  /// @param how    of `find_quantizer`, or `quantizer_of<int8, torchao>`
  /// @param grain  how many elements share a scale; the backend's default for weights if not given
  /// @return wrong_rank, axis_out_of_range, not_finite with the element, size_mismatch, unsupported
  template <class Tensor>
  static result<quantized_tensor> of(const Tensor& tensor, const quantizer& how,
                                     std::optional<granularity> grain = {}) {
    const any_view source(tensor);
    quantized_tensor made(how, source.shape, dense_strides(source.shape, source.strides),
                          grain.value_or(how.numbers.weights));
    if (const status viewable = detail::check_floats(source); !viewable)
      return detail::tensor_refusal(source, viewable);
    made.codes_.resize(source.size() * how.dtype().code_size);
    made.scales_.resize(scale_count(source.shape, made.grain_));
    const status done = quantize(source, how, made.codes_, made.scales_, made.grain_);
    if (!done) return detail::tensor_refusal(source, done);
    return made;
  }

  /// A copy of what a sink receives.
  explicit quantized_tensor(const quantized_layer& q)
      : quantized_tensor(q.how, q.source.weight.shape, q.code_strides, q.grain) {
    codes_.assign(q.codes.begin(), q.codes.end());
    scales_.assign(q.scales.begin(), q.scales.end());
  }

  /// Valid as long as the tensor lives and is not quantized anew.
  quantized_view view() const noexcept {
    return {
        how_.kernels != nullptr ? how_.kernels->dtype : nullptr, shape_, strides_, grain_, codes_, scales_};
  }

  std::size_t size() const noexcept { return how_.kernels != nullptr ? shape_.size() : 0; }
  const tensor_shape& shape() const noexcept { return shape_; }
  granularity grain() const noexcept { return grain_; }
  std::span<const float> scales() const noexcept { return scales_; }
  /// Of codes and scales.
  std::size_t bytes() const noexcept { return view().bytes(); }

  /// The codes as what they are, a tensor; without data where there is nothing. D must be the dtype.
  template <dtype D>
  tensor_view<const typename D::storage> codes_as() const noexcept {
    if (how_.kernels == nullptr) return {};
    return {view().template codes_as<D>().data(), shape_, strides_};
  }

  /// The values, into any tensor of the same shape and order in memory (`dequantize`).
  template <adaptable_tensor Tensor>
  status dequantize(Tensor&& target) const {
    return how_.kernels != nullptr ? ptq::dequantize(view(), target) : status{errc::no_data, 0};
  }

  /// New codes for a tensor of the same shape and order in memory, by the scales that are there: values
  /// beyond what they reach saturate.
  ///
  /// @return size_mismatch for another shape; unsupported for another order, or what holds no floats
  template <class Tensor>
  status quantize_by(const Tensor& tensor) {
    const any_view source(tensor);
    if (how_.kernels == nullptr) return {errc::no_data, 0};
    if (source.shape != shape_) return {errc::size_mismatch, shape_.size()};
    if (dense_strides(source.shape, source.strides) != strides_) return {errc::unsupported, 0};
    return ptq::quantize_by(source, how_, scales_, codes_, grain_);
  }

 private:
  quantized_tensor(const quantizer& how, const tensor_shape& shape, const tensor_strides& strides,
                   granularity grain)
      : how_(how), shape_(shape), strides_(strides), grain_(grain) {}

  quantizer how_{};  // without kernels: nothing
  tensor_shape shape_;
  tensor_strides strides_{};
  granularity grain_;
  std::vector<std::byte> codes_;
  std::vector<float> scales_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_QUANTIZED_TENSOR_HPP
