// SPDX-License-Identifier: Apache-2.0
// Plans carried out over layers of different tensor types.
#include "ptq/model/apply.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/report/zeroed_channels.hpp"

namespace {

/// A user's dtype with codes of two bytes.
struct int12 {
  static constexpr const char* name = "int12";
  using storage = std::int16_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 2047.0F;
  static constexpr float lowest = -2048.0F;

  static storage encode(float value) noexcept {
    return static_cast<storage>(std::lrint(std::clamp(value, lowest, max_finite)));
  }
  static float decode(storage code) noexcept { return static_cast<float>(code); }
};

/// A user's backend: powers of two would do, but one scale for everything is easy to check.
struct eighths {
  static constexpr const char* name = "eighths";
  static constexpr const char* mode = "weight_only_ptq";
  static constexpr bool activations = false;
  template <ptq::dtype D>
  static constexpr ptq::recipe numbers{0x1p100F, 0.125F, ptq::arithmetic::divide, ptq::per_tensor()};
};

struct my_policies : ptq::builtin {
  using dtypes = ptq::list<ptq::int8, int12>;
  using backends = ptq::list<ptq::torchao, eighths>;
};

std::vector<float> ramp(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = (static_cast<float>(i * 29 % size) - 7.0F) * 0.25F;
  return values;
}

/// A plan that quantizes the weights of all layers to one dtype.
ptq::plan plan_for(const std::vector<ptq::layer>& layers, std::string dtype, std::string backend) {
  ptq::plan plan;
  plan.backend = std::move(backend);
  for (const ptq::layer& layer : layers) {
    ptq::planned_layer planned;
    planned.name = layer.name;
    planned.shape = layer.weight.shape;
    planned.weights.dtype = dtype;
    plan.layers.push_back(planned);
  }
  return plan;
}

/// What a sink saw.
struct seen {
  std::string name;
  std::vector<std::byte> codes;
  std::vector<float> scales;
};

template <class D, class B, class Tensor>
void check_as_instantiated(const seen& got, const Tensor& tensor) {
  CAPTURE(got.name);
  const auto view = ptq::view_of(tensor);
  std::vector<typename D::storage> codes(view.size());
  std::vector<float> scales(ptq::scale_count(view.shape, ptq::recipe_of<D, B>.weights));
  REQUIRE(ptq::quantize<D, B>(tensor, codes, scales));
  const auto bytes = std::as_bytes(std::span(codes));
  CHECK(std::equal(bytes.begin(), bytes.end(), got.codes.begin(), got.codes.end()));
  CHECK(scales == got.scales);
}

}  // namespace

TEST_CASE("layers of different tensor types give what their types give") {
  const std::vector<float> flat = ramp(24);
  const ptq::tensor_view<const float> row_major(flat.data(), {4, 6});
  const ptq::tensor_view<const float> column_major(flat.data(), {4, 6}, {1, 4});
  const ptq::tensor_view<const float> reversed(&flat[23], {3, 4}, {-8, -2});
  std::array<std::array<double, 3>, 2> doubles{{{1, -2, 3}, {0.5, 7, -6}}};
  std::vector<ptq::half> halves;
  for (const float value : flat) halves.push_back(ptq::half::from_float(value));
  const ptq::tensor_view<const ptq::half> half_view(halves.data(), {6, 4});

  const std::vector<ptq::layer> layers{{"flat", "Linear", {flat, {4, 6}}},
                                       {"columns", "Linear", column_major},
                                       {"reversed", "Linear", reversed},
                                       {"doubles", "Linear", doubles},
                                       {"halves", "Linear", half_view}};
  const auto check = [&]<class D, class B>(D, B) {
    std::vector<seen> all;
    REQUIRE(ptq::apply(plan_for(layers, D::name, B::name), layers, [&](const ptq::quantized_layer& q) {
      all.push_back({q.source.name, {q.codes.begin(), q.codes.end()}, {q.scales.begin(), q.scales.end()}});
      CHECK(q.codes_as<D>().size() == q.source.weight.size());
      CHECK(q.planned.name == q.source.name);
      CHECK(ptq::quantization_error(q).sqnr_db > 10);
    }));
    REQUIRE(all.size() == 5);
    check_as_instantiated<D, B>(all[0], row_major);
    check_as_instantiated<D, B>(all[1], column_major);
    check_as_instantiated<D, B>(all[2], reversed);
    check_as_instantiated<D, B>(all[3], doubles);
    check_as_instantiated<D, B>(all[4], half_view);
  };
  check(ptq::int8{}, ptq::torchao{});
  check(ptq::fp8_e4m3fn{}, ptq::torchao{});
  check(ptq::int8{}, ptq::modelopt{});
  check(ptq::fp8_e5m2{}, ptq::modelopt{});
}

