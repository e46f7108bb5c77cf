// SPDX-License-Identifier: Apache-2.0
/// @file apply.hpp Carries out a plan: quantizes the weights of each planned layer and hands them to a sink.
#ifndef PTQ_MODEL_APPLY_HPP
#define PTQ_MODEL_APPLY_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/any_floats.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/not_finite.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// What a sink receives. All views are valid until the sink returns: copy or write there.
struct quantized_layer {
  const layer& source;
  const planned_layer& planned;
  const quantizer& how;
  const dtype_row& dtype;                   ///< of `how`
  granularity grain;                        ///< of the weights
  std::span<const std::byte> codes;         ///< `dtype.code_size` bytes each, in the source's memory order
  tensor_strides code_strides;              ///< of the codes, in codes
  std::span<const float> scales;            ///< 1 per tensor, or one per index of the axis
  const activation_range* input = nullptr;  ///< of the layer's inputs, where the plan quantizes those too

  quantized_view view() const noexcept {
    return {&dtype, source.weight.shape, code_strides, grain, codes, scales};
  }

  /// The codes as what they are. D must be the layer's dtype.
  template <ptq::dtype D>
  std::span<const typename D::storage> codes_as() const noexcept {
    PTQ_ASSERT(std::string_view(dtype.name) == D::name);
    return {reinterpret_cast<const typename D::storage*>(codes.data()), source.weight.size()};
  }
};

inline namespace PTQ_BUILD {

/// How far the codes are from the source, as sums that those of other parts are merged with.
inline error_accumulator quantization_error_sums(const quantized_layer& q) {
  error_accumulator sums;
  const any_view& weight = q.source.weight;
  const walk path(weight.shape, weight.strides, q.grain);
  const detail::untyped_decoder decoder{&q.dtype, q.codes.data()};
  for (const panel& p : panels(path))
    detail::as_floats(weight, p, [&](const float* floats, const panel& part) {
      detail::measure_panel(floats, part, decoder, q.scales.data(), q.dtype.limits, sums);
    });
  return sums;
}

/// How far the codes are from the source.
inline error_metrics quantization_error(const quantized_layer& q) {
  return quantization_error_sums(q).metrics();
}

}  // namespace PTQ_BUILD

namespace detail {

template <class Answer>
concept sink_answer =
    std::same_as<Answer, void> || std::same_as<Answer, status> || std::same_as<Answer, result<void>>;

template <class Sink>
using findings_of = typename std::remove_cvref_t<Sink>::findings;

}  // namespace detail

/// A sink that looks at layers while their codes are in the cache: a layer comes in parts, several of them at
/// once, and then as a whole without its codes. It has a type `findings`; each part gets one of its own.
///
/// | call                         | meaning                                                      |
/// |------------------------------|--------------------------------------------------------------|
/// | findings.add(part)           | some of the rows of a layer, or all                          |
/// | findings.merge(of_the_next)  | in the order of the rows                                     |
/// | sink(layer, findings)        | answers as a `layer_sink`; `codes` of the layer may be empty |
///
/// What one of them throws, for lack of memory say, comes out of what the sink was given to, on any executor.
template <class Sink>
concept part_sink = std::default_initializable<detail::findings_of<Sink>> &&
                    requires(Sink& sink, const quantized_layer& q, detail::findings_of<Sink>& found,
                             const detail::findings_of<Sink>& next) {
                      found.add(q);
                      found.merge(next);
                      { sink(q, next) } -> detail::sink_answer;
                    };

/// A callable that takes each quantized layer. It returns nothing, a `status` or a `result<void>`: anything
/// but success stops the run. Or a `part_sink`.
template <class Sink>
concept layer_sink = part_sink<Sink> || requires(Sink& sink, const quantized_layer& q) {
  { sink(q) } -> detail::sink_answer;
};

