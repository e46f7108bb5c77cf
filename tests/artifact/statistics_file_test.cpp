// SPDX-License-Identifier: Apache-2.0
// Statistics in files: the bytes depend on the values alone; what does not fit together is refused.
#include "ptq/artifact/statistics_file.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/model/match.hpp"
#include "ptq/model/model_hash.hpp"
#include "support/temporary_folder.hpp"

namespace {

using floats = std::vector<float>;

constexpr const char* model = "0123456789abcdef";

/// Inputs of two layers, in batches.
ptq::layer_statistics collected(const floats& inputs, std::size_t batch) {
  ptq::layer_statistics layers;
  for (std::size_t first = 0; first < inputs.size(); first += batch) {
    const std::span<const float> part =
        std::span(inputs).subspan(first, std::min(batch, inputs.size() - first));
    CHECK(layers["encoder.fc"].collect(part) == ptq::status{});
    CHECK(layers["head"].collect(part.first(1)) == ptq::status{});
  }
  return layers;
}

std::string written(const temporary_folder& folder, const ptq::layer_statistics& layers) {
  const std::string path = folder / "written.ptqcal";
  const auto done = ptq::write_statistics(path, layers, model);
  INFO(done.error().what);
  REQUIRE(done.has_value());
  return read_file(path);
}

std::string message_of(const std::string& path) {
  const auto stored = ptq::read_statistics(path);
  REQUIRE(!stored.has_value());
  return stored.error().what;
}

/// Growing, so that the range is stretched on the way.
floats growing(std::size_t size) {
  floats inputs = test::bell(size, 1.0F, 5);
  for (std::size_t i = 0; i < size; ++i) inputs[i] *= static_cast<float>(i);
  return inputs;
}

}  // namespace

TEST_CASE("statistics come back as they were written") {
  const temporary_folder folder;
  auto layers = collected(growing(500), 7);
  layers["never.seen"];
  layers[""];
  layers["head.counts"];  // its tensors are not those of "head"
  CHECK(layers["zeros"].collect(floats(3, 0.0F)) == ptq::status{});
  CHECK(layers["subnormal"].collect(floats{1e-45F}) == ptq::status{});
  written(folder, layers);
  const auto stored = ptq::read_statistics(folder / "written.ptqcal");
  INFO(stored.error().what);
  REQUIRE(stored.has_value());
  CHECK(stored->model == model);
  CHECK(stored->layers == layers);
}

TEST_CASE("equal values give equal bytes: batches, order and merged parts leave no trace") {
  const temporary_folder folder;
  floats inputs = growing(600);
  const auto bytes_of = [&](std::size_t batch) { return written(folder, collected(inputs, batch)); };
  // The second layer sees the first value of each batch, so it is left out here.
  const auto first_layer = [&](std::size_t batch) {
    auto layers = collected(inputs, batch);
    layers.erase("head");
    return written(folder, layers);
  };
  const std::string whole = first_layer(600);
  for (const std::size_t batch : {1u, 7u, 32u, 256u}) CHECK(first_layer(batch) == whole);
  CHECK(bytes_of(1) != bytes_of(7));

  for (std::size_t parts = 1; parts <= 4; ++parts) {
    std::vector<std::string> paths;
    for (std::size_t part = 0; part < parts; ++part) {
      const std::size_t size = inputs.size() / parts;
      const auto begin = inputs.begin() + static_cast<std::ptrdiff_t>(part * size);
      auto layers = collected(floats(begin, begin + static_cast<std::ptrdiff_t>(size)), 11);
      layers.erase("head");
      paths.insert(paths.begin(), folder / ("part" + std::to_string(part)));
      CHECK(ptq::write_statistics(paths.front(), layers, model).has_value());
    }
    const auto merged = ptq::merge_statistics(paths);
    INFO(merged.error().what);
    REQUIRE(merged.has_value());
    CHECK(written(folder, merged->layers) == whole);
  }

  std::reverse(inputs.begin(), inputs.end());
  CHECK(first_layer(13) == whole);
}

