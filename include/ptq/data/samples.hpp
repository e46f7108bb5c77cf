// SPDX-License-Identifier: Apache-2.0
/// @file samples.hpp Calibration and evaluation data: files to batches of graph inputs, and labels.
#ifndef PTQ_DATA_SAMPLES_HPP
#define PTQ_DATA_SAMPLES_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/array.hpp"
#include "ptq/data/batch_axis.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/data/graph_names.hpp"
#include "ptq/data/sample_feed.hpp"
#include "ptq/data/scalars.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// Pictures as an array [sample, ...] that is made as it is read.
struct image_array {
  array_reader reader;
  std::size_t channel_axis = 0;    ///< of a sample
  std::vector<std::string> files;  ///< one a sample
  std::vector<std::string> notes;  ///< what is not read, in words
};

/// For those who have no pictures: `images_dir` is refused.
struct no_images {
  result<image_array> operator()(const std::string& folder, const graph_input& /*input*/,
                                 std::optional<std::size_t> /*batch_axis*/,
                                 std::optional<std::size_t> /*most*/) const {
    return error(errc::unsupported, folder, "pictures cannot be read here. Give arrays as inputs.");
  }
};

/// The samples that a configuration names, as batches of graph inputs. Memory is bounded by a batch.
///
/// In files the first axis counts samples; it is moved to where the graph has it (`find_batch_axes`). What is
/// fed to an input without such an axis tells whether all samples share it or each has its own.
///
/// Float inputs get x' = (x * scale - mean) / std, computed in double and rounded once; integer inputs get
/// the integers of the file as they are, booleans 0 or 1. A value that is not finite, or that the type does
/// not hold, is an error that names file, sample and index.
class samples {
 public:
  /// Opens the files and checks that each fits its graph input.
  ///
  /// @param config  the files; `""` stands for the graph's only input, or for a file that holds one array for
  ///                each input under its name. `images_dir` is read only where there are no files
  /// @param inputs  all inputs of the graph
  /// @param formats the formats that files may have, for instance list<npy, npz>{}
  /// @param axes    graph input -> the axis that counts samples, where what the graph declares is not right
  /// @param images  called with `images_dir`, the graph's only input, its batch axis and `max_samples`; gives
  ///                an `image_array`
  /// @return the error of a setting has its path within `config` as `where` ("inputs.mask", "scale"), or
  ///         "ptq.data.batch_axis.mask"
  template <class Formats, class Images = no_images>
  static result<samples> open(const data_config& config, std::span<const graph_input> inputs, Formats formats,
                              const batch_axis_choices& axes = {}, const Images& images = {}) {
    samples opened(config);
    if (inputs.empty())
      return error(errc::no_data, "", "the graph has no inputs, so there is nothing to run it on.");
    std::vector<std::string_view> names;
    for (const graph_input& input : inputs) names.emplace_back(input.name);
    if (auto named = check_names(config, names); !named) return named.error();
    const auto found = find_batch_axes(inputs, axes);
    if (!found) return found.error();
    if (!found->note.empty()) opened.notes_.push_back(found->note);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool is_given = axes.contains(inputs[i].name);
      auto added = has_images(config)
                       ? opened.add(inputs[i], found->inputs[i], images)
                       : opened.add(inputs[i], found->inputs[i], is_given, inputs.size() == 1, formats);
      if (!added) return added.error();
    }
    opened.axes_ = *std::move(found);
    if (auto effective = opened.check_normalization(); !effective) return effective.error();
    if (auto settled = opened.settle_batches(); !settled) return settled.error();
    if (auto read = opened.read_shared(); !read) return read.error();
    return opened;
  }

  /// Whether a configuration names a file for each input of a graph, and no others. `open` checks that, too.
  ///
  /// @param names of the graph's inputs; there are some
  /// @return unknown_word, missing_value, or invalid_value: pictures feed only one; `where` is as of `open`
  static result<void> check_names(const data_config& config, std::span<const std::string_view> names) {
    if (has_images(config)) return expect_one(names);
    if (auto known = check_graph_names("inputs", config.inputs, "input", names); !known) return known;
    const bool is_path = config.inputs.contains("");
    for (const std::string_view name : names)
      if (!is_path && !config.inputs.contains(std::string(name)))
        return error(errc::missing_value, "inputs",
                     "no file is given for the graph's input \"" + std::string(name) + "\". Write inputs: {" +
                         std::string(name) + ": FILE}.");
    return {};
  }

  std::size_t count() const noexcept { return count_; }    ///< samples that `next` will have handed out
  std::size_t total() const noexcept { return total_; }    ///< samples in the files
  std::size_t position() const noexcept { return next_; }  ///< samples that `next` has handed out
  std::size_t batch_size() const noexcept { return batch_size_; }
  /// What was adapted or left out, in words.
  const std::vector<std::string>& notes() const noexcept { return notes_; }
  /// Which axes of the graph's inputs count samples, and what they have in common; the outputs' are found
  /// with it (`find_batch_axis`).
  const batch_axes& axes() const noexcept { return axes_; }
  /// The file of a sample that is a picture; else empty.
  std::string picture_of(std::size_t sample) const {
    return sample < images_.size() ? images_[sample] : std::string();
  }
  /// Names a sample in an error: "FILE: sample 3", or the file of a picture.
  std::string place_of(std::size_t sample) const {
    const std::string picture = picture_of(sample);
    return picture.empty() ? feeds_[0].where + ": sample " + std::to_string(sample) : picture;
  }

  /// Hands out a share of the batches alone, so that each of several processes runs some: whole ones, one
  /// behind the other. Call it before `next`.
  ///
  /// @param index of the share, from 1 to `count`
  result<void> keep_only(std::size_t index, std::size_t count) {
    const std::size_t batches = (count_ + batch_size_ - 1) / batch_size_;
    const std::size_t first = batches * (index - 1) / count * batch_size_;
    const std::size_t end = (std::min)(count_, batches * index / count * batch_size_);
    for (; next_ < (std::min)(first, end); next_ += batch_size_)
      for (detail::sample_feed& feed : feeds_)
        if (feed.how != detail::feeding::shared)
          if (const auto passed = feed.reader.next(batch_size_); !passed) return passed.error();
    next_ = (std::min)(first, end);
    count_ = end;
    return {};
  }

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

  const std::string& path_for(const std::string& input) const {
    const auto own = config_.inputs.find(input);
    return own != config_.inputs.end() ? own->second : config_.inputs.at("");
  }

  static bool has_images(const data_config& config) noexcept {
    return config.inputs.empty() && !config.images_dir.empty();
  }

  static result<void> expect_one(std::span<const std::string_view> names) {
    if (names.size() == 1) return {};
    std::string text;
    for (const std::string_view name : names) text.append(text.empty() ? "\"" : "\", \"").append(name);
    return error(errc::invalid_value, "images_dir",
                 "pictures feed one graph input, but the graph has " + std::to_string(names.size()) + ": " +
                     text + "\". Give an array for each: inputs: {" + std::string(names[0]) +
                     ": FILE, ...}.");
  }

  /// The array that feeds an input is the one of its name, or the only one in a file of its own.
  template <class Formats>
  result<void> add(const graph_input& input, std::optional<std::size_t> axis, bool is_given, bool is_single,
                   Formats formats) {
    auto opened = data_file::open(path_for(input.name), formats);
    if (!opened) return opened.error();
    const auto names = opened->names();
    const bool is_own = is_single || config_.inputs.contains(input.name);
    const bool is_only = is_own && names.size() == 1 && !opened->has(input.name);
    auto reader = opened->read(is_only ? names[0] : std::string_view(input.name));
    if (!reader) return reader.error();
    detail::sample_feed feed{input, opened->path(), *std::move(reader)};
    files_.push_back(*std::move(opened));
    return add(std::move(feed), axis, is_given);
  }

  template <class Images>
  result<void> add(const graph_input& input, std::optional<std::size_t> axis, const Images& images) {
    result<image_array> read = images(config_.images_dir, input, axis, config_.max_samples);
    if (!read) return read.error();
    images_ = std::move(read->files);
    notes_.insert(notes_.end(), read->notes.begin(), read->notes.end());
    detail::sample_feed feed{input, absolute_path(config_.images_dir), std::move(read->reader)};
    feed.channel_axis = read->channel_axis;
    return add(std::move(feed), axis, false);
  }

  /// @param is_given the user says what `axis` is
  result<void> add(detail::sample_feed feed, std::optional<std::size_t> axis, bool is_given) {
    auto fitted = axis ? fit_batches(feed, *axis) : fit_without_axis(feed, is_given);
    if (!fitted) return fitted;
    if (auto typed = check_type(feed); !typed) return typed;
    feeds_.push_back(std::move(feed));
    return {};
  }

  static error refuse(const detail::sample_feed& feed, errc code, const std::string& text) {
    return {code, feed.where, "graph input \"" + feed.input.name + "\": " + text};
  }

  /// The shape of a sample, where the file has one.
  static std::span<const std::size_t> sample_in(const tensor_shape& found) {
    return std::span<const std::size_t>(found.extents).subspan(1, found.rank - 1);
  }

  /// An input with an axis that counts samples.
  result<void> fit_batches(detail::sample_feed& feed, std::size_t axis) {
    const tensor_shape& found = feed.reader.shape();
    if (found.rank == 0)
      return refuse(feed, errc::wrong_rank,
                    "the file holds a single number; its first axis must count the samples.");
    feed.batch_axis = axis;
    feed.sample = tensor_shape(sample_in(found));
    if (!feed.input.shape) return {};
    std::vector<std::optional<std::size_t>> wanted = *feed.input.shape;
    wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(axis));
    return take(feed, detail::fit_sample(sample_in(found), wanted),
                axis == 0 ? "the first axis counts the samples"
                          : "the first axis of the file counts the samples, axis " + std::to_string(axis) +
                                " of the graph input takes them; ptq.data.batch_axis." + feed.input.name +
                                " may name another");
  }

  /// An input that by its shape has no such axis: the file tells what is meant.
  ///
  /// @param is_given the user says so
  result<void> fit_without_axis(detail::sample_feed& feed, bool is_given) {
    const tensor_shape& found = feed.reader.shape();
    const std::vector<std::optional<std::size_t>> any(found.rank);
    const auto& wanted = feed.input.shape ? *feed.input.shape : any;
    const auto whole = detail::fit_sample({found.extents.data(), found.rank}, wanted);
    const auto part = found.rank == 0 ? std::nullopt : detail::fit_sample(sample_in(found), wanted);
    if (whole || (part && found[0] == 1)) {
      feed.how = detail::feeding::shared;
      feed.sample = whole ? *whole : *part;
      if (!is_given && found.rank > 0)
        notes_.push_back("Graph input \"" + feed.input.name +
                         "\" has no axis for samples: all of them share what its file holds.");
      return {};
    }
    if (is_given) return take(feed, {}, "ptq.data.batch_axis says that all samples share it");
    if (part) {
      feed.how = detail::feeding::alone;
      return take(feed, part, "");
    }
    if (!wanted.empty() && wanted[0] && found.rank > 0) return fit_batches(feed, 0);
    return take(feed, {},
                "the input has no axis for samples: give what all share, or one for each as [sample, ...]");
  }

  /// @param fitted a sample as the graph wants it; nothing if it does not fit
  result<void> take(detail::sample_feed& feed, const std::optional<tensor_shape>& fitted,
                    const std::string& rule) {
    const tensor_shape& found = feed.reader.shape();
    const std::string name = "Graph input \"" + feed.input.name + "\": ";
    if (!fitted)
      return refuse(feed, errc::size_mismatch,
                    "it takes " + extents_text(*feed.input.shape) + ", but the file holds " +
                        extents_text(found) + " (" + rule +
                        ", and only missing dimensions of size 1 are inserted).");
    const tensor_shape given(sample_in(found));
    if (fitted->rank != given.rank)
      notes_.push_back(name + "samples of shape " + extents_text(given) + " are taken as " +
                       extents_text(*fitted) + ".");
    feed.sample = *fitted;
    return {};
  }

  result<void> check_type(const detail::sample_feed& feed) const {
    if (feed.reader.shape().size() == 0 && (feed.reader.shape().rank == 0 || feed.reader.shape()[0] > 0))
      return refuse(feed, errc::no_data, "its samples hold no values: one extent is 0.");
    const element_type wanted = feed.input.type;
    if (is_float(wanted)) {
      const std::string complaint = detail::normalizer(config_, feed.sample, feed.channel_axis).complaint();
      return complaint.empty() ? result<void>() : refuse(feed, errc::invalid_value, complaint);
    }
    if (is_float(feed.reader.type()))
      return refuse(
          feed, errc::wrong_type,
          std::string("it takes ") + name_of(wanted) + ", but the file holds " + name_of(feed.reader.type()) +
              ". Convert: np.save(path, " +
              (wanted == element_type::boolean ? "a != 0)."
                                               : std::string("a.astype(\"") + name_of(wanted) + "\"))."));
    return {};
  }

  /// Scale, mean and std do nothing to integers: they must not seem to.
  result<void> check_normalization() const {
    if (std::any_of(feeds_.begin(), feeds_.end(), [](const auto& feed) { return is_float(feed.input.type); }))
      return {};
    for (const auto& [key, values, neutral] :
         {std::tuple{"scale", &config_.scale, 1}, {"mean", &config_.mean, 0}, {"std", &config_.std, 1}})
      if (std::count(values->begin(), values->end(), neutral) != std::ssize(*values))
        return error(errc::invalid_value, key,
                     "has no effect: no input of the graph takes floats, \"" + feeds_[0].input.name +
                         "\" takes " + name_of(feeds_[0].input.type) +
                         ", and integers are fed as they are. Remove it.");
    return {};
  }

  /// The number of samples, and how many of them make a batch.
  result<void> settle_batches() {
    if (auto counted = count_total(); !counted) return counted;
    const auto fixed = fixed_size();
    if (!fixed) return fixed.error();
    return cut_batches(*fixed);
  }

  /// The samples in the files: as many for each input that does not share one array.
  result<void> count_total() {
    const detail::sample_feed* first = nullptr;
    for (const detail::sample_feed& feed : feeds_) {
      if (feed.how == detail::feeding::shared) continue;
      const std::size_t held = feed.reader.shape()[0];
      if (first != nullptr && held != total_)
        return error(errc::size_mismatch, feed.where,
                     "graph input \"" + feed.input.name + "\" has " + std::to_string(held) +
                         " samples, but \"" + first->input.name + "\" has " + std::to_string(total_) +
                         ". If all samples share an array, write ptq: {data: {batch_axis: {INPUT: none}}}.");
      first = &feed;
      total_ = held;
    }
    if (first == nullptr) total_ = 1;
    return {};
  }

  /// The samples that the graph takes at a time, if it insists.
  result<std::optional<std::size_t>> fixed_size() const {
    const detail::sample_feed* first = nullptr;
    std::size_t size = 0;
    for (const detail::sample_feed& feed : feeds_) {
      const bool is_fixed = feed.how == detail::feeding::batches && feed.input.shape &&
                            (*feed.input.shape)[feed.batch_axis].has_value();
      if (feed.how != detail::feeding::alone && !is_fixed) continue;
      const std::size_t own = is_fixed ? *(*feed.input.shape)[feed.batch_axis] : 1;
      if (first != nullptr && own != size)
        return refuse(feed, errc::size_mismatch,
                      "it takes " + std::to_string(own) + " samples at a time, but \"" + first->input.name +
                          "\" takes " + std::to_string(size) +
                          ". Say which axis counts samples: ptq: {data: {batch_axis: {INPUT: AXIS}}}.");
      first = &feed;
      size = own;
    }
    return first == nullptr ? std::optional<std::size_t>() : size;
  }

  result<void> cut_batches(std::optional<std::size_t> fixed) {
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
    if (feed.how != detail::feeding::shared) {
      const auto rows = feed.reader.next(size);
      if (!rows) return rows.error();
      if (auto converted = convert(feed, *rows); !converted) return converted;
    }
    tensor_shape shape = feed.sample;
    std::optional<std::size_t> axis;
    if (feed.how == detail::feeding::batches) {
      axis = feed.batch_axis;
      for (std::size_t i = shape.rank++; i > *axis; --i) shape.extents[i] = shape.extents[i - 1];
      shape.extents[*axis] = size;
    }
    if (axis.value_or(0) > 0)
      detail::move_first_axis(feed.rows, feed.moved, size, feed.sample, *axis, size_of(feed.input.type));
    const std::vector<std::byte>& made = axis.value_or(0) > 0 ? feed.moved : feed.rows;
    batch_.push_back({feed.input.name, any_view(made.data(), feed.input.type, shape), axis});
    return {};
  }

  /// What all samples share is read once.
  result<void> read_shared() {
    for (detail::sample_feed& feed : feeds_) {
      if (feed.how != detail::feeding::shared) continue;
      const auto all = feed.reader.all();
      if (!all) return all.error();
      if (auto converted = convert(feed, *all); !converted) return converted;
    }
    return {};
  }

  /// Fills `feed.rows`.
  result<void> convert(detail::sample_feed& feed, const any_view& rows) const {
    feed.rows.resize(rows.size() * size_of(feed.input.type));
    const status converted = visit(feed.input.type, [&]<class T>(std::type_identity<T>) {
      if constexpr (element<T>)
        return detail::convert_floats<T>(rows, feed.rows.data(),
                                         detail::normalizer(config_, feed.sample, feed.channel_axis));
      else
        return detail::convert_integers<T>(rows, feed.rows.data(), feed.input.type);
    });
    if (converted) return {};
    return detail::describe_sample(
        converted, feed.where + (feeds_.size() == 1 ? "" : ": graph input \"" + feed.input.name + "\""),
        next_, rows, feed.input.type);
  }

  data_config config_;
  std::vector<data_file> files_;  // that the feeds read
  std::vector<detail::sample_feed> feeds_;
  std::vector<named_array> batch_;
  std::vector<std::string> notes_;
  std::vector<std::string> images_;  // one a sample, where they are pictures
  batch_axes axes_;
  std::size_t total_ = 0;
  std::size_t count_ = 0;
  std::size_t batch_size_ = 0;
  std::size_t next_ = 0;
};

