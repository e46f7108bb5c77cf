// SPDX-License-Identifier: Apache-2.0
// Find the ranges of activations with an engine of your own (10_calibrate.hpp). Run it in this folder.
#include "10_calibrate.hpp"

#include <cstdio>

#include "ptq/engine/calibrate.hpp"
#include "ptq/formats/numpy/npy.hpp"

int main() {
  two_layers engine;
  ptq::data_config data;
  data.inputs["picture"] = "models/lenet-digits/calib.npy";
  data.scale = {1.0 / 255};
  auto samples = ptq::samples::open(data, engine.inputs(), ptq::list<ptq::npy>());
  if (!samples) return std::puts(samples.error().what.c_str()), 1;

  ptq::spec spec;  // or ptq::read_spec("spec.yaml")
  spec.quantize.backend = "modelopt";
  spec.quantize.mode = "static_ptq";
  spec.quantize.layers = {{"Linear", ptq::slot_config{"int8", {}}, ptq::slot_config{"int8", {}}}};
  const ptq::plan plan = ptq::match(spec, engine.layers());
  ptq::calibration seen(plan);
  const auto done = ptq::calibrate(engine, *samples, {{"x", {"dense1"}}, {"h", {"dense2"}}}, seen);
  if (!done) return std::puts(done.error().what.c_str()), 1;

  const auto ranges = seen.ranges();  // for ptq::apply(plan, engine.layers(), *ranges, sink)
  if (!ranges) return std::puts(ranges.error().what.c_str()), 1;
  for (const ptq::activation_range& input : *ranges)
    std::printf("%s: amax %.3f, scale %.6f\n", plan.layers[input.layer].name.c_str(),
                static_cast<double>(input.range.amax), static_cast<double>(input.scale));
}
