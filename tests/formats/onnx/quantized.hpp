// SPDX-License-Identifier: Apache-2.0
/// @file quantized.hpp Plans for ONNX models, made by hand and carried out.
#ifndef PTQ_TESTS_ONNX_QUANTIZED_HPP
#define PTQ_TESTS_ONNX_QUANTIZED_HPP

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/onnx/models.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/plan.hpp"

/// A model with decisions about its layers. The model must outlive it.
struct job {
  const ptq::onnx_model* model;
  ptq::onnx_layers layers;
  ptq::plan planned;
  std::vector<float> input_scales;
  std::vector<std::string> notes;  ///< of the writer

  explicit job(const ptq::onnx_model& source) : model(&source) {
    auto found = ptq::layers_of(source);
    REQUIRE(found);
    layers = *std::move(found);
    planned.backend = "modelopt";
    planned.layers.resize(layers.layers.size());
    for (std::size_t i = 0; i < layers.layers.size(); ++i) {
      planned.layers[i].name = layers.layers[i].name;
      planned.layers[i].shape = layers.layers[i].weight.shape;
    }
    input_scales.resize(layers.layers.size());
  }

  void quantize_weight(std::size_t layer, const std::string& dtype) {
    planned.layers[layer].weights.dtype = dtype;
    planned.layers[layer].weights.grain = ptq::per_channel(layers.layers[layer].output_axis.value_or(0));
  }

  /// Of all layers whose weights ptq can quantize.
  void quantize_weights(const std::string& dtype) {
    for (std::size_t i = 0; i < layers.layers.size(); ++i)
      if (layers.layers[i].output_axis && layers.layers[i].weight.has_floats()) quantize_weight(i, dtype);
  }

  /// Of a layer that ptq can quantize.
  void quantize_input(std::size_t layer, const std::string& dtype, float scale) {
    if (!layers.layers[layer].reason.empty()) return;
    planned.layers[layer].activations.dtype = dtype;
    input_scales[layer] = scale;
  }

  /// As calibration would give them.
  std::vector<ptq::activation_range> ranges() const {
    std::vector<ptq::activation_range> made;
    for (std::size_t i = 0; i < input_scales.size(); ++i)
      if (planned.layers[i].activations.is_quantized()) {
        made.emplace_back().layer = i;
        made.back().scale = input_scales[i];
        made.back().range = {1.0F, ptq::range_reason::found};
      }
    return made;
  }

  /// Writes, and reads what was written.
  ptq::onnx_model write(const std::string& path, std::uint64_t largest_file = ptq::largest_onnx_file) {
    auto writer = ptq::onnx_writer::create(path, *model, layers, planned, ptq::onnx_code_types_of<>(),
                                           input_scales, largest_file);
    INFO(writer.error().what);
    REQUIRE(writer);
    CHECK(ptq::apply(planned, layers.layers, [&](const ptq::quantized_layer& q) {
      const auto written = writer->write(q);
      CHECK(written);
    }));
    auto made = writer->finish();
    REQUIRE(made);
    notes = made->notes();
    const auto committed = made->commit();
    CHECK(committed);
    return read_model(path);
  }

  /// The message with which writing is refused.
  std::string refused(const std::string& path, std::uint64_t largest_file = ptq::largest_onnx_file) const {
    const auto writer = ptq::onnx_writer::create(path, *model, layers, planned, ptq::onnx_code_types_of<>(),
                                                 input_scales, largest_file);
    REQUIRE_FALSE(writer);
    return writer.error().what;
  }
};

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

#endif  // PTQ_TESTS_ONNX_QUANTIZED_HPP
