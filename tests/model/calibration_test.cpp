// SPDX-License-Identifier: Apache-2.0
// Inputs pushed into a calibration, the ranges that come out, and the scales that `apply` hands to a sink.
#include "ptq/model/calibration.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/match.hpp"

namespace {

using floats = std::vector<float>;

/// Two layers whose activations are quantized, to int8 and to fp8, and two others.
struct model {
  model() {
    spec.quantize.backend = "modelopt";
    spec.quantize.mode = "static_ptq";
    spec.quantize.layers = {{"a", ptq::slot_config{"int8", {}}, ptq::slot_config{"int8", {}}},
                            {"b", {}, ptq::slot_config{"fp8_e4m3fn", {}}},
                            {"c", ptq::slot_config{"int8", {}}, {}}};
    planned = ptq::match(spec, layers);
  }

  floats weight = test::bell(12, 1.0F, 1);
  std::vector<ptq::layer> layers{{"a", "Linear", {weight, {3, 4}}},
                                 {"b", "Linear", {weight, {3, 4}}},
                                 {"c", "Linear", {weight, {3, 4}}},
                                 {"d", "Linear", {weight, {3, 4}}}};
  ptq::spec spec;
  ptq::plan planned;
};

std::vector<ptq::activation_range> ranges_of(const ptq::calibration& calibration,
                                             const ptq::calibration_config& settings = {}) {
  const auto found = calibration.ranges(settings);
  INFO(found.error().what);
  REQUIRE(found.has_value());
  return *found;
}

bool push(ptq::calibration& calibration, const char* layer, const floats& inputs) {
  return calibration.collect(layer, inputs).has_value();
}

ptq::calibration_config with(const char* algorithm) {
  ptq::calibration_config settings;
  settings.algorithm = algorithm;
  return settings;
}

}  // namespace

TEST_CASE("the largest inputs of the layers that need them, in the order of the plan") {
  const model m;
  ptq::calibration calibration(m.planned);
  CHECK(calibration.collected().size() == 2);
  CHECK(push(calibration, "b", floats{7.0F}));
  CHECK(push(calibration, "a", floats{1.0F, -3.0F, 2.0F, 0.5F}));
  const std::vector<double> doubles{0.25, 1e-300};
  CHECK(calibration.collect("a", {doubles, {2, 1}}).has_value());
  CHECK(push(calibration, "d", floats{99.0F}));  // needs no range

  const auto found = ranges_of(calibration);
  REQUIRE(found.size() == 2);
  CHECK(found[0].layer == 0);
  CHECK(std::string(found[0].algorithm) == "minmax");
  CHECK(found[0].range == ptq::range{3.0F, ptq::range_reason::found});
  CHECK(found[0].scale == 3.0F / 127.0F);
  CHECK(found[0].count == 6);
  CHECK(found[0].clipped == 0);
  CHECK(found[1].layer == 1);
  CHECK(found[1].range.amax == 7.0F);
  CHECK(found[1].scale == 7.0F / 448.0F);
}

TEST_CASE("values that become 0 are counted in whole bins") {
  const model m;
  ptq::calibration calibration(m.planned);
  // A step of int8 is 100 / 127, bins are 1/32 wide: below half a step, 0.394, lie twelve of them, up to
  // 0.375.
  const floats inputs{100.0F, 0.0F, 0.1F, -0.374F, 0.375F, -0.39F, 0.5F};
  CHECK(push(calibration, "a", inputs));
  CHECK(push(calibration, "b", inputs));
  const auto found = ranges_of(calibration);
  CHECK(found[0].near_zero == 3);
  CHECK(found[0].near_zero_below == 0.375F);
  // The smallest numbers of fp8 lie inside the first bin.
  CHECK(found[1].near_zero == 0);
  CHECK(found[1].near_zero_below == 0.0F);
}

TEST_CASE("the sink gets the range with the weight") {
  const model m;
  ptq::calibration calibration(m.planned);
  CHECK(push(calibration, "a", floats{-2.0F}));
  CHECK(push(calibration, "b", floats{0.0F}));
  const auto found = ranges_of(calibration);
  CHECK(found[1].range == ptq::range{0, ptq::range_reason::all_zero});
  CHECK(found[1].scale == 1);

  std::string seen;
  const auto done = ptq::apply(m.planned, m.layers, found, [&](const ptq::quantized_layer& q) {
    seen += q.source.name;
    if (q.source.name == "a") CHECK(q.input == &found[0]);
    if (q.source.name == "c") CHECK(q.input == nullptr);
  });
  CHECK(done.has_value());
  CHECK(seen == "ac");
}

TEST_CASE("a layer whose inputs were never seen is an error that names it") {
  const model m;
  ptq::calibration calibration(m.planned);
  CHECK(push(calibration, "a", floats{-2.0F}));
  const auto found = ranges_of(calibration);
  CHECK(found[1].range.reason == ptq::range_reason::no_data);
  const auto check = [&](std::span<const ptq::activation_range> inputs) {
    const auto done = ptq::apply(m.planned, m.layers, inputs, [](const ptq::quantized_layer&) {});
    REQUIRE(!done.has_value());
    CHECK(done.error().code == ptq::errc::no_data);
    CHECK(done.error().what ==
          "layer \"b\": its activations are to be quantized, but calibration never saw its inputs. Collect "
          "them, or "
          "take the layer out with skip_names.");
  };
  check(found);
  check(std::span(found).first(1));
}

