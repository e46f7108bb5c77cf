// SPDX-License-Identifier: Apache-2.0
// Samples run through an engine, and what of it reaches a calibration.
#include "ptq/engine/calibrate.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "engine/toy_engine.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/model/match.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"

namespace {

using ptq::element_type;
using test::floats;

/// Three layers; the activations of the first two are quantized.
struct model {
  model() {
    ptq::spec spec;
    spec.quantize.backend = "modelopt";
    spec.quantize.mode = "static_ptq";
    spec.quantize.layers = {{"[ab]", {}, ptq::slot_config{"int8", {}}}};
    planned = ptq::match(spec, layers);
  }

  floats weight = floats(8, 0.5F);
  std::vector<ptq::layer> layers{{"a", "Linear", {weight, {4, 2}}},
                                 {"b", "Linear", {weight, {4, 2}}},
                                 {"c", "Linear", {weight, {4, 2}}}};
  ptq::plan planned;
};

const ptq::fed_layers fed{{"h", {"b"}}, {"x", {"c", "a"}}};

/// Hands its input on as x; h is ten times as large.
test::toy_engine sound_engine() {
  test::toy_engine engine;
  engine.makes["x"] = [](const floats& x) { return test::rows_of(x, 2); };
  engine.makes["h"] = [](floats x) {
    for (float& value : x) value *= 10;
    return test::rows_of(x, 2);
  };
  return engine;
}

struct outcome {
  ptq::result<void> ran;
  ptq::layer_statistics seen;
};

template <class Progress = ptq::no_progress>
outcome calibrate(test::toy_engine& engine, const test::toy_samples& data, Progress&& progress = {},
                  const ptq::fed_layers& feeds = fed) {
  ptq::calibration seen(model().planned);
  auto samples = data.open();
  auto ran = ptq::calibrate(engine, samples, feeds, seen, progress);
  return {ran, seen.collected()};
}

/// What layer b has seen where `h` is this tensor, whatever the sample.
ptq::statistics<> seen_of(const test::made_tensor& h) {
  test::toy_engine engine = sound_engine();
  engine.makes["h"] = [&](const floats&) { return h; };
  const auto [ran, seen] = calibrate(engine, test::toy_samples(test::counting(1)));
  INFO(ran.error().what);
  CHECK(ran);
  return seen.at("b");
}

}  // namespace

TEST_CASE("each layer sees the tensor that feeds it, for every sample, in whatever batches") {
  for (const std::size_t batch : {1U, 4U, 10U, 64U}) {
    for (const bool is_alone : {false, true}) {
      test::toy_engine engine = sound_engine();
      engine.is_alone = is_alone;
      const auto [ran, seen] = calibrate(engine, test::toy_samples(test::counting(10), batch));
      CHECK(ran);
      CHECK(engine.runs == (10 + batch - 1) / batch);
      REQUIRE(seen.size() == 2);
      CHECK(seen.at("a").count == 20);
      CHECK(seen.at("a").absmax == 9.0F);
      CHECK(seen.at("b").count == 20);
      CHECK(seen.at("b").absmax == 90.0F);
    }
  }
}

TEST_CASE("a tensor is read along its strides, not along its memory") {
  constexpr float gap = 1e6F;
  const floats padded{1, 2, gap, gap, -3, 4, gap, gap};
  const auto rows = seen_of({element_type::float32, padded, {2, 2}, {4, 1}, 0});
  CHECK(rows.count == 4);
  CHECK(rows.absmax == 4.0F);
  const auto columns = seen_of({element_type::float32, padded, {2, 2}, {1, 4}, 0});
  CHECK(columns.absmax == 4.0F);
  const auto backward = seen_of({element_type::float32, padded, {2}, {-4}, 4});
  CHECK(backward.count == 2);
  CHECK(backward.absmax == 3.0F);
}

TEST_CASE("floats of every width, at any address") {
  CHECK(seen_of({element_type::bfloat16, std::vector<ptq::bfloat16>{{0x3F80}, {0xC0A0}}, {1, 2}}).absmax ==
        5.0F);
  CHECK(seen_of({element_type::float16, std::vector<ptq::half>{{0x3C00}, {0xC500}}, {1, 2}}).absmax == 5.0F);
  CHECK(seen_of({element_type::float64, std::vector{1.0, -5.0}, {1, 2}}).absmax == 5.0F);
  std::vector<unsigned char> odd(9);
  const float values[] = {1.0F, -5.0F};
  std::memcpy(odd.data() + 1, values, sizeof values);
  CHECK(seen_of({element_type::float32, odd, {1, 2}, {2, 1}, 1}).absmax == 5.0F);
}

