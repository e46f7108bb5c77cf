// SPDX-License-Identifier: Apache-2.0
// lenet-digits with int8 weights and inputs, as the command makes it with examples/specs/static.yaml.
#ifndef PTQ_TESTS_ENGINE_STATIC_LENET_HPP
#define PTQ_TESTS_ENGINE_STATIC_LENET_HPP

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "engine/goldens.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/calibrate.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/match.hpp"

/// Writes the artifact.
inline void write_static_lenet(const std::string& path) {
  const std::string folder = models + "lenet-digits/";
  auto model = ptq::read_onnx(folder + "model.onnx");
  REQUIRE(model);
  const auto layers = ptq::layers_of(*model);
  REQUIRE(layers);
  ptq::spec wanted;
  wanted.quantize.backend = "modelopt";
  wanted.quantize.mode = "static_ptq";
  for (const char* name : {"Conv2d", "Linear"})
    wanted.quantize.layers.push_back({name, ptq::slot_config{"int8", {}}, ptq::slot_config{"int8", {}}});
  const ptq::plan plan = ptq::match(wanted, layers->layers);

  tiny::engine reference = load_engine(folder + "model.onnx");
  ptq::data_config data;
  data.inputs[""] = folder + "calib.npy";
  data.scale = {0.00392156862745098};  // 1 / 255
  auto samples = ptq::samples::open(data, reference.inputs(), data_formats);
  REQUIRE(samples);
  ptq::calibration seen(plan);
  const auto fed = ptq::fed_layers_of(model->graph, *layers, plan);
  const auto calibrated = ptq::calibrate(reference, *samples, fed, seen);
  INFO(calibrated.error().what);
  REQUIRE(calibrated);
  const auto ranges = seen.ranges();
  REQUIRE(ranges);
  auto written = ptq::write_onnx(path, *model, *layers, plan, [](const ptq::quantized_layer&) {}, *ranges);
  REQUIRE(written);
  REQUIRE(written->commit());
}

#endif  // PTQ_TESTS_ENGINE_STATIC_LENET_HPP
