// SPDX-License-Identifier: Apache-2.0
/// @file recorded.hpp Recorded activations: the inputs of layers in a file, keyed by layer name. With them no
/// engine is needed to calibrate.
#ifndef PTQ_IO_RECORDED_HPP
#define PTQ_IO_RECORDED_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/io/array.hpp"
#include "ptq/io/data_file.hpp"
#include "ptq/io/scalars.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// A callable that takes the inputs of a layer, a batch at a time. Each view is valid until it returns. An
/// error stops the reading and is passed on.
template <class Sink>
concept activation_sink =
    requires(Sink& sink, std::string_view layer, const tensor_view<const float>& batch) {
      { sink(layer, batch) } -> std::same_as<result<void>>;
    };

/// Reads the recorded inputs of layers, one layer after the other, each in batches of `batch_size` up to
/// `max_samples`. Memory is bounded by a batch.
///
/// @param data    `activations` is the file: .npz or .safetensors with one array a layer under its name, or
///               .npy for a single layer; the first axis counts samples
/// @param layers  the names of the layers that need a range
/// @param formats the formats that the file may have
/// @return tensor_not_found for a layer that is not in the file; not_finite with file, layer, sample and
///         index; wrong_rank for a single number; no_data where there are no samples
template <class Formats, activation_sink Sink>
result<void> read_recorded(const data_config& data, std::span<const std::string> layers, Formats formats,
                           Sink&& sink) {
  const auto file = data_file::open(data.activations, formats);
  if (!file) return file.error();
  const auto names = file->names();
  const bool is_unnamed = layers.size() == 1 && names.size() == 1 && names[0].empty();
  std::vector<float> values;
  for (const std::string& layer : layers) {
    const std::string where = file->path() + ": layer \"" + layer + "\"";
    auto reader = file->read(is_unnamed ? std::string_view() : std::string_view(layer));
    if (!reader) {
      error lacking = reader.error();
      if (lacking.code == errc::tensor_not_found)
        lacking.what += " Record the inputs of every layer whose activations are to be quantized.";
      return lacking;
    }
    if (reader->shape().rank == 0)
      return error(errc::wrong_rank, where, "it is a single number; the first axis must count the samples.");
    const std::size_t count = (std::min)(reader->shape()[0], data.max_samples.value_or(reader->shape()[0]));
    if (count == 0) return error(errc::no_data, where, "there are no samples.");
    const std::size_t step = (std::max<std::size_t>)(data.batch_size, 1);
    for (std::size_t first = 0; first < count; first += step) {
      const auto rows = reader->next((std::min)(step, count - first));
      if (!rows) return rows.error();
      values.resize(rows->size());
      const status converted = detail::convert_floats<float>(
          *rows, std::as_writable_bytes(std::span(values)).data(), [](double x, std::size_t) { return x; });
      if (!converted) return detail::describe_sample(converted, where, first, *rows, scalar_type::float32);
      if (auto taken = sink(std::string_view(layer), tensor_view<const float>(values.data(), rows->shape));
          !taken)
        return taken;
    }
  }
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_RECORDED_HPP
