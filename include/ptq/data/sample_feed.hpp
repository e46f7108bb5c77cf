// SPDX-License-Identifier: Apache-2.0
/// @file sample_feed.hpp How the rows of a file become what one graph input takes: shape, scale, mean and
/// std, and the axis of the samples.
#ifndef PTQ_DATA_SAMPLE_FEED_HPP
#define PTQ_DATA_SAMPLE_FEED_HPP

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1::detail {

/// The shape of a sample in the graph's words: missing dimensions of size 1 are inserted. Nothing if it does
/// not fit.
inline std::optional<tensor_shape> fit_sample(std::span<const std::size_t> sample,
                                              std::span<const std::optional<std::size_t>> wanted) {
  if (wanted.size() >= max_rank) return {};
  tensor_shape fitted;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool is_short = sample.size() < wanted.size() - i;
    std::size_t extent = 1;
    if (!is_short || wanted[i] != std::size_t{1}) {
      if (sample.empty()) return {};
      extent = sample.front();
      sample = sample.subspan(1);
    }
    if (wanted[i].value_or(extent) != extent) return {};
    fitted.extents[fitted.rank++] = extent;
  }
  return sample.empty() ? std::optional(fitted) : std::nullopt;
}

/// x' = (x * scale - mean) / std in double, one value each or one a channel.
class normalizer {
 public:
  /// @param channel_axis of a sample
  normalizer(const data_config& config, const tensor_shape& sample, std::size_t channel_axis)
      : config_(&config), axis_(channel_axis) {
    if (channel_axis < sample.rank) channels_ = sample[channel_axis];
    for (std::size_t axis = channel_axis + 1; axis < sample.rank; ++axis) per_channel_ *= sample[axis];
  }

  /// What is wrong with the number of values, in words; else empty.
  std::string complaint() const {
    for (const auto& [key, values] :
         {std::pair{"scale", &config_->scale}, {"mean", &config_->mean}, {"std", &config_->std}})
      if (values->size() != 1 && values->size() != channels_)
        return std::string(key) + " has " + std::to_string(values->size()) +
               " values; give one, or one for each of the " + std::to_string(channels_) + " channels (" +
               (axis_ == 0 ? "the first axis" : "axis " + std::to_string(axis_)) + " of a sample).";
    return {};
  }

  /// @param at index within the sample
  double operator()(double x, std::size_t at) const noexcept {
    const std::size_t channel = at / per_channel_ % channels_;
    const auto of = [&](const channel_values& values) { return values[values.size() == 1 ? 0 : channel]; };
    return (x * of(config_->scale) - of(config_->mean)) / of(config_->std);
  }

 private:
  const data_config* config_;
  std::size_t axis_;
  std::size_t channels_ = 1;
  std::size_t per_channel_ = 1;
};

/// How samples reach a graph input.
enum class feeding : unsigned char {
  batches,  ///< many at a time, counted by an axis
  alone,    ///< each by itself, as the input has no axis for them
  shared    ///< one array for all of them
};

/// One graph input and the array that feeds it.
struct sample_feed {
  graph_input input;
  std::string where;  // names the file in errors
  array_reader reader;
  std::size_t channel_axis = 0;
  feeding how = feeding::batches;
  std::size_t batch_axis = 0;     // of the graph input
  tensor_shape sample{};          // of one sample, as the graph wants it
  std::vector<std::byte> rows{};  // sample after sample
  std::vector<std::byte> moved{};
};

/// Row-major [count, sample...] becomes [..., count, ...]: the first axis moves to a place within the sample.
inline void move_first_axis(const std::vector<std::byte>& from, std::vector<std::byte>& to, std::size_t count,
                            const tensor_shape& sample, std::size_t axis, std::size_t element_size) {
  std::size_t outer = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= sample[i];
  const std::size_t run = from.size() / (count * outer * element_size) * element_size;
  to.resize(from.size());
  for (std::size_t n = 0; n < count; ++n)
    for (std::size_t o = 0; o < outer; ++o)
      std::memcpy(to.data() + (o * count + n) * run, from.data() + (n * outer + o) * run, run);
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_DATA_SAMPLE_FEED_HPP
