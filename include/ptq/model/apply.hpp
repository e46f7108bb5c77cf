// SPDX-License-Identifier: Apache-2.0
/// @file apply.hpp Carries out a plan: quantizes the weights of each planned layer and hands them to a sink.
#ifndef PTQ_MODEL_APPLY_HPP
#define PTQ_MODEL_APPLY_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/model/instantiation.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/shape_text.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/error.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// What a sink receives. All views are valid until the sink returns: copy or write there.
struct quantized_layer {
  const layer& source;
  const planned_layer& planned;
  const instantiation& how;
  granularity grain;                 ///< of the weights
  std::span<const std::byte> codes;  ///< `how.code_size` bytes each, in the source's memory order
  tensor_strides code_strides;       ///< of the codes, in codes
  std::span<const float> scales;     ///< 1 per tensor, or one per index of the axis
};

inline namespace PTQ_BUILD {

/// How far the codes are from the source.
inline error_metrics quantization_error(const quantized_layer& q) {
  return visit(q.source.weight, [&]<class T>(tensor_view<const T> view) {
    return detail::measure_view<T>(view, q.grain, detail::untyped_decoder{&q.how, q.codes.data()}, q.scales,
                                   q.how.limits);
  });
}

}  // namespace PTQ_BUILD

/// A callable that takes each quantized layer. It returns nothing, or a `status`: anything but ok stops the
/// run.
template <class Sink>
concept layer_sink = std::invocable<Sink&, const quantized_layer&> &&
                     (std::same_as<std::invoke_result_t<Sink&, const quantized_layer&>, void> ||
                      std::same_as<std::invoke_result_t<Sink&, const quantized_layer&>, status>);

namespace detail {

inline error describe(status outcome, const layer& source) {
  const std::string where = "layer \"" + source.name + "\"";
  error described;
  switch (outcome.code) {
    case errc::not_finite:
      described =
          error(outcome.code, where,
                "weight" + index_text(outcome.at, source.weight.shape) +
                    " is NaN or infinite. Repair the checkpoint, or leave the layer out with skip_names.");
      break;
    case errc::axis_out_of_range:
      described = error(outcome.code, where,
                        "there is no axis " + std::to_string(outcome.at) + " in a weight of rank " +
                            std::to_string(source.weight.shape.rank) + ".");
      break;
    case errc::stopped:
      described = error(outcome.code, where, "the run was stopped.");
      break;
    default:
      described = error(outcome.code, where, "the weight cannot be quantized.");
      break;
  }
  described.at = outcome.at;
  return described;
}

}  // namespace detail

inline namespace PTQ_BUILD {

/// Quantizes the weights of every layer that the plan quantizes, in order.
///
/// @tparam Policies the bundle of dtypes and backends to pick from
/// @param planned made by `match` from these same layers
/// @param sink    called once per quantized layer; its views are valid until it returns
/// @return errors name the layer; a status that the sink returns is passed on
template <class Policies = builtin, layer_sink Sink>
result<void> apply(const plan& planned, std::span<const layer> layers, Sink&& sink) {
  PTQ_ASSERT(planned.layers.size() == layers.size());
  std::vector<std::byte> codes;
  std::vector<float> scales;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const layer& source = layers[i];
    const planned_layer& decided = planned.layers[i];
    if (!decided.weights.is_quantized()) continue;
    const auto how = find_instantiation<Policies>(decided.weights.dtype, planned.backend);
    if (!how || !source.weight.type)
      return error(errc::unsupported, "layer \"" + source.name + "\"",
                   "no instantiation for dtype \"" + decided.weights.dtype + "\" and backend \"" +
                       planned.backend + "\" in this policies bundle.");
    const granularity grain = decided.weights.grain.value_or(how->numbers.weights);
    codes.resize(source.weight.size() * how->code_size);
    scales.resize(scale_count(source.weight.shape, grain));
    const status outcome = visit(source.weight, [&]<class T>(tensor_view<const T> view) {
      return detail::quantize_view<T>(view, how->numbers, grain, detail::untyped_encoder{&*how, codes.data()},
                                      view.size(), scales);
    });
    if (!outcome) return detail::describe(outcome, source);
    const quantized_layer done{source, decided, *how,
                               grain,  codes,   dense_strides(source.weight.shape, source.weight.strides),
                               scales};
    if constexpr (std::same_as<std::invoke_result_t<Sink&, const quantized_layer&>, status>) {
      if (const status told = sink(done); !told) return detail::describe(told, source);
    } else {
      sink(done);
    }
  }
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_APPLY_HPP