namespace detail {

inline error error_in(const layer& source, status outcome, std::string_view text) {
  error made(outcome.code, "layer \"" + source.name + "\"", text);
  made.at = outcome.at;
  return made;
}

/// Why `quantize` refused a layer, in words.
inline error refusal(const layer& source, status outcome) {
  if (outcome.code == errc::wrong_rank)
    return error_in(source, outcome, "its weight has " + too_many_axes_text(outcome.at));
  if (outcome.code == errc::not_finite)
    return error_in(source, outcome,
                    "weight" + index_text(outcome.at, source.weight.shape) + " " +
                        why_not_finite(source.weight, outcome.at) +
                        ". Repair the checkpoint, or leave the layer out with skip_names.");
  PTQ_ASSERT(outcome.code == errc::axis_out_of_range);
  return error_in(source, outcome,
                  "there is no axis " + std::to_string(outcome.at) + " in a weight of shape " +
                      extents_text(source.weight.shape) + ".");
}

/// Whether a layer is the one that was planned, in name and, where its weight is to be quantized, in shape;
/// and whether that is the shape of its memory.
inline result<void> check_same_layer(const layer& source, const planned_layer& decided, std::size_t place,
                                     const char* advice) {
  const tensor_shape& shape = source.weight.shape;
  if (decided.name != source.name)
    return error_in(source, {errc::invalid_value, place},
                    "the plan has \"" + decided.name + "\" in this place." + advice);
  if (source.weight.misfits)
    return error_in(source, {errc::size_mismatch, shape.size()},
                    "its weight" + misfit_text(source.weight.held, shape) + ".");
  if (!decided.weights.is_quantized()) return {};
  if (decided.shape != shape)
    return error_in(source,
                    decided.shape.rank != shape.rank ? status{errc::wrong_rank, shape.rank}
                                                     : status{errc::size_mismatch, decided.shape.size()},
                    "its weight has shape " + extents_text(shape) + ", but was planned with shape " +
                        extents_text(decided.shape) + "." + advice);
  if (const std::string text = rank_contradiction(source); !text.empty())
    return error_in(source, {errc::wrong_rank, shape.rank}, text + ".");
  return {};
}

inline result<void> check_same_layers(const plan& planned, std::span<const layer> layers) {
  constexpr const char* advice = " Give `apply` the layers that `match` was given.";
  if (planned.layers.size() != layers.size())
    return error(errc::size_mismatch, {},
                 "the plan has " + std::to_string(planned.layers.size()) + " layers, and the model has " +
                     std::to_string(layers.size()) + "." + advice);
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (auto same = check_same_layer(layers[i], planned.layers[i], i, advice); !same) return same;
  return {};
}

inline const activation_range* find_range(std::span<const activation_range> inputs, std::size_t layer) {
  for (const activation_range& input : inputs)
    if (input.layer == layer) return &input;
  return nullptr;
}

/// Every layer whose activations are quantized needs a range, found from data.
inline result<void> check_ranges(const plan& planned, std::span<const activation_range> inputs) {
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    if (!planned.layers[i].activations.is_quantized()) continue;
    const activation_range* const input = find_range(inputs, i);
    if (input != nullptr && input->range.reason != range_reason::no_data) continue;
    return error(
        errc::no_data, "layer \"" + planned.layers[i].name + "\"",
        "its activations are to be quantized, but calibration never saw its inputs. Collect them, or take "
        "the layer out with skip_names.");
  }
  return {};
}

template <layer_sink Sink>
result<void> deliver(const quantized_layer& done, Sink& sink) {
  if constexpr (part_sink<Sink>) {
    findings_of<Sink> found;
    found.add(done);
    const auto whole = [&](const quantized_layer& q) { return sink(q, std::as_const(found)); };
    return deliver(done, whole);
  } else {
    using answer = decltype(sink(done));
    if constexpr (std::same_as<answer, status>) {
      const status told = sink(done);
      if (!told) return error_in(done.source, told, "the sink stopped the run.");
      return {};
    } else if constexpr (std::same_as<answer, result<void>>) {
      return sink(done);
    } else {
      sink(done);
      return {};
    }
  }
}

