// SPDX-License-Identifier: Apache-2.0
/// @file samples.hpp Calibration and evaluation data: files to batches of graph inputs, and labels.
#ifndef PTQ_IO_SAMPLES_HPP
#define PTQ_IO_SAMPLES_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/config/words.hpp"
#include "ptq/engine/batch_axis.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/io/array.hpp"
#include "ptq/io/data_file.hpp"
#include "ptq/io/scalars.hpp"
#include "ptq/model/shape_text.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

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

/// "[?, 1, 28, 28]"
inline std::string extents_text(std::span<const std::optional<std::size_t>> extents) {
  std::string text = "[";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (i > 0) text += ", ";
    text += extents[i] ? std::to_string(*extents[i]) : "?";
  }
  return text + "]";
}

/// x' = (x * scale - mean) / std in double, one value each or one a channel: the first axis of a sample.
class normalizer {
 public:
  normalizer(const data_config& config, const tensor_shape& sample) : config_(&config) {
    channels_ = sample.rank == 0 ? 1 : sample[0];
    per_channel_ = sample.size() / (std::max<std::size_t>)(channels_, 1);
  }

  /// What is wrong with the number of values, in words; else empty.
  std::string complaint() const {
    for (const auto& [key, values] :
         {std::pair{"scale", &config_->scale}, {"mean", &config_->mean}, {"std", &config_->std}})
      if (values->size() != 1 && values->size() != channels_)
        return std::string(key) + " has " + std::to_string(values->size()) +
               " values; give one, or one for each of the " + std::to_string(channels_) +
               " channels (the first axis of a sample).";
    return {};
  }

  /// @param at index within the sample
  double operator()(double x, std::size_t at) const noexcept {
    const std::size_t channel = at / per_channel_;
    const auto of = [&](const channel_values& values) { return values[values.size() == 1 ? 0 : channel]; };
    return (x * of(config_->scale) - of(config_->mean)) / of(config_->std);
  }

 private:
  const data_config* config_;
  std::size_t channels_;
  std::size_t per_channel_;
};

/// One graph input and the array that feeds it.
struct sample_feed {
  graph_input input;
  std::string where;  // names the file in errors
  array_reader reader;
  tensor_shape sample;  // of one sample, as the graph wants it
  std::vector<std::byte> buffer;
};

}  // namespace detail

/// The samples that a configuration names, as batches of graph inputs. Memory is bounded by a batch.
///
/// Float inputs get x' = (x * scale - mean) / std, computed in double and rounded once; integer inputs get
/// the integers of the file as they are. A value that is not finite is an error that names file, sample and
/// index.
class samples {
 public:
  /// Opens the files and checks that each fits its graph input.
  ///
  /// @param config the files; `""` stands for the graph's only input, or for a file that holds one array for
  ///               each input under its name
  /// @param inputs all inputs of the graph
  /// @param formats the formats that files may have, for instance list<npy, npz>{}
  template <class Formats>
  static result<samples> open(const data_config& config, std::span<const graph_input> inputs,
                              Formats formats) {
    samples opened(config);
    if (auto known = opened.check_names(inputs); !known) return known.error();
    for (const graph_input& input : inputs) {
      const bool is_own = inputs.size() == 1 || config.inputs.contains(input.name);
      auto file = data_file::open(opened.path_for(input.name), formats);
      if (!file) return file.error();
      if (auto added = opened.add(input, *std::move(file), is_own); !added) return added.error();
    }
    if (opened.feeds_.empty())
      return error(errc::no_data, "", "the graph has no inputs, so there is nothing to run it on.");
    if (auto settled = opened.settle_batches(); !settled) return settled.error();
    return opened;
  }

  std::size_t count() const noexcept { return count_; }    ///< samples that `next` will have handed out
  std::size_t total() const noexcept { return total_; }    ///< samples in the files
  std::size_t position() const noexcept { return next_; }  ///< samples that `next` has handed out
  std::size_t batch_size() const noexcept { return batch_size_; }
  /// What was adapted, in words.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// The next batch, one array for each graph input; none after the last. Valid until the next call.
  result<std::span<const named_array>> next() {
    const std::size_t size = (std::min)(batch_size_, count_ - next_);
    batch_.clear();
    if (size == 0) return std::span<const named_array>();
    for (detail::sample_feed& feed : feeds_)
      if (auto read = read_batch(feed, size); !read) return read.error();
    next_ += size;
    return std::span<const named_array>(batch_);
  }