TEST_CASE("NaN, foreign elements, too many axes and unknown layers are refused") {
  const model m;
  ptq::calibration calibration(m.planned);
  floats values(6, 1.0F);
  values[4] = std::numeric_limits<float>::quiet_NaN();
  auto taken = calibration.collect("a", {values, {2, 3}});
  REQUIRE(!taken.has_value());
  CHECK(taken.error().code == ptq::errc::not_finite);
  CHECK(taken.error().at == 4);
  CHECK(taken.error().what ==
        "layer \"a\": its input[1, 1] is NaN or infinite. Repair the calibration data.");
  CHECK(calibration.collected().at("a").count == 0);

  const std::vector<double> wide{1, -1e300};
  CHECK(calibration.collect("a", wide).error().what ==
        "layer \"a\": its input[1] does not fit float32. Repair the calibration data.");

  taken = calibration.collect("a", ptq::any_view(values.data(), {}, {6}));
  REQUIRE(!taken.has_value());
  CHECK(taken.error().what == "layer \"a\": its input is not a floating-point tensor.");

  taken = calibration.collect("a", {values, {2, 4}});
  REQUIRE(!taken.has_value());
  CHECK(taken.error().code == ptq::errc::size_mismatch);
  CHECK(taken.error().what ==
        "layer \"a\": its input lies in memory of 6 elements, but its shape [2, 4] has 8.");

  const std::vector<std::size_t> nine(9, 1);
  taken = calibration.collect("a", {values.data(), ptq::element_type::float32, ptq::tensor_shape(nine)});
  REQUIRE(!taken.has_value());
  CHECK(taken.error().code == ptq::errc::wrong_rank);
  CHECK(taken.error().what == "layer \"a\": its input has 9 axes; 8 is the most that ptq can view.");

  ptq::plan planned = m.planned;
  planned.layers[0].name = "encoder.query";
  taken = ptq::calibration(planned).collect("encoder.qeury", values);
  REQUIRE(!taken.has_value());
  CHECK(taken.error().what == "the plan has no layer \"encoder.qeury\". Did you mean \"encoder.query\"?");
}

TEST_CASE("algorithms: the plan's word, the settings' word, and a wrong one") {
  model m;
  m.planned.algorithm = "entropy";
  ptq::calibration calibration(m.planned);
  floats inputs = test::bell(200000, 1.0F, 3, 12);
  inputs.insert(inputs.end(), 20, -30.0F);
  CHECK(calibration.collect("a", inputs).has_value());
  CHECK(push(calibration, "b", floats{1.0F}));

  const auto entropy = ranges_of(calibration)[0];
  CHECK(std::string(entropy.algorithm) == "entropy");
  CHECK(entropy.range.amax < 6.0F);
  CHECK(entropy.clipped >= 20);
  CHECK(entropy.clipped < 200);
  CHECK(ranges_of(calibration, with("minmax"))[0].range.amax == 30.0F);

  ptq::calibration_config settings = with("percentile");
  const float usual = ranges_of(calibration, settings)[0].range.amax;
  settings.percentile = 50;
  const auto half = ranges_of(calibration, settings)[0];
  CHECK(half.range.amax < usual / 2);
  CHECK(half.clipped >= 100000);
  CHECK(half.clipped < 105000);

  m.planned.algorithm = "entropi";
  const auto found = ptq::calibration(m.planned).ranges();
  REQUIRE(!found.has_value());
  CHECK(found.error().what == "there is no calibration algorithm \"entropi\". Did you mean \"entropy\"?");
}

TEST_CASE("fewer bins give the answer of statistics that were collected in so many") {
  model m;
  ptq::calibration calibration(m.planned);
  const floats inputs = test::bell(20000, 1.0F, 5);
  CHECK(calibration.collect("a", inputs).has_value());
  ptq::statistics<512> coarse;
  CHECK(coarse.collect(inputs) == ptq::status{});
  for (const char* word : {"entropy", "percentile", "mse"}) {
    ptq::calibration_config settings = with(word);
    settings.bins = 512;
    const ptq::range found = ranges_of(calibration, settings)[0].range;
    const ptq::range expected = settings.algorithm == "entropy"      ? ptq::entropy{}.range(coarse)
                                : settings.algorithm == "percentile" ? ptq::percentile{}.range(coarse)
                                                                     : ptq::mse{}.range(coarse);
    CAPTURE(word);
    CHECK(found == expected);
  }
}

TEST_CASE("parts that are merged give what one run gives") {
  const model m;
  const floats inputs = test::bell(1000, 1.0F, 7);
  ptq::calibration whole(m.planned);
  ptq::calibration first(m.planned);
  ptq::calibration second(m.planned);
  CHECK(whole.collect("a", inputs).has_value());
  CHECK(push(first, "a", floats(inputs.begin(), inputs.begin() + 300)));
  CHECK(push(second, "a", floats(inputs.begin() + 300, inputs.end())));
  first.merge(second.collected());
  CHECK(first.collected() == whole.collected());

  ptq::layer_statistics foreign;
  CHECK(foreign["elsewhere"].collect(floats{1.0F}) == ptq::status{});
  first.merge(foreign);
  CHECK(first.collected() == whole.collected());
}
