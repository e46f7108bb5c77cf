// SPDX-License-Identifier: Apache-2.0
// Artifacts whose layers are quantized in parts, by one thread or many.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/safetensors/write_artifact.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/model/match.hpp"
#include "ptq/model/weight_parts.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// Some thousand rows, whose parts do not end with the weight.
constexpr std::size_t rows = 3001;
constexpr std::size_t columns = 77;

/// What parts of a layer add up to.
struct count_parts {
  struct findings {
    ptq::error_accumulator errors;
    std::size_t parts = 0;
    std::size_t codes = 0;

    void add(const ptq::quantized_layer& part) {
      errors = ptq::quantization_error_sums(part);
      parts = 1;
      codes = part.codes.size();
    }
    void merge(const findings& next) {
      errors.merge(next.errors);
      parts += next.parts;
      codes += next.codes;
    }
  };

  std::vector<findings>* seen;
  std::vector<std::size_t>* scales;

  ptq::status operator()(const ptq::quantized_layer& q, const findings& found) const {
    seen->push_back(found);
    scales->push_back(q.scales.size());
    return {};
  }
};
static_assert(ptq::part_sink<count_parts> && ptq::layer_sink<count_parts>);

/// A checkpoint of two weights and a tensor that is none, in a folder.
struct source {
  explicit source(const std::string& folder, std::size_t odd_one = 0, float odd = 0) : folder_(folder) {
    std::vector<float> values(rows * columns);
    std::uint32_t state = 1;
    for (float& x : values)
      x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24F - 0.5F;
    if (odd_one > 0) values[odd_one] = odd;
    auto writer = ptq::safetensors_writer::create(folder + "/model.safetensors",
                                                  {{"a.weight", ptq::element_type::float32, {rows, columns}},
                                                   {"b.weight", ptq::element_type::float32, {2, 3}},
                                                   {"c.table", ptq::element_type::float32, {columns, rows}}});
    REQUIRE(writer);
    const auto bytes = std::as_bytes(std::span(values));
    REQUIRE(writer->write("a.weight", bytes));
    REQUIRE(writer->write("b.weight", bytes.first(2 * 3 * sizeof(float))));
    REQUIRE(writer->write("c.table", bytes));
    REQUIRE(writer->commit());
    auto opened = ptq::open_safetensors(folder + "/model.safetensors");
    REQUIRE(opened);
    file = *std::move(opened);
    for (const ptq::stored_tensor& tensor : file.tensors()) tensors.push_back({tensor.name, tensor.view()});
    layers = ptq::layers_of(tensors);
  }

  /// @return the error, or nothing
  template <class Sink, class Run>
  ptq::result<std::vector<std::byte>> artifact(const char* dtype, ptq::granularity grain, Sink&& sink,
                                               const Run& run) const {
    ptq::spec rules;
    rules.quantize.layers.push_back({"Linear", ptq::slot_config{dtype, {}}, {}});
    ptq::plan planned = ptq::match(rules, layers);
    for (ptq::planned_layer& layer : planned.layers)
      if (layer.weights.is_quantized()) layer.weights.grain = grain;
    const std::string path = folder_ + "/artifact.safetensors";
    auto made = ptq::write_artifact(path, file, planned, layers, sink, {}, run);
    if (!made) return made.error();
    REQUIRE(made->commit());
    const auto written = ptq::mapped_file::open(path);
    REQUIRE(written);
    return std::vector<std::byte>(written->bytes().begin(), written->bytes().end());
  }

  ptq::checkpoint file;
  std::vector<ptq::named_tensor> tensors;
  std::vector<ptq::layer> layers;

 private:
  std::string folder_;
};

constexpr auto no_sink = [](const ptq::quantized_layer&) {};
constexpr auto backwards = [](std::size_t n, auto&& f) {
  while (n > 0) f(--n);
};

}  // namespace

TEST_CASE("the bytes of an artifact depend neither on parts nor on who runs them") {
  const temporary_folder temporary;
  const source model(temporary.path());
  for (const char* dtype : {"int8", "fp8_e4m3fn"}) {
    for (const ptq::granularity grain : {ptq::per_channel(0), ptq::per_channel(1), ptq::per_tensor()}) {
      const auto whole = model.artifact(dtype, grain, no_sink, ptq::serial{});
      REQUIRE(whole);
      std::vector<count_parts::findings> seen;
      std::vector<std::size_t> scales;
      const count_parts sink{&seen, &scales};
      CHECK(*model.artifact(dtype, grain, sink, ptq::serial{}) == *whole);
      CHECK(*model.artifact(dtype, grain, sink, backwards) == *whole);
      CHECK(*model.artifact(dtype, grain, sink, ptq::threads(3)) == *whole);
      REQUIRE(seen.size() == 3 * 2);
      CHECK((seen[0].parts > 1) == (grain == ptq::per_channel(0)));
      CHECK(seen[0].codes == rows * columns);
      CHECK(scales[0] == ptq::scale_count({rows, columns}, grain));
      for (std::size_t i = 2; i < seen.size(); ++i) {  // to the last bit
        CHECK(seen[i].errors.metrics().mse == seen[i % 2].errors.metrics().mse);
        CHECK(seen[i].errors.metrics().cosine == seen[i % 2].errors.metrics().cosine);
      }
    }
  }
}

TEST_CASE("parts have the errors of the whole") {
  const temporary_folder temporary;
  const source model(temporary.path());
  ptq::error_metrics whole;
  const auto measure = [&](const ptq::quantized_layer& q) {
    if (q.source.name == "a") whole = ptq::quantization_error(q);
  };
  REQUIRE(model.artifact("int8", ptq::per_channel(0), measure, ptq::serial{}));
  std::vector<count_parts::findings> seen;
  std::vector<std::size_t> scales;
  REQUIRE(model.artifact("int8", ptq::per_channel(0), count_parts{&seen, &scales}, ptq::threads(2)));
  const ptq::error_metrics merged = seen[0].errors.metrics();
  CHECK(merged.count == whole.count);
  CHECK(merged.max_abs == whole.max_abs);
  CHECK(merged.clipped_share == whole.clipped_share);
  CHECK(merged.mse == doctest::Approx(whole.mse).epsilon(1e-12));
  CHECK(merged.sqnr_db == doctest::Approx(whole.sqnr_db).epsilon(1e-12));
  CHECK(merged.cosine == doctest::Approx(whole.cosine).epsilon(1e-12));
}

TEST_CASE("a number that is not finite is found where it is, in whichever part") {
  const temporary_folder temporary;
  const source model(temporary.path(), 2500 * columns + 7, std::numeric_limits<float>::infinity());
  std::vector<count_parts::findings> seen;
  std::vector<std::size_t> scales;
  const auto whole = model.artifact("int8", ptq::per_channel(0), no_sink, ptq::serial{});
  const auto parts =
      model.artifact("int8", ptq::per_channel(0), count_parts{&seen, &scales}, ptq::threads(3));
  REQUIRE(!whole);
  REQUIRE(!parts);
  CHECK(parts.error().what == whole.error().what);
  CHECK(parts.error().what.find("[2500, 7]") != std::string::npos);
  CHECK(parts.error().at == 2500 * columns + 7);
  CHECK(seen.empty());
}

TEST_CASE("memory that a part does not get is missed by the caller") {
  CHECK_THROWS_AS((void)ptq::detail::run_parts(5, ptq::threads(3),
                                               [](std::size_t i) -> ptq::result<void> {
                                                 if (i == 3) throw std::bad_alloc();
                                                 return {};
                                               }),
                  std::bad_alloc);
}