 private:
  explicit samples(const data_config& config) : config_(config) {}

  result<void> check_names(std::span<const graph_input> inputs) const {
    std::vector<std::string_view> names;
    for (const graph_input& input : inputs) names.emplace_back(input.name);
    for (const auto& [name, path] : config_.inputs)
      if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
        return error(errc::unknown_word, "inputs." + name,
                     "the graph has no input \"" + name + "\"; it has " + quoted(names) + ".",
                     nearest_word(name, names));
    const bool is_path = config_.inputs.contains("");
    for (const std::string_view name : names)
      if (!is_path && !config_.inputs.contains(std::string(name)))
        return error(errc::missing_value, "inputs",
                     "no file is given for the graph's input \"" + std::string(name) + "\". Write inputs: {" +
                         std::string(name) + ": FILE}.");
    return {};
  }

  static std::string quoted(std::span<const std::string_view> names) {
    std::string text;
    for (const std::string_view name : names)
      text.append(text.empty() ? "\"" : ", \"").append(name).append("\"");
    return text;
  }

  const std::string& path_for(const std::string& input) const {
    const auto own = config_.inputs.find(input);
    return own != config_.inputs.end() ? own->second : config_.inputs.at("");
  }

  /// The array that feeds an input is the one of its name, or the only one in a file of its own.
  result<void> add(const graph_input& input, data_file file, bool is_own) {
    const auto names = file.names();
    const bool is_only = is_own && names.size() == 1 && !file.has(input.name);
    auto reader = file.read(is_only ? names[0] : std::string_view(input.name));
    if (!reader) return reader.error();
    detail::sample_feed feed{input, file.path(), *std::move(reader), {}, {}};
    files_.push_back(std::move(file));
    if (auto fitted = fit(feed); !fitted) return fitted;
    feeds_.push_back(std::move(feed));
    return {};
  }

  result<void> fit(detail::sample_feed& feed) {
    const tensor_shape& found = feed.reader.shape();
    const auto refuse = [&](errc code, const std::string& text) {
      return error(code, feed.where, "graph input \"" + feed.input.name + "\": " + text);
    };
    if (found.rank == 0)
      return refuse(errc::wrong_rank,
                    "the file holds a single number; its first axis must count the samples.");
    const std::span<const std::size_t> sample(found.extents.data() + 1, found.rank - 1);
    feed.sample = tensor_shape(sample);
    if (feed.input.shape && !feed.input.shape->empty()) {
      const auto wanted = std::span<const std::optional<std::size_t>>(*feed.input.shape);
      const auto fitted = detail::fit_sample(sample, wanted.subspan(1));
      if (!fitted)
        return refuse(errc::size_mismatch, "it takes " + detail::extents_text(wanted) +
                                               ", but the file holds " + detail::extents_text(found) +
                                               " (the first axis counts the samples, and only missing "
                                               "dimensions of size 1 are inserted).");
      if (fitted->rank != feed.sample.rank)
        notes_.push_back("Graph input \"" + feed.input.name + "\": samples of shape " +
                         detail::extents_text(feed.sample) + " are taken as " +
                         detail::extents_text(*fitted) + ".");
      feed.sample = *fitted;
    }
    if (is_float(feed.input.type)) {
      const std::string complaint = detail::normalizer(config_, feed.sample).complaint();
      return complaint.empty() ? result<void>() : refuse(errc::invalid_value, complaint);
    }
    if (is_float(feed.reader.type()))
      return refuse(errc::wrong_type, std::string("it takes ") + name_of(feed.input.type) +
                                          ", but the file holds " + name_of(feed.reader.type()) +
                                          ". Convert: np.save(path, a.astype(\"" + name_of(feed.input.type) +
                                          "\")).");
    return {};
  }

