// SPDX-License-Identifier: Apache-2.0
/// @file calibration.hpp Finds the ranges of activations: the caller's own forward pass pushes the inputs of
/// layers into it.
#ifndef PTQ_MODEL_CALIBRATION_HPP
#define PTQ_MODEL_CALIBRATION_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/calibration/concept.hpp"
#include "ptq/calibration/expected_error.hpp"
#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/config/words.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/error.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/backend_row.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/not_finite.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// The statistics of layers' inputs by layer name: what a calibration keeps, what files hold, what merges.
using layer_statistics = std::map<std::string, statistics<>, std::less<>>;

namespace detail {

/// A calibrator behind its word.
struct calibrator_entry {
  const char* name = nullptr;
  range (*ask)(const statistics<>&, const grid&, const calibration_config&) = nullptr;
};

/// A calibrator that has a share (`per_billion`) gets it from the settings.
template <calibrator C>
range ask_calibrator(const statistics<>& seen, const grid& levels, const calibration_config& settings) {
  C ask;
  if constexpr (requires { ask.per_billion = std::uint64_t{}; })
    ask.per_billion = static_cast<std::uint64_t>(std::llround(settings.percentile * 1e7));
  return ask.range(seen, levels);
}

template <class Policies>
std::optional<calibrator_entry> find_calibrator(std::string_view word) {
  std::optional<calibrator_entry> found;
  for_each_type(typename Policies::calibrators{}, [&]<class C>(type_tag<C>) {
    if (word == C::name) found = calibrator_entry{C::name, &ask_calibrator<C>};
  });
  return found;
}

/// How many bins hold nothing but what becomes 0: none for fp8, whose smallest numbers lie in the first bin.
inline std::size_t near_zero_bins(const statistics<>& seen, float amax, const grid& levels) {
  const double half_step = std::ldexp(static_cast<double>(levels.share(1)), -grid::fraction_bits - 1);
  const auto cut = static_cast<float>(static_cast<double>(amax) * half_step);
  return seen.magnitudes.bin_of(bits_of(cut));
}

inline error error_in_inputs(std::string_view layer, errc code, std::string_view text) {
  return error(code, "layer \"" + std::string(layer) + "\"", text);
}

}  // namespace detail

/// Keeps the statistics of every layer whose activations a plan quantizes: 32 KiB each, whatever is
/// collected. The order of the calls does not matter, nor how inputs are cut into batches.
class calibration {
 public:
  explicit calibration(const plan& planned) : plan_(planned) {
    for (const planned_layer& layer : plan_.layers)
      if (layer.activations.is_quantized()) seen_.try_emplace(layer.name);
  }

  /// The inputs of a layer for some samples. Layers that need no range are passed over.
  ///
  /// @return unknown_word for a layer that the plan does not have; unsupported if the elements are not
  ///         floating-point numbers; size_mismatch if flat memory does not fit its shape; wrong_rank with a
  ///         rank above `max_rank`; not_finite with the index of a NaN or infinity, and nothing of this
  ///         tensor was taken in
  result<void> collect(std::string_view layer, const any_view& input) {
    const auto found = seen_.find(layer);
    if (found == seen_.end()) return check_is_planned(layer);
    if (input.misfits)
      return detail::error_in_inputs(layer, errc::size_mismatch,
                                     "its input" + detail::misfit_text(input.held, input.shape) + ".");
    if (!input.has_floats())
      return detail::error_in_inputs(layer, errc::unsupported, "its input is not a floating-point tensor.");
    const status taken = visit(input, [&](const auto& view) { return found->second.collect(view); });
    if (taken) return {};
    const std::string text = taken.code == errc::wrong_rank
                                 ? " has " + detail::too_many_axes_text(taken.at)
                                 : detail::index_text(taken.at, input.shape) + " " +
                                       detail::why_not_finite(input, taken.at) +
                                       ". Repair the calibration data.";
    error refused = detail::error_in_inputs(layer, taken.code, "its input" + text);
    refused.at = taken.at;
    return refused;
  }

  /// Adds statistics collected elsewhere, for instance by another process. Layers that need no range are
  /// passed over.
  void merge(const layer_statistics& other) {
    for (const auto& [name, seen] : other)
      if (const auto found = seen_.find(name); found != seen_.end()) found->second.merge(seen);
  }

  const layer_statistics& collected() const noexcept { return seen_; }

  /// The ranges of all layers whose activations are quantized, in the order of the plan. A layer whose inputs
  /// were never seen has the reason `no_data`.
  ///
  /// @param settings `ptq.calibration` of the specification; without an algorithm there it is the plan's
  /// @return unknown_word, or unsupported if the policies lack a dtype or the backend
  template <class Policies = builtin>
  result<std::vector<activation_range>> ranges(const calibration_config& settings = {}) const {
    const std::string& word = settings.algorithm ? *settings.algorithm : plan_.algorithm;
    const auto calibrator = detail::find_calibrator<Policies>(word);
    if (!calibrator)
      return error(errc::unknown_word, {}, "there is no calibration algorithm \"" + word + "\".",
                   nearest_word(word, words_of<Policies>().calibrators));
    const backend_row* const backend = find_backend_row<Policies>(plan_.backend);
    std::vector<activation_range> found;
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      const planned_layer& layer = plan_.layers[i];
      if (!layer.activations.is_quantized()) continue;
      const dtype_row* const dtype = find_dtype_row<Policies>(layer.activations.dtype);
      if (dtype == nullptr || backend == nullptr)
        return detail::error_in_inputs(layer.name, errc::unsupported,
                                       "the policies do not have dtype \"" + layer.activations.dtype +
                                           "\" with backend \"" + plan_.backend + "\".");
      const grid& levels = dtype->levels;
      const recipe& numbers = *backend->find(dtype->name);
      const auto& seen = seen_.find(layer.name)->second;
      const range answer = calibrator->ask(in_bins(seen, settings.bins), levels, settings);
      const std::size_t near_zero = detail::near_zero_bins(seen, answer.amax, levels);
      found.push_back({i, calibrator->name, answer, detail::scale_of<float>(answer.amax, numbers), seen.count,
                       seen.count_above(answer.amax), expected_sqnr_db(seen, answer.amax, levels),
                       seen.count - seen.magnitudes.count_from(near_zero),
                       detail::float_of(seen.magnitudes.edge_bits(2 * near_zero))});
    }
    return found;
  }

 private:
  result<void> check_is_planned(std::string_view layer) const {
    std::vector<std::string_view> names;
    for (const planned_layer& planned : plan_.layers) {
      if (planned.name == layer) return {};
      names.push_back(planned.name);
    }
    return error(errc::unknown_word, {}, "the plan has no layer \"" + std::string(layer) + "\".",
                 nearest_word(layer, names));
  }

  /// The same statistics as if they had been collected in fewer bins, a power of two.
  static statistics<> in_bins(statistics<> seen, std::optional<std::size_t> bins) {
    for (std::size_t left = seen.magnitudes.counts.size(); bins && left > *bins; left /= 2)
      seen.magnitudes.grow(seen.magnitudes.exponent + 1);
    return seen;
  }

  plan plan_;
  layer_statistics seen_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_CALIBRATION_HPP