TEST_CASE("the plan decides which layers, in which granularity; a backend word may name its flavour") {
  const std::vector<float> flat = ramp(24);
  const std::vector<ptq::layer> layers{{"a", "Linear", {flat, {4, 6}}},
                                       {"b", "Linear", {flat, {4, 6}}},
                                       {"c", "Linear", {flat, {4, 6}}},
                                       {"bias", "", {}}};
  ptq::plan plan = plan_for(layers, "int8", "modelopt.onnx");
  plan.layers[1].weights.dtype = "native";
  plan.layers[2].weights.grain = ptq::per_channel(1);
  plan.layers[3].weights.dtype = "native";
  std::string names;
  std::vector<std::size_t> scale_counts;
  REQUIRE(ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) {
    names += q.source.name;
    scale_counts.push_back(q.scales.size());
  }));
  CHECK(names == "ac");
  CHECK(scale_counts == std::vector<std::size_t>{4, 6});
}

TEST_CASE("codes lie as the source does") {
  const std::vector<float> flat{1, 4, 2, 5, 3, 127};  // [[1, 2, 3], [4, 5, 127]], column-major
  const std::vector<ptq::layer> layers{
      {"fc", "Linear", ptq::tensor_view<const float>(flat.data(), {2, 3}, {1, 2})}};
  ptq::plan plan = plan_for(layers, "int8", "modelopt");
  plan.layers[0].weights.grain = ptq::per_tensor();
  std::vector<std::int8_t> engine;
  REQUIRE(ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) {
    const auto codes = q.codes_as<ptq::int8>();
    engine.assign(codes.begin(), codes.end());
    CHECK(q.code_strides == ptq::tensor_strides{1, 2});
    CHECK(q.scales[0] == 1.0F);
  }));
  CHECK(engine == std::vector<std::int8_t>{1, 4, 2, 5, 3, 127});
}

TEST_CASE("a sink may stop the run") {
  const std::vector<float> flat = ramp(6);
  const std::vector<ptq::layer> layers{{"a", "Linear", {flat, {2, 3}}}, {"b", "Linear", {flat, {2, 3}}}};
  const ptq::plan plan = plan_for(layers, "int8", "torchao");
  int calls = 0;
  SUBCASE("with a status") {
    const auto done = ptq::apply(plan, layers, [&](const ptq::quantized_layer&) {
      ++calls;
      return ptq::status{ptq::errc::stopped, 7};
    });
    CHECK(!done);
    CHECK(done.error().code == ptq::errc::stopped);
    CHECK(done.error().at == 7);
    CHECK(done.error().what == "layer \"a\": the sink stopped the run.");
    CHECK(calls == 1);
  }
  SUBCASE("with words of its own") {
    const auto done = ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) -> ptq::result<void> {
      ++calls;
      if (q.source.name == "a") return {};
      return ptq::error(ptq::errc::cannot_write, "out.bin", "the disk is full.");
    });
    CHECK(!done);
    CHECK(done.error().code == ptq::errc::cannot_write);
    CHECK(done.error().what == "out.bin: the disk is full.");
    CHECK(calls == 2);
  }
  SUBCASE("or let it go on") {
    CHECK(ptq::apply(plan, layers, [&](const ptq::quantized_layer&) { return ++calls, ptq::status{}; }));
    CHECK(calls == 2);
  }
}

