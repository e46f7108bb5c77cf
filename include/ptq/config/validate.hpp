// SPDX-License-Identifier: Apache-2.0
/// @file validate.hpp The rules that a specification keeps, wherever it comes from.
#ifndef PTQ_CONFIG_VALIDATE_HPP
#define PTQ_CONFIG_VALIDATE_HPP

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "ptq/config/rule_path.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/config/words.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The bins that statistics can be read with: neighbours merge exactly down from the most.
inline constexpr std::size_t fewest_bins = 256;
inline constexpr std::size_t most_bins = 4096;

using word_list = std::vector<std::string_view>;

inline word_list backend_list(const spec_words& words) {
  word_list list;
  for (const backend_words& b : words.backends) list.push_back(b.name);
  for (const backend_words& b : words.backends)
    list.insert(list.end(), b.other_names.begin(), b.other_names.end());
  return list;
}

inline word_list mode_list(const spec_words& words) {
  word_list list;
  for (const backend_words& b : words.backends)
    if (!contains(list, b.mode)) list.push_back(b.mode);
  return list;
}

class validator {
 public:
  validator(const spec& checked, const spec_words& words) : spec_(checked), words_(words) {}

  /// The first broken rule; `where` is the field's path.
  result<void> run() {
    check_quantize(spec_.quantize);
    if (spec_.calibration_data) check_data("dataset.quant_calibration_dataset", *spec_.calibration_data);
    if (spec_.evaluation_data) check_data("evaluate", *spec_.evaluation_data);
    check_calibration(spec_.ptq.calibration);
    return outcome_;
  }

 private:
  void fail(errc code, std::string_view path, std::string_view text, std::string_view nearest = {}) {
    if (outcome_) outcome_ = error(code, path, text, nearest);
  }

  void check_word(std::string_view path, std::string_view word, const word_list& allowed) {
    if (word.empty()) return fail(errc::missing_value, path, "has no value. " + allowed_text(allowed));
    if (contains(allowed, word)) return;
    fail(errc::unknown_word, path, "unknown word " + in_quotes(word) + ". " + allowed_text(allowed),
         nearest_word(word, allowed));
  }

  void check_quantize(const quantize_config& config) {
    check_word("quantize.backend", config.backend, backend_list(words_));
    check_word("quantize.mode", config.mode, mode_list(words_));
    check_pair(config);
    if (!contains(words_.tao_calibrators, config.algorithm) && contains(words_.calibrators, config.algorithm))
      fail(errc::unknown_word, "quantize.algorithm",
           in_quotes(config.algorithm) +
               " is not an algorithm of TAO. Write ptq: {calibration: {algorithm: " + config.algorithm +
               "}} beside the section quantize.");
    static constexpr std::string_view later[] = {"awq_clip", "awq_full", "awq_lite", "rtn_dq"};
    if (contains(later, config.algorithm))
      fail(errc::unknown_word, "quantize.algorithm",
           in_quotes(config.algorithm) +
               " is for int4 weights in later versions of TAO, which ptq does not have. " +
               allowed_text(words_.tao_calibrators));
    check_word("quantize.algorithm", config.algorithm, words_.tao_calibrators);
    check_word("quantize.default_layer_dtype", config.default_layer_dtype, words_.dtypes);
    check_word("quantize.default_activation_dtype", config.default_activation_dtype, words_.dtypes);
    for (std::size_t i = 0; i < config.layers.size(); ++i) check_rule(rule_path(i), config.layers[i]);
    for (std::size_t i = 0; i < config.skip_names.size(); ++i)
      if (config.skip_names[i].empty())
        fail(errc::missing_value, skip_path(i), "is empty: name a layer, a pattern or a class.");
  }

  void check_pair(const quantize_config& config) {
    const backend_words* backend = find_backend(words_, config.backend);
    if (!backend || backend->mode == config.mode) return;
    std::string text = "backend " + in_quotes(config.backend) + " goes with mode " +
                       in_quotes(backend->mode) + ", not with " + in_quotes(config.mode);
    for (const backend_words& other : words_.backends)
      if (other.mode == config.mode) {
        text += ", which goes with backend " + in_quotes(other.name);
        break;
      }
    fail(errc::wrong_pair, "quantize.mode", text + ".");
  }