/// The right answers: the first axis counts samples.
struct label_array {
  tensor_shape shape;
  std::vector<std::int64_t> values;  ///< row-major
};

namespace detail {

inline result<label_array> labels_in(const data_file& file, std::size_t total) {
  const auto names = file.names();
  auto reader = file.read(names.size() == 1 ? names[0] : "labels");
  if (!reader) return reader.error();
  const tensor_shape& shape = reader->shape();
  if (is_float(reader->type()))
    return error(errc::wrong_type, file.path(),
                 std::string("labels are integers, but it holds ") + name_of(reader->type()) +
                     ". Convert: np.save(path, a.astype(\"int64\")).");
  if (shape.rank == 0)
    return error(errc::wrong_rank, file.path(), "it holds a single number; labels are one integer a sample.");
  if (shape[0] != total)
    return error(
        errc::size_mismatch, file.path(),
        "it holds " + std::to_string(shape[0]) + " labels for " + std::to_string(total) + " samples.");
  const auto rows = reader->next(total);
  if (!rows) return rows.error();
  label_array labels{shape, {}};
  labels.values.reserve(shape.size());
  for_each_element(*rows,
                   [&](auto value) { labels.values.push_back(static_cast<std::int64_t>(number_of(value))); });
  return labels;
}

}  // namespace detail

/// Reads the right answers, one integer a sample or a map of them, from the only array of a file or the one
/// named "labels".
///
/// @param total samples in the files that the labels belong to
/// @return wrong_rank, wrong_type or size_mismatch
template <class Formats>
result<label_array> read_label_array(const std::string& path, std::size_t total, Formats formats) {
  const auto file = data_file::open(path, formats);
  return file ? detail::labels_in(*file, total) : file.error();
}

/// Reads right answers of which there is one a sample.
///
/// @return as many as samples; what `read_label_array` returns, wrong_rank for maps
template <class Formats>
result<std::vector<std::int64_t>> read_labels(const std::string& path, std::size_t total, Formats formats) {
  auto labels = read_label_array(path, total, formats);
  if (!labels) return labels.error();
  if (labels->values.size() != total)
    return error(errc::wrong_rank, absolute_path(path),
                 "labels are one integer a sample, but it holds " + extents_text(labels->shape) + ".");
  return std::move(labels->values);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_SAMPLES_HPP