TEST_CASE("a bundle of policies brings its own dtypes and backends") {
  const std::vector<float> flat{0.5F, -1, 3.75F, -300, 255.875F, 300};
  const std::vector<ptq::layer> layers{{"fc", "Linear", {flat, {2, 3}}}};
  std::vector<std::int16_t> codes;
  float scale = 0;
  REQUIRE(ptq::apply<my_policies>(
      plan_for(layers, "int12", "eighths"), layers, [&](const ptq::quantized_layer& q) {
        CHECK(q.codes.size() == 12);
        codes.assign(q.codes_as<int12>().begin(), q.codes_as<int12>().end());
        scale = q.scales[0];
        CHECK(ptq::quantization_error(q).clipped_share == doctest::Approx(2.0 / 6));
      }));
  CHECK(scale == 0.125F);
  CHECK(codes == std::vector<std::int16_t>{4, -8, 30, -2048, 2047, 2047});

  SUBCASE("and a dtype gets every backend's numbers") {
    REQUIRE(ptq::apply<my_policies>(plan_for(layers, "int12", "torchao"), layers,
                                    [](const ptq::quantized_layer& q) {
                                      CHECK(q.scales.size() == 2);
                                      CHECK(q.scales[1] == 300.0F / 2047.5F);
                                    }));
  }
}

TEST_CASE("what cannot be done is said, with the layer's name") {
  std::vector<float> flat = ramp(24);
  std::vector<ptq::layer> layers{{"stem", "Linear", {flat, {4, 6}}}, {"head", "Conv1d", {flat, {2, 3, 4}}}};
  ptq::plan plan = plan_for(layers, "int8", "torchao");
  const auto error = [&] {
    const auto done = ptq::apply(plan, layers, [](const ptq::quantized_layer&) {});
    CHECK(!done);
    return done.error();
  };
  const auto text_of = [&] { return error().what; };
  SUBCASE("NaN, at its index") {
    plan.layers[0].weights.dtype = "native";
    flat[1 * 12 + 2 * 4 + 3] = std::numeric_limits<float>::quiet_NaN();
    CHECK(text_of() ==
          "layer \"head\": weight[1, 2, 3] is NaN or infinite. Repair the checkpoint, or leave the layer out "
          "with skip_names.");
  }
  SUBCASE("a double beyond float32 is neither") {
    std::vector<double> wide(24, 1.0);
    layers[1].weight = ptq::any_view(wide, {2, 3, 4});
    layers[1].weight.strides[0] = 4;  // memory holds the first two axes swapped
    layers[1].weight.strides[1] = 8;
    plan.layers[0].weights.dtype = "native";
    wide[1 * 4 + 2 * 8 + 3] = 1e300;
    CHECK(
        text_of() ==
        "layer \"head\": weight[1, 2, 3] does not fit float32. Repair the checkpoint, or leave the layer out "
        "with skip_names.");
    wide[1 * 4 + 2 * 8 + 3] = std::numeric_limits<double>::infinity();
    CHECK(text_of().find("weight[1, 2, 3] is NaN or infinite.") != std::string::npos);
  }
  SUBCASE("doubles at odd addresses, as files may hold them") {  // the sanitizers of a row look at the reads
    const double wide[] = {1.0, 1e300};
    std::vector<std::byte> bytes(1 + sizeof wide);
    std::memcpy(bytes.data() + 1, wide, sizeof wide);
    layers = {{"fc", "Linear", {bytes.data() + 1, ptq::element_type::float64, ptq::tensor_shape{1, 2}}}};
    plan = plan_for(layers, "int8", "torchao");
    CHECK(text_of().find("weight[0, 1] does not fit float32.") != std::string::npos);
  }
  SUBCASE("an axis that is not there") {
    plan.layers[0].weights.grain = ptq::per_channel(2);
    CHECK(text_of() == "layer \"stem\": there is no axis 2 in a weight of shape [4, 6].");
  }
  SUBCASE("a dtype that the policies lack") {
    plan.layers[1].weights.dtype = "int12";
    CHECK(
        text_of() ==
        "layer \"head\": the policies do not have dtype \"int12\" with backend \"torchao\". Give `apply` the "
        "bundle that the specification was read with: apply<my_policies>(...).");
  }
  SUBCASE("a weight of integers") {
    layers[1].weight.type = ptq::element_type::int32;
    CHECK(text_of() == "layer \"head\": its weight is not a floating-point tensor.");
  }
  SUBCASE("a weight whose rank is not that of its class") {
    layers[1].class_name = "Linear";
    CHECK(text_of() == "layer \"head\": class Linear needs a weight of rank 2, this one has rank 3.");
    CHECK(error().code == ptq::errc::wrong_rank);
    CHECK(error().at == 3);
  }
  SUBCASE("more axes than can be viewed") {
    const std::vector<std::size_t> nine(9, 1);
    const ptq::tensor_shape shape(nine);
    for (const auto& weight :
         {ptq::any_view(flat.data(), ptq::element_type::float32, shape), ptq::any_view(flat, shape)}) {
      layers[1] = {"head", "own", weight};
      plan = plan_for(layers, "int8", "torchao");
      CHECK(text_of() == "layer \"head\": its weight has 9 axes; 8 is the most that ptq can view.");
      CHECK(error().code == ptq::errc::wrong_rank);
      CHECK(error().at == 9);
    }
  }
  SUBCASE("memory that does not have the size of its shape") {
    for (const std::size_t rows : {5u, 3u}) {
      layers[0].weight = ptq::any_view(flat, {rows, 6});
      for (const auto& made : {plan_for(layers, "int8", "torchao"), plan_for(layers, "native", "torchao")}) {
        plan = made;
        CHECK(text_of() == "layer \"stem\": its weight lies in memory of 24 elements, but its shape [" +
                               std::to_string(rows) + ", 6] has " + std::to_string(rows * 6) + ".");
        CHECK(error().code == ptq::errc::size_mismatch);
        CHECK(error().at == rows * 6);
      }
    }
  }
  SUBCASE("a weight of another shape than planned") {
    layers[0].weight = ptq::any_view(flat, {6, 4});
    CHECK(text_of() ==
          "layer \"stem\": its weight has shape [6, 4], but was planned with shape [4, 6]. Give `apply` the "
          "layers that `match` was given.");
    CHECK(error().code == ptq::errc::size_mismatch);
    layers[0].weight = ptq::any_view(flat, {24});
    CHECK(text_of() ==
          "layer \"stem\": its weight has shape [24], but was planned with shape [4, 6]. Give `apply` the "
          "layers that `match` was given.");
    CHECK(error().code == ptq::errc::wrong_rank);
  }
  SUBCASE("a plan for other layers") {
    layers[1].name = "tail";
    CHECK(text_of() ==
          "layer \"tail\": the plan has \"head\" in this place. Give `apply` the layers that `match` was "
          "given.");
    layers.pop_back();
    CHECK(text_of() ==
          "the plan has 2 layers, and the model has 1. Give `apply` the layers that `match` was given.");
  }
}

