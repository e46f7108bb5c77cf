// SPDX-License-Identifier: Apache-2.0
// Artifacts whose layers are quantized in parts, by one thread or many.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/safetensors/layout.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/model/match.hpp"
#include "ptq/model/weight_parts.hpp"
#include "ptq/report/zeroed_channels.hpp"
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
  std::string stops_at = {};  // a layer's name
  std::vector<std::string>* names = nullptr;

  ptq::status operator()(const ptq::quantized_layer& q, const findings& found) const {
    seen->push_back(found);
    scales->push_back(q.scales.size());
    if (names != nullptr) names->push_back(q.source.name);
    return {q.source.name == stops_at ? ptq::errc::stopped : ptq::errc::ok, 0};
  }
};
static_assert(ptq::part_sink<count_parts> && ptq::layer_sink<count_parts>);

std::vector<float> random_floats(std::size_t n) {
  std::vector<float> values(n);
  std::uint32_t state = 1;
  for (float& x : values)
    x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24F - 0.5F;
  return values;
}

/// A checkpoint in a folder.
struct source {
  /// Of two weights and a tensor that is none.
  explicit source(const std::string& folder, std::size_t odd_one = 0, float odd = 0)
      : source(folder,
               {{"a.weight", ptq::element_type::float32, {rows, columns}},
                {"b.weight", ptq::element_type::float32, {2, 3}},
                {"c.table", ptq::element_type::float32, {columns, rows}}},
               [&] {
                 std::vector<float> values = random_floats(rows * columns);
                 if (odd_one > 0) values[odd_one] = odd;
                 return values;
               }()) {}