  void check_rule(const std::string& path, const rule_config& rule) {
    if (rule.module_name.empty())
      fail(errc::missing_value, path + ".module_name", "is empty: name a layer, a pattern or a class.");
    if (rule.weights) check_slot(path + ".weights", *rule.weights);
    if (rule.activations) check_slot(path + ".activations", *rule.activations);
  }

  void check_slot(const std::string& path, const slot_config& slot) {
    check_word(path + ".dtype", slot.dtype, words_.dtypes);
    if (slot.quant_axis.kind == axis_choice::kind_type::axis && slot.quant_axis.axis >= max_rank)
      fail(errc::invalid_value, path + ".quant_axis",
           "is " + std::to_string(slot.quant_axis.axis) + ", but a tensor has at most " +
               std::to_string(max_rank) + " axes, counted from 0.");
  }

  void check_data(const std::string& path, const data_config& data) {
    const bool has_images = !data.images_dir.empty();
    if (data.inputs.empty() == data.activations.empty() && !(data.inputs.empty() && has_images))
      fail(data.inputs.empty() ? errc::missing_value : errc::invalid_value, path,
           "give either inputs (a file, or a map of graph inputs to files) or activations (a file); pictures "
           "as images_dir (a folder).");
    for (const auto& [input, file] : data.inputs)
      if (file.empty())
        fail(errc::missing_value, path + ".inputs" + (input.empty() ? "" : "." + input), "names no file.");
    if (data.batch_size == 0) fail(errc::invalid_value, path + ".batch_size", "must be at least 1.");
    if (data.max_samples == std::size_t{0})
      fail(errc::invalid_value, path + ".max_samples", "must be at least 1, or the word all.");
    check_unused(path, data);
    static constexpr std::string_view tasks[] = {"binary", "classification", "regression"};
    for (const auto& [output, word] : data.task)
      check_word(path + ".task" + (output.empty() ? "" : "." + output), word, {tasks, tasks + 3});
    check_channels(path + ".scale", data.scale, false);
    check_channels(path + ".mean", data.mean, true);
    check_channels(path + ".std", data.std, false);
  }

  /// Recorded activations are what the layers took in: nothing is done to them.
  void check_unused(const std::string& path, const data_config& data) {
    const data_config neutral;
    for (const auto& [key, values, unused] : {std::tuple{".scale", &data.scale, &neutral.scale},
                                              {".mean", &data.mean, &neutral.mean},
                                              {".std", &data.std, &neutral.std}})
      if (!data.activations.empty() && *values != *unused)
        fail(errc::invalid_value, path + key,
             "has no effect on recorded activations, which are taken as they are. Remove it.");
  }

  void check_channels(const std::string& path, const channel_values& values, bool may_be_zero) {
    if (values.empty())
      fail(errc::missing_value, path, "is an empty list: give a number, or one for each channel.");
    for (const double value : values) {
      if (!(value >= std::numeric_limits<double>::lowest() && value <= (std::numeric_limits<double>::max)()))
        fail(errc::invalid_value, path, "must be finite.");
      if (value == 0 && !may_be_zero) fail(errc::invalid_value, path, "must not be 0.");
    }
  }

  void check_calibration(const calibration_config& config) {
    if (config.algorithm) check_word("ptq.calibration.algorithm", *config.algorithm, words_.calibrators);
    if (!(config.percentile > 0 && config.percentile <= 100))
      fail(errc::invalid_value, "ptq.calibration.percentile", "must be above 0 and at most 100.");
    if (!config.bins) return;
    const std::size_t bins = *config.bins;
    if (bins < fewest_bins || bins > most_bins || (bins & (bins - 1)) != 0)
      fail(errc::invalid_value, "ptq.calibration.bins",
           "must be a power of two from " + std::to_string(fewest_bins) + " to " + std::to_string(most_bins) +
               ".");
  }

  const spec& spec_;
  const spec_words& words_;
  result<void> outcome_;
};

}  // namespace detail

/// Checks words, pairs and numbers of a specification that was built in code; `read_spec` has done it
/// already.
///
/// @return the first broken rule, `where` being the path of the field, for instance
///         "quantize.layers[0].weights.dtype"
inline result<void> validate(const spec& checked, const spec_words& words = words_of<>()) {
  return detail::validator(checked, words).run();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_VALIDATE_HPP