TEST_CASE("output channels that become all zero are found on every axis, in every layout, of every dtype") {
  // Channels along axis 1; the second and third are too small for one scale of all, the last is zero.
  const std::vector<float> rows{8.0F, 1e-6F, 0.0F, 0.0F, -4.0F, -1e-6F, 1e-7F, 0.0F};
  std::vector<float> columns(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) columns[i % 4 * 2 + i / 4] = rows[i];
  const ptq::tensor_shape shape{2, 4};
  ptq::layer row_major{"rows", "Linear", {rows, shape}};
  ptq::layer column_major{"columns", "Linear", ptq::tensor_view<const float>{columns.data(), shape, {1, 2}}};
  row_major.output_axis = column_major.output_axis = 1;
  const std::vector<ptq::layer> layers{row_major, column_major};
  const auto zeroed = [&](const std::string& dtype, ptq::granularity grain) {
    std::vector<std::size_t> counts;
    ptq::plan plan = plan_for(layers, dtype, "torchao");
    for (ptq::planned_layer& planned : plan.layers) planned.weights.grain = grain;
    const auto done = ptq::apply<my_policies>(plan, layers, [&](const ptq::quantized_layer& q) {
      const ptq::zeroed_channels found = ptq::find_zeroed_channels(q);
      counts.insert(counts.end(), {found.count, found.of});
    });
    REQUIRE(done);
    return counts;
  };
  using counts = std::vector<std::size_t>;
  for (const char* const dtype : {"int8", "int12"}) {
    CHECK(zeroed(dtype, ptq::per_tensor()) == counts{2, 4, 2, 4});
    CHECK(zeroed(dtype, ptq::per_channel(1)) == counts{0, 4, 0, 4});
    CHECK(zeroed(dtype, ptq::per_channel(0)) == counts{0, 2, 0, 2});
  }
}