TEST_CASE("the header is plain safetensors with one key") {
  const temporary_folder folder;
  ptq::layer_statistics layers;
  CHECK(layers["a"].collect(floats{3.0F}) == ptq::status{});
  const std::string bytes = written(folder, layers);
  const std::string header =
      R"({"__metadata__":{"ptq_statistics":"{\"exponents\":{\"a\":2},\"model\":\"0123456789abcdef\",\"version\":1}"},)"
      R"("a.count":{"dtype":"U64","shape":[],"data_offsets":[0,8]},)"
      R"("a.counts":{"dtype":"U64","shape":[4096],"data_offsets":[8,32776]},)"
      R"("a.absmax":{"dtype":"F32","shape":[],"data_offsets":[32776,32780]}})";
  CHECK(bytes.substr(8, header.size()) == header);
}

TEST_CASE("statistics of another model are refused, alone and in a merge") {
  const temporary_folder folder;
  const auto layers = collected(growing(10), 10);
  const std::string one = folder / "one.ptqcal";
  const std::string other = folder / "other.ptqcal";
  CHECK(ptq::write_statistics(one, layers, model).has_value());
  CHECK(ptq::write_statistics(other, layers, "fedcba9876543210").has_value());
  CHECK(ptq::read_statistics(one, model).has_value());
  const std::string expected = other +
                               ": these statistics belong to another model (hash fedcba9876543210, not "
                               "0123456789abcdef): names or weights of its layers "
                               "differ. Calibrate this one.";
  const auto read = ptq::read_statistics(other, model);
  REQUIRE(!read.has_value());
  CHECK(read.error().code == ptq::errc::wrong_model);
  CHECK(read.error().what == expected);
  const std::vector<std::string> paths{one, other};
  const auto merged = ptq::merge_statistics(paths);
  REQUIRE(!merged.has_value());
  CHECK(merged.error().what == expected);
  CHECK(ptq::merge_statistics({}).error().code == ptq::errc::no_data);
}

TEST_CASE("a plan is calibrated from a file, whose layers may go by an alias") {
  const floats weight = test::bell(8, 1.0F, 3);
  std::vector<ptq::layer> layers{{"fc", "Linear", {weight, {2, 4}}}, {"head", "Linear", {weight, {2, 4}}}};
  layers[0].aliases = {"MatMul_3", "encoder.fc"};
  ptq::spec spec;
  spec.quantize.backend = "modelopt";
  spec.quantize.mode = "static_ptq";
  spec.quantize.layers = {{"fc", {}, ptq::slot_config{"int8", {}}}};
  const temporary_folder folder;
  const std::string path = folder / "some.ptqcal";
  ptq::layer_statistics seen = collected(growing(50), 7);
  REQUIRE(ptq::write_statistics(path, seen, ptq::model_hash(layers)));
  const auto read = ptq::read_calibration(path, layers, ptq::match(spec, layers));
  INFO(read.error().what);
  REQUIRE(read);
  CHECK(read->collected() == ptq::layer_statistics{{"fc", seen.at("encoder.fc")}});

  seen["fc"] = seen.at("head");  // its own name goes before aliases
  REQUIRE(ptq::write_statistics(path, seen, ptq::model_hash(layers)));
  CHECK(ptq::read_calibration(path, layers, ptq::match(spec, layers))->collected().at("fc") ==
        seen.at("head"));

  spec.quantize.layers[0].module_name = "Linear";
  seen.erase("head");
  REQUIRE(ptq::write_statistics(path, seen, ptq::model_hash(layers)));
  const auto lacking = ptq::read_calibration(path, layers, ptq::match(spec, layers));
  REQUIRE(!lacking);
  CHECK(lacking.error().code == ptq::errc::tensor_not_found);
  CHECK(lacking.error().what == path +
                                    ": it has no statistics of layer \"head\", whose activations are to be "
                                    "quantized. Calibrate again with this specification.");
  layers[0].name = "other";
  CHECK(ptq::read_calibration(path, layers, ptq::match(spec, layers)).error().code == ptq::errc::wrong_model);
}

TEST_CASE("damaged files are refused") {
  const temporary_folder folder;
  const std::string path = folder / "damaged.ptqcal";
  const std::string good = written(folder, collected(growing(10), 10));
  const std::size_t ranges = good.size() - 2 * 4;  // counts of two layers, then their largest values
  const std::size_t counts = ranges - 2 * (4096 + 1) * 8;

  write_file(path, good.substr(0, good.size() - 1));
  CHECK(ptq::read_statistics(path).error().code == ptq::errc::metadata_incomplete_buffer);

  // Any count, and the upper half of a largest value: below that it stays within its bin.
  const auto accepts = [&](std::size_t at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    write_file(path, bad);
    return ptq::read_statistics(path).has_value();
  };
  for (std::size_t at = counts; at < ranges; at += 509) CHECK_FALSE(accepts(at));
  for (const std::size_t at : {2u, 3u, 6u, 7u}) CHECK_FALSE(accepts(ranges + at));
  CHECK(message_of(path) ==
        path +
            ": the statistics of layer \"head\" contradict each other. The file is damaged: "
            "calibrate again.");
}