  /// Of tensors that begin with the same values.
  source(const std::string& folder, const std::vector<ptq::tensor_declaration>& declared,
         std::span<const float> values)
      : folder_(folder) {
    auto writer = ptq::safetensors_writer::create(folder + "/model.safetensors", declared);
    REQUIRE(writer);
    for (const ptq::tensor_declaration& tensor : declared)
      REQUIRE(writer->write(tensor.name, std::as_bytes(values.first(tensor.shape[0] * tensor.shape[1]))));
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
    auto made = ptq::write_artifact(ptq::ptq_in_safetensors, path, file, planned, layers, sink, {}, run);
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

/// doctest's own check of what is thrown does nothing here: tests of the core have no exceptions.
template <class F>
bool lacks_memory(const F& f) {
  try {
    f();
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

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

TEST_CASE("after a write that fails nothing more is quantized") {
  const temporary_folder temporary;
  source model(temporary.path());
  const std::size_t size = model.layers[0].weight.size() * sizeof(float);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  for (const std::size_t first : {0u, 1u}) {  // a part of a weight and a piece of a copy: the other one fails
    CAPTURE(first);
    void* const weight = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(weight != MAP_FAILED);
    model.layers[0].weight.data = weight;
    const auto run = [&](std::size_t n, auto&& f) {
      f(first);
      rlimit none = limit;
      none.rlim_cur = 0;
      ::setrlimit(RLIMIT_FSIZE, &none);
      f(1 - first);
      ::mprotect(weight, size, PROT_NONE);  // who looks into it now crashes
      for (std::size_t i = 2; i < n; ++i) f(i);
      ::setrlimit(RLIMIT_FSIZE, &limit);
    };
    std::vector<count_parts::findings> seen;
    std::vector<std::size_t> scales;
    const auto failed = model.artifact("int8", ptq::per_channel(0), count_parts{&seen, &scales}, run);
    ::munmap(weight, size);
    REQUIRE(!failed);
    CHECK(failed.error().code == ptq::errc::cannot_write);
    CHECK(seen.empty());
  }
}

TEST_CASE("many layers are stored together, and told of one after the other") {
  const temporary_folder temporary;
  std::vector<ptq::tensor_declaration> declared;
  for (std::size_t i = 10; i < 50; ++i) {
    declared.push_back({std::to_string(i) + ".weight", ptq::element_type::float32, {i, 3 * i}});
    declared.push_back({std::to_string(i) + ".table", ptq::element_type::float32, {i, i}});
  }
  declared.push_back({"30.5.weight", ptq::element_type::float32, {600, 2100}});
  const source model(temporary.path(), declared, random_floats(600 * 2100));
  std::vector<ptq::layer> quantized;
  for (const ptq::layer& one : model.layers)
    if (!one.name.ends_with(".table")) quantized.push_back(one);
  for (const ptq::granularity grain : {ptq::per_channel(0), ptq::per_channel(1), ptq::per_tensor()}) {
    const auto whole = model.artifact("int8", grain, no_sink, ptq::serial{});
    REQUIRE(whole);
    std::vector<double> errors;
    for (const std::size_t n : {1u, 2u, 5u}) {
      std::vector<count_parts::findings> seen;
      std::vector<std::size_t> scales;
      std::vector<std::string> names;
      CHECK(*model.artifact("int8", grain, count_parts{&seen, &scales, "", &names}, ptq::threads(n)) ==
            *whole);
      REQUIRE(names.size() == quantized.size());
      std::vector<double> found;
      for (std::size_t i = 0; i < names.size(); ++i) {
        CHECK(names[i] == quantized[i].name);
        CHECK(seen[i].codes == quantized[i].weight.size());
        found.push_back(seen[i].errors.metrics().mse);
      }
      if (errors.empty()) errors = found;
      CHECK(found == errors);  // to the last bit
    }
  }
}

TEST_CASE("a large weight of one scale has parts, whose channels may lie in all of them") {
  struct see_channels {
    struct findings {
      ptq::seen_channels channels;
      std::size_t parts = 0;

      void add(const ptq::quantized_layer& part) {
        channels = ptq::seen_channels(part);
        parts = 1;
      }
      void merge(const findings& next) {
        channels.merge(next.channels);
        parts += next.parts;
      }
    };

    std::vector<std::size_t>* seen;

    void operator()(const ptq::quantized_layer&, const findings& found) const {
      CHECK(found.parts > 1);
      seen->insert(seen->end(), {found.channels.zeroed().count, found.channels.zeroed().of});
    }
  };
  constexpr std::size_t height = 700;
  constexpr std::size_t width = 1600;
  std::vector<float> values = random_floats(height * width);
  for (std::size_t c = 0; c < width; ++c) values[7 * width + c] = values[690 * width + c] = 1e-6F;
  for (std::size_t r = 0; r < height; ++r) values[r * width + 3] = 1e-6F;
  const std::vector<ptq::tensor_declaration> declared{
      {"a.weight", ptq::element_type::float32, {height, width}}};
  const temporary_folder temporary;
  {
    source model(temporary.path(), declared, values);
    for (const std::size_t axis : {0u, 1u}) {
      model.layers[0].output_axis = axis;
      const auto whole = model.artifact("int8", ptq::per_tensor(), no_sink, ptq::serial{});
      for (const std::size_t n : {1u, 2u, 5u}) {
        std::vector<std::size_t> seen;
        CHECK(*model.artifact("int8", ptq::per_tensor(), see_channels{&seen}, ptq::threads(n)) == *whole);
        CHECK(seen == (axis == 0 ? std::vector<std::size_t>{2, height} : std::vector<std::size_t>{1, width}));
      }
    }
  }
  values[650 * width + 9] = std::numeric_limits<float>::quiet_NaN();
  const source model(temporary.path(), declared, values);
  std::vector<std::size_t> seen;
  const auto parts = model.artifact("int8", ptq::per_tensor(), see_channels{&seen}, ptq::threads(3));
  REQUIRE(!parts);
  CHECK(parts.error().what == model.artifact("int8", ptq::per_tensor(), no_sink, ptq::serial{}).error().what);
  CHECK(parts.error().at == 650 * width + 9);
}

TEST_CASE("the first layer that fails, or at which the sink stops, ends a run, whoever runs it") {
  const temporary_folder temporary;
  std::vector<ptq::tensor_declaration> declared;
  for (std::size_t i = 10; i < 30; ++i)  // the value that is not finite is in 13 and all behind it
    declared.push_back({std::to_string(i) + ".weight", ptq::element_type::float32, {i, 16}});
  std::vector<float> values = random_floats(30 * 16);
  values[12 * 16 + 5] = std::numeric_limits<float>::quiet_NaN();
  const source model(temporary.path(), declared, values);
  const auto whole = model.artifact("int8", ptq::per_channel(0), no_sink, ptq::serial{});
  REQUIRE(!whole);
  CHECK(whole.error().what.find("\"13\"") != std::string::npos);
  for (const char* const stop : {"", "13", "12", "11"}) {
    for (const std::size_t n : {1u, 2u, 5u}) {
      CAPTURE(std::string(stop));
      CAPTURE(n);
      std::vector<count_parts::findings> seen;
      std::vector<std::size_t> scales;
      std::vector<std::string> names;
      const auto made = model.artifact("int8", ptq::per_channel(0), count_parts{&seen, &scales, stop, &names},
                                       ptq::threads(n));
      REQUIRE(!made);
      const bool is_stopped = std::string(stop) == "11" || std::string(stop) == "12";
      CHECK(made.error().code == (is_stopped ? ptq::errc::stopped : ptq::errc::not_finite));
      if (!is_stopped) CHECK(made.error().what == whole.error().what);
      CHECK(names.size() == (std::string(stop) == "11" ? 2 : 3));
    }
  }
}

TEST_CASE("memory that a part does not get is missed by the caller") {
  CHECK(lacks_memory([] {
    (void)ptq::detail::run_parts(5, ptq::threads(3), [](std::size_t i) -> ptq::result<void> {
      if (i == 3) throw std::bad_alloc();
      return {};
    });
  }));
}

TEST_CASE("what findings throw comes out, on any executor") {
  struct short_of_memory {
    struct findings {
      void add(const ptq::quantized_layer& part) {
        if (part.source.name == "b") throw std::bad_alloc();
      }
      void merge(const findings&) {}
    };
    void operator()(const ptq::quantized_layer&, const findings&) const {}
  };

  const temporary_folder temporary;
  const source model(temporary.path());
  for (const std::size_t n : {1u, 3u})
    CHECK(lacks_memory(
        [&] { (void)model.artifact("int8", ptq::per_channel(0), short_of_memory(), ptq::threads(n)); }));
}