TEST_CASE("the sample is named that makes a number no number") {
  const std::string advice =
      ", which the graph makes of a finite sample. Leave the sample out, or the layer's activations as "
      "floats "
      "(activations: {dtype: native}).";
  for (const bool is_alone : {false, true}) {
    test::toy_engine engine = sound_engine();
    engine.is_alone = is_alone;
    engine.makes["h"] = [](floats x) {
      for (float& value : x) value = 1 / (value - 6);
      return test::rows_of(x, 2);
    };
    const test::toy_samples data(test::counting(10));
    CHECK(test::says(calibrate(engine, data).ran.error(), ptq::errc::not_finite,
                     data.path() + ": sample 6: layer \"b\": its input[0, 0] is infinite" + advice));
  }

  SUBCASE("or is beyond what a network makes") {
    test::toy_engine engine = sound_engine();
    engine.makes["x"] = [](floats x) {
      for (float& value : x)
        if (value == 3) value = std::numeric_limits<float>::lowest();
      return test::rows_of(x, 2);
    };
    const test::toy_samples data(test::counting(10));
    CHECK(test::says(
        calibrate(engine, data).ran.error(), ptq::errc::not_finite,
        data.path() + ": sample 3: layer \"a\": its input[0, 0] is -3.4028e+38, beyond 1e36" + advice));
  }
  SUBCASE("a batch, where none of its samples alone does it") {
    test::toy_engine engine = sound_engine();
    engine.makes["x"] = [](floats x) {
      if (x.size() == 8 && x[0] == 4) x[5] = std::numeric_limits<float>::quiet_NaN();
      return test::rows_of(x, 2);
    };
    const test::toy_samples data(test::counting(10));
    CHECK(test::says(
        calibrate(engine, data).ran.error(), ptq::errc::not_finite,
        data.path() + ": sample 4 and the 3 behind it: layer \"a\": its input[2, 1] is NaN" + advice));
    CHECK(engine.runs == 2 + 4);
  }
  SUBCASE("or was none in the file") {
    floats values = test::counting(10);
    values[11] = std::numeric_limits<float>::infinity();
    test::toy_engine engine = sound_engine();
    const test::toy_samples data(values);
    CHECK(test::says(calibrate(engine, data).ran.error(), ptq::errc::not_finite,
                     data.path() +
                         ": sample 5, element [1] is NaN or infinite as float32. Repair the data, or leave "
                         "the sample out."));
    CHECK(engine.runs == 1);
  }
}

TEST_CASE("what else is wrong is passed on as it is, at once") {
  const test::toy_samples data(test::counting(10));
  test::toy_engine engine = sound_engine();
  SUBCASE("by the engine") {
    engine.fails = ptq::error(ptq::errc::unsupported, "node 3", "no kernel.");
    CHECK(test::says(calibrate(engine, data).ran.error(), ptq::errc::unsupported, "node 3: no kernel."));
  }
  SUBCASE("by the calibration") {
    engine.makes["h"] = [](const floats&) {
      return test::made_tensor(element_type::int32, std::vector<std::int32_t>{1, 2}, {1, 2});
    };
    CHECK(test::says(calibrate(engine, data).ran.error(), ptq::errc::unsupported,
                     "layer \"b\": its input is not a floating-point tensor."));
  }
  SUBCASE("of what feeds which layer") {
    engine.makes["z"] = engine.makes["x"];
    CHECK(test::says(calibrate(engine, data, ptq::no_progress(), {{"z", {"d"}}}).ran.error(),
                     ptq::errc::unknown_word, "the plan has no layer \"d\". Did you mean \"a\"?"));
  }
  SUBCASE("an engine that takes other names") {
    engine.renames["x"] = "y";
    CHECK(test::says(calibrate(engine, data).ran.error(), ptq::errc::tensor_not_found,
                     "tensor \"y\": the engine hands it over, but it was not asked for."));
  }
  CHECK(engine.runs == 1);
}

TEST_CASE("the caller is told of every batch, and may stop") {
  const test::toy_samples data(test::counting(10));
  test::toy_engine engine = sound_engine();
  std::vector<std::size_t> told;
  CHECK(calibrate(engine, data, [&](std::size_t done) { told.push_back(done); }).ran);
  CHECK(told == std::vector<std::size_t>{0, 4, 8, 10});

  engine.runs = 0;
  const auto stopped = calibrate(engine, data, [](std::size_t done) -> ptq::result<void> {
    if (done < 8) return {};
    return ptq::error(ptq::errc::stopped, {}, "interrupted.");
  });
  CHECK(test::says(stopped.ran.error(), ptq::errc::stopped, "interrupted."));
  CHECK(engine.runs == 2);
  CHECK(stopped.seen.at("a").count == 16);

  engine.runs = 0;
  const auto refused = calibrate(engine, data, [](std::size_t done) {
    return done < 4 ? ptq::status() : ptq::status{ptq::errc::stopped, 7};
  });
  CHECK(test::says(refused.ran.error(), ptq::errc::stopped, "the run was stopped when 4 samples were done."));
  CHECK(refused.ran.error().at == 7);
  CHECK(engine.runs == 1);

  engine.runs = 0;
  CHECK_FALSE(calibrate(engine, data, [](std::size_t) { return ptq::status{ptq::errc::stopped}; }).ran);
  CHECK(engine.runs == 0);
}