TEST_CASE("files that hold something else are refused, in words") {
  const temporary_folder folder;
  const std::string path = folder / "other.ptqcal";
  const auto write = [&](std::vector<ptq::tensor_declaration> tensors, const ptq::metadata_map& metadata) {
    auto file = ptq::safetensors_writer::create(path, tensors, metadata);
    REQUIRE(file.has_value());
    for (const auto& tensor : tensors) {
      const std::vector<std::byte> zeros(*ptq::safetensors_size(tensor.type, tensor.shape));
      REQUIRE(file->write(tensor.name, zeros).has_value());
    }
    REQUIRE(file->commit().has_value());
  };
  const auto described = [](const std::string& text) { return ptq::metadata_map{{"ptq_statistics", text}}; };
  const std::string asks = " Is this a file that `ptq calibrate` wrote?";

  write({}, {});
  CHECK(message_of(path) == path +
                                ": this is not a file of statistics (.ptqcal): it looks like a safetensors "
                                "file without the metadata "
                                "key \"ptq_statistics\". `ptq calibrate` and `ptq merge` write such files.");
  for (const char* text :
       {"[]", "{}", R"({"exponents":[],"model":"a","version":1})", R"({"model":"a","version":1})",
        R"({"exponents":{},"model":1,"version":1})", R"({"exponents":{},"model":"a","version":"1"})"}) {
    write({}, described(text));
    CHECK(message_of(path) ==
          path + R"(: ptq_statistics is not {"exponents": {..}, "model": "..", "version": 1}.)" + asks);
  }
  write({}, described("{"));
  CHECK(ptq::read_statistics(path).error().code == ptq::errc::syntax);
  write({}, described(R"({"exponents":{},"model":"a","version":2})"));
  CHECK(message_of(path) == path +
                                ": it has version 2 of the format; this program knows version 1. Calibrate "
                                "again, or use the program "
                                "that wrote it.");
  write({}, described(R"({"exponents":{"x":"2"},"model":"a","version":1})"));
  CHECK(message_of(path) == path + ": the exponent of layer \"x\" is not a whole number." + asks);
  const std::string one_layer = R"({"exponents":{"x":-149},"model":"a","version":1})";
  write({}, described(one_layer));
  CHECK(message_of(path) == path + ": tensor \"x.counts\" is missing.");
  using ptq::element_type;
  write({{"x.counts", element_type::uint64, {2048}}}, described(one_layer));
  CHECK(message_of(path) == path + ": tensor \"x.counts\" is U64 [2048], not U64 [4096]." + asks);
  const std::vector<ptq::tensor_declaration> complete{{"x.counts", element_type::uint64, {4096}},
                                                      {"x.absmax", element_type::float32, {}},
                                                      {"x.count", element_type::uint64, {}}};
  write(complete, described(one_layer));
  CHECK(ptq::read_statistics(path).has_value());
  auto more = complete;
  more.push_back({"y.counts", element_type::uint64, {4096}});
  write(more, described(one_layer));
  CHECK(message_of(path) ==
        path + ": it holds other tensors than counts, absmax and count of each layer." + asks);
  CHECK(ptq::read_statistics(folder / "nowhere").error().code == ptq::errc::cannot_open);
}

TEST_CASE("more values than a search can take are not written") {
  const temporary_folder folder;
  ptq::layer_statistics layers = collected({1.0F}, 1);
  for (int doublings = 0; doublings <= 50; ++doublings) {
    ptq::statistics<>& head = layers["head"];
    head.merge(ptq::statistics<>(head));
  }
  const auto done = ptq::write_statistics(folder / "many.ptqcal", layers, model);
  CHECK(done.error().what == folder / "many.ptqcal" +
                                 ": layer \"head\" has seen 2251799813685248 values; at most 2^50 can be "
                                 "kept. Merge fewer files.");
}