  /// The number of samples, and how many of them make a batch.
  result<void> settle_batches() {
    total_ = feeds_[0].reader.shape()[0];
    std::optional<std::size_t> fixed;
    for (const detail::sample_feed& feed : feeds_) {
      if (feed.reader.shape()[0] != total_)
        return error(errc::size_mismatch, feed.where,
                     "graph input \"" + feed.input.name + "\" has " + std::to_string(feed.reader.shape()[0]) +
                         " samples, but \"" + feeds_[0].input.name + "\" has " + std::to_string(total_) +
                         ".");
      if (feed.input.shape && feed.input.shape->empty())
        fixed = 1;  // a number, for one sample
      else if (feed.input.shape && feed.input.shape->front())
        fixed = feed.input.shape->front();
    }
    const std::size_t given = (std::min)(total_, config_.max_samples.value_or(total_));
    count_ = given;
    batch_size_ = (std::max<std::size_t>)(fixed.value_or(config_.batch_size), 1);
    if (fixed) {
      notes_.push_back("The graph takes " + std::to_string(batch_size_) +
                       (batch_size_ == 1 ? " sample" : " samples") + " at a time.");
      if (const std::size_t rest = count_ % batch_size_; rest > 0) {
        notes_.push_back("The last " + std::to_string(rest) + " of " + std::to_string(count_) +
                         " samples do not fill a batch of the graph and are left out.");
        count_ -= rest;
      }
    }
    if (count_ == 0)
      return error(errc::no_data, feeds_[0].where,
                   total_ == 0
                       ? "there are no samples in it."
                       : "the graph takes " + std::to_string(batch_size_) + " samples at a time, but there " +
                             (given == 1 ? "is 1." : "are " + std::to_string(given) + "."));
    return {};
  }

  result<void> read_batch(detail::sample_feed& feed, std::size_t size) {
    const auto rows = feed.reader.next(size);
    if (!rows) return rows.error();
    feed.buffer.resize(size * feed.sample.size() * size_of(feed.input.type));
    const status converted = visit(feed.input.type, [&]<class T>(std::type_identity<T>) {
      if constexpr (element<T>)
        return detail::convert_floats<T>(
            *rows, feed.buffer.data(),
            [&, change = detail::normalizer(config_, feed.sample)](double x, std::size_t at) {
              return change(x, at % feed.sample.size());
            });
      else
        return detail::convert_integers<T>(*rows, feed.buffer.data());
    });
    if (!converted)
      return detail::describe_sample(
          converted, feed.where + (feeds_.size() == 1 ? "" : ": graph input \"" + feed.input.name + "\""),
          next_, *rows, feed.input.type);
    tensor_shape shape;
    if (!feed.input.shape || !feed.input.shape->empty()) shape.extents[shape.rank++] = size;
    for (std::size_t i = 0; i < feed.sample.rank; ++i) shape.extents[shape.rank++] = feed.sample[i];
    batch_.push_back({feed.input.name, array_view(feed.buffer.data(), feed.input.type, shape)});
    return {};
  }

  data_config config_;
  std::vector<data_file> files_;  // that the feeds read
  std::vector<detail::sample_feed> feeds_;
  std::vector<named_array> batch_;
  std::vector<std::string> notes_;
  std::size_t total_ = 0;
  std::size_t count_ = 0;
  std::size_t batch_size_ = 0;
  std::size_t next_ = 0;
};

namespace detail {

inline result<std::vector<std::int64_t>> labels_in(const data_file& file, std::size_t total) {
  const auto names = file.names();
  auto reader = file.read(names.size() == 1 ? names[0] : "labels");
  if (!reader) return reader.error();
  const tensor_shape& shape = reader->shape();
  if (is_float(reader->type()))
    return error(errc::wrong_type, file.path(),
                 std::string("labels are integers, but it holds ") + name_of(reader->type()) +
                     ". Convert: np.save(path, a.astype(\"int64\")).");
  if (shape.rank == 0 || shape.size() != shape[0])
    return error(errc::wrong_rank, file.path(),
                 "labels are one integer a sample, but it holds " + extents_text(shape) + ".");
  if (shape[0] != total)
    return error(
        errc::size_mismatch, file.path(),
        "it holds " + std::to_string(shape[0]) + " labels for " + std::to_string(total) + " samples.");
  const auto rows = reader->next(total);
  if (!rows) return rows.error();
  std::vector<std::int64_t> labels;
  labels.reserve(total);
  for_each_element(*rows, [&](auto value) { labels.push_back(static_cast<std::int64_t>(number_of(value))); });
  return labels;
}

}  // namespace detail

/// Reads the right answers: one integer a sample, from the only array of a file or the one named "labels".
///
/// @param total samples in the files that the labels belong to
/// @return as many labels; wrong_rank, wrong_type or size_mismatch
template <class Formats>
result<std::vector<std::int64_t>> read_labels(const std::string& path, std::size_t total, Formats formats) {
  const auto file = data_file::open(path, formats);
  return file ? detail::labels_in(*file, total) : file.error();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_SAMPLES_HPP