inline namespace PTQ_BUILD {

/// The quantizers of all layers, in their order: null where weights are left as they are. Here, and
/// nowhere else on the way to the codes, the words of a plan are looked up.
///
/// @return what `check_same_layers` returns; unsupported
template <class Policies>
result<std::vector<const quantizer*>> quantizers_for(const plan& planned, std::span<const layer> layers) {
  if (auto same = check_same_layers(planned, layers); !same) return same.error();
  std::vector<const quantizer*> found(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const decision& decided = planned.layers[i].weights;
    if (!decided.is_quantized()) continue;
    if (!layers[i].weight.has_floats())
      return error_in(layers[i], {errc::unsupported}, "its weight is not a floating-point tensor.");
    found[i] = find_quantizer<Policies>(decided.dtype, planned.backend);
    if (found[i] != nullptr) continue;
    return error_in(layers[i], {errc::unsupported},
                    "the policies do not have dtype \"" + decided.dtype + "\" with backend \"" +
                        planned.backend +
                        "\". Give `apply` the bundle that the specification was read with: "
                        "apply<my_policies>(...).");
  }
  return found;
}

/// @param quantizers `quantizers_for` found them
template <class Quantizers, layer_sink Sink>
result<void> apply_weights(const plan& planned, std::span<const layer> layers, const Quantizers& quantizers,
                           std::span<const activation_range> inputs, Sink& sink) {
  std::vector<std::byte> codes;
  std::vector<float> scales;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const layer& source = layers[i];
    const planned_layer& decided = planned.layers[i];
    const auto* const how = quantizers[i];
    if (how == nullptr) continue;
    const granularity grain = decided.weights.grain.value_or(how->numbers.weights);
    codes.resize(source.weight.size() * how->dtype().code_size);
    scales.resize(scale_count(source.weight.shape, grain));
    if (const status outcome = quantize(source.weight, *how, codes, scales, grain); !outcome)
      return refusal(source, outcome);
    const tensor_strides code_strides = dense_strides(source.weight.shape, source.weight.strides);
    const quantized_layer done{source, decided,      *how,   how->dtype(),         grain,
                               codes,  code_strides, scales, find_range(inputs, i)};
    if (auto told = deliver(done, sink); !told) return told;
  }
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Quantizes the weights of every layer that the plan quantizes, in order.
///
/// @tparam Policies the bundle of dtypes and backends to pick from
/// @param planned   made by `match` from these same layers
/// @param sink      called once per layer whose weights are quantized
/// @return errors name the layer: wrong_rank or size_mismatch if its weight does not fit its class or the
///         plan, axis_out_of_range, not_finite, unsupported; what the sink returns is passed on
template <class Policies = builtin, layer_sink Sink>
result<void> apply(const plan& planned, std::span<const layer> layers, Sink&& sink) {
  const auto quantizers = detail::quantizers_for<Policies>(planned, layers);
  if (!quantizers) return quantizers.error();
  return detail::apply_weights(planned, layers, *quantizers, {}, sink);
}

/// The same with calibrated activations: the sink also gets the range of the layer's inputs.
///
/// @param inputs as `calibration::ranges` gives them; layers of which only the inputs are quantized are found
///               there
/// @return no_data for a layer whose activations are to be quantized and whose inputs were never seen
template <class Policies = builtin, layer_sink Sink>
result<void> apply(const plan& planned, std::span<const layer> layers,
                   std::span<const activation_range> inputs, Sink&& sink) {
  if (auto complete = detail::check_ranges(planned, inputs); !complete) return complete;
  const auto quantizers = detail::quantizers_for<Policies>(planned, layers);
  if (!quantizers) return quantizers.error();
  return detail::apply_weights(planned, layers, *quantizers, inputs, sink);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_APPLY_HPP
