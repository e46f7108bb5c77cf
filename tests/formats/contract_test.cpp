// SPDX-License-Identifier: Apache-2.0
// What every format of models must do, over the list of them: one network in each format.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/formats.hpp"
#include "ptq/model/layers_of.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"
#include "support/torch_bytes.hpp"

namespace {

/// Integers from -64 to 63, one to a byte.
struct int7 {
  static constexpr const char* name = "int7";
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 63.0F;
  static constexpr float lowest = -64.0F;
  static constexpr storage encode(const float& value) noexcept {
    const storage code = ptq::int8::encode(value);
    return code < -64 ? storage{-64} : code > 63 ? storage{63} : code;
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

/// Two bytes each, which lie at any address in files.
struct int16 {
  static constexpr const char* name = "int16";
  using storage = std::int16_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 32767.0F;
  static constexpr float lowest = -32768.0F;
  static storage encode(const float& value) noexcept {
    return static_cast<storage>(std::nearbyint(std::clamp(value, lowest, max_finite)));
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

/// Integers from -8 to 7, two to a byte in files.
struct int4 {
  static constexpr const char* name = "int4";
  static constexpr int bits = 4;
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 7.0F;
  static constexpr float lowest = -8.0F;
  static constexpr storage encode(const float& value) noexcept {
    const storage code = ptq::int8::encode(value);
    return code < -8 ? storage{-8} : code > 7 ? storage{7} : code;
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

/// The same codes, counted from 128: a number has another code than in any integer type.
struct offset8 {
  static constexpr const char* name = "offset8";
  using storage = std::uint8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 127.0F;
  static constexpr float lowest = -128.0F;
  static constexpr storage encode(const float& value) noexcept {
    return static_cast<storage>(ptq::int8::encode(value) + 128);
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code) - 128.0F; }
};

/// Bytes that stand for the numbers across zero.
struct mirrored8 {
  static constexpr const char* name = "mirrored8";
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 127.0F;
  static constexpr float lowest = -127.0F;
  static constexpr storage encode(const float& value) noexcept {
    const storage code = ptq::int8::encode(value);
    return static_cast<storage>(code == -128 ? 127 : -code);
  }
  static constexpr float decode(storage code) noexcept { return -static_cast<float>(code); }
};

/// No format has a type for its codes.
struct strange {
  static constexpr const char* name = "strange";
  struct storage {
    std::int8_t code;
  };
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 127.0F;
  static constexpr float lowest = -128.0F;
  static constexpr storage encode(const float& value) noexcept { return {ptq::int8::encode(value)}; }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code.code); }
};

struct own_policies : ptq::builtin {
  using dtypes = ptq::list<ptq::int8, ptq::fp8_e4m3fn, int7, int16, int4, offset8, mirrored8, strange>;
};

template <class... Formats>
std::tuple<Formats...> tuple_of(ptq::list<Formats...>);
using formats = decltype(tuple_of(ptq::model_formats{}));

/// The checkpoint that is shipped, as np.savez would write it.
const std::string& npz_network() {
  static const temporary_folder folder;
  static const std::string path = [] {
    const auto model = ptq::open_safetensors(PTQ_MODELS_DIR "/lenet-digits/model.safetensors");
    std::vector<torch_bytes::entry> entries;
    for (const ptq::stored_tensor& tensor : model->tensors()) {
      CHECK(ptq::write_npy(folder / "array", tensor.view()));
      entries.push_back({tensor.name + ".npy", read_file(folder / "array")});
    }
    write_file(folder / "model.npz", torch_bytes::zip(entries));
    return folder / "model.npz";
  }();
  return path;
}

template <class F>
std::string network() {
  if (std::is_same_v<F, ptq::npz_format>) return npz_network();
  const bool is_torch = std::is_same_v<F, ptq::torch_format>;
  return std::string(PTQ_MODELS_DIR "/lenet-digits/model") + (is_torch ? ".pth" : F::suffix);
}

/// In the format that its artifacts are read in.
template <class F>
auto open_artifact_of(const std::string& path) {
  constexpr bool is_safetensors = std::is_same_v<typename F::artifact, ptq::safetensors_artifact>;
  return std::conditional_t<is_safetensors, ptq::safetensors_format, F>::open(path);
}

/// The artifact of a model of the format F.
template <class F, class Policies = ptq::builtin, class Sink>
auto write_as(const std::string& path, const typename F::model& model, const ptq::plan& planned,
              std::span<const ptq::activation_range> ranges, Sink&& sink) {
  return F::artifact::template write<Policies, F>(path, model, planned, ranges, sink);
}

template <class F>
std::string artifact_name() {
  return F::artifact::template file_name<F>("q");
}

template <class F>
typename F::model opened() {
  auto model = F::open(network<F>());
  INFO(model.error().what);
  REQUIRE(model);
  return *std::move(model);
}

ptq::spec spec_for(const std::string& backend, const std::string& mode, const std::string& dtype,
                   const std::string& inputs = "") {
  ptq::spec wanted;
  wanted.quantize.backend = backend;
  wanted.quantize.mode = mode;
  ptq::rule_config rule{"*", ptq::slot_config{dtype, {}}, {}};
  if (!inputs.empty()) rule.activations = ptq::slot_config{inputs, {}};
  wanted.quantize.layers = {rule};
  return wanted;
}

ptq::plan plan_for(std::span<const ptq::layer> layers, const std::string& dtype,
                   const std::string& inputs = "") {
  const bool is_static = !inputs.empty();
  ptq::plan made =
      ptq::match<own_policies>(spec_for(is_static ? "modelopt" : "torchao",
                                        is_static ? "static_ptq" : "weight_only_ptq", dtype, inputs),
                               layers);
  REQUIRE(made.quantizes_weights());
  return made;
}

std::vector<ptq::activation_range> ranges_for(const ptq::plan& planned) {
  std::vector<ptq::activation_range> ranges;
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    if (!planned.layers[i].activations.is_quantized()) continue;
    ptq::activation_range& made = ranges.emplace_back();
    made.layer = i;
    made.algorithm = "minmax";
    made.range = {1.0F + static_cast<float>(i), ptq::range_reason::found};
    made.scale = made.range.amax / 127;
  }
  return ranges;
}

const auto ignored = [](const ptq::quantized_layer&) {};

/// A layer's weight as it was quantized, decoded.
using decoded_weights = std::map<std::string, std::vector<float>>;

template <class F>
decoded_weights written_weights(const typename F::model& model, const ptq::plan& planned,
                                const std::string& path) {
  decoded_weights decoded;
  auto artifact = write_as<F, own_policies>(
      path, model, planned, ranges_for(planned), [&](const ptq::quantized_layer& q) {
        std::vector<float>& values = decoded[q.source.name];
        values.resize(q.source.weight.size());
        CHECK(ptq::dequantize(q.dtype, q.codes, q.scales, q.grain,
                              ptq::tensor_view<float>(values.data(), q.source.weight.shape)));
      });
  INFO(artifact.error().what);
  REQUIRE(artifact);
  REQUIRE(artifact->commit());
  return decoded;
}

template <class F>
decoded_weights stored_weights(const std::string& path) {
  auto artifact = open_artifact_of<F>(path);
  INFO(artifact.error().what);
  REQUIRE(artifact);
  const auto contents = F::template contents<own_policies>(*std::move(artifact));
  INFO(contents.error().what);
  REQUIRE(contents);
  decoded_weights decoded;
  for (const ptq::listed_layer& layer : contents->layers) {
    if (!layer.weights) continue;
    std::vector<float>& values = decoded[layer.name];
    values.resize(layer.weights->shape.size());
    CHECK(ptq::dequantize<own_policies>(*layer.weights, values));
    CHECK(layer.shape == layer.weights->shape);
  }
  return decoded;
}

template <class F>
ptq::error refusal_of(const std::string& dtype, const std::string& inputs = "") {
  const auto model = opened<F>();
  const temporary_folder folder;
  const ptq::plan planned = plan_for(model.layers(), dtype, inputs);
  const auto artifact =
      write_as<F, own_policies>(folder / artifact_name<F>(), model, planned, ranges_for(planned), ignored);
  CHECK(ptq::names_in(folder.path()).empty());
  REQUIRE_FALSE(artifact);
  return artifact.error();
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("a format's own models are opened by it alone", F, opens) {
  CHECK(F::recognises(network<F>()));
  CHECK(ptq::model_file::artifact_file_name(network<F>(), "", "q") == artifact_name<F>());
  const auto file = ptq::model_file::open(network<F>());
  REQUIRE(file);
  CHECK(file->layers().size() == opened<F>().layers().size());
  CHECK(file->path() == network<F>());
  CHECK_FALSE(F::artifact::is_part_of(artifact_name<F>(), "notes.txt"));
}
TEST_CASE_TEMPLATE_APPLY(opens, formats);

TEST_CASE_TEMPLATE_DEFINE("an artifact appears when it is committed, with the codes that were made", F,
                          writes) {
  for (const std::string dtype : {"int8", "fp8_e4m3fn", "int7", "int16", "int4"}) {
    CAPTURE(dtype);
    const auto model = opened<F>();
    const temporary_folder folder;
    const std::string path = folder / artifact_name<F>();
    const ptq::plan planned = plan_for(model.layers(), dtype);
    {
      auto artifact = write_as<F, own_policies>(path, model, planned, {}, ignored);
      REQUIRE(artifact);
      CHECK_FALSE(std::filesystem::exists(path));
      CHECK(artifact->names() == std::vector<std::string>{artifact_name<F>()});
      CHECK(artifact->bytes() < model.bytes());
    }
    CHECK(ptq::names_in(folder.path()).empty());  // it was never committed
    const decoded_weights made = written_weights<F>(model, planned, path);
    CHECK(ptq::names_in(folder.path()) == std::vector<std::string>{artifact_name<F>()});
    CHECK(stored_weights<F>(path) == made);
    CHECK(made.size() == 4);
    auto artifact = open_artifact_of<F>(path);
    REQUIRE(artifact);
    CHECK(F::check_origin(*artifact, model));
    if (dtype == "int8")
      CHECK_FALSE(artifact->expect_floats(spec_for("torchao", "weight_only_ptq", "int8").quantize));
  }
}
TEST_CASE_TEMPLATE_APPLY(writes, formats);

TEST_CASE_TEMPLATE_DEFINE("the float form has the values of the codes: from the model, and from the artifact",
                          F, decodes) {
  for (const std::string dtype : {"int8", "fp8_e4m3fn", "int16", "int4"}) {
    CAPTURE(dtype);
    const auto model = opened<F>();
    const temporary_folder folder;
    const ptq::plan planned = plan_for(model.layers(), dtype, "int8");
    const decoded_weights wanted = written_weights<F>(model, planned, folder / artifact_name<F>());
    const auto check = [&](ptq::result<ptq::pending_artifact> made, const std::string& path) {
      INFO(made.error().what);
      REQUIRE(made);
      REQUIRE(made->commit());
      const auto floats = open_artifact_of<F>(path);
      INFO(floats.error().what);
      REQUIRE(floats);
      decoded_weights found;
      for (const ptq::layer& layer : floats->layers())
        if (wanted.contains(layer.name)) {
          REQUIRE(layer.weight.type == ptq::element_type::float32);
          std::vector<float>& values = found[layer.name];
          values.resize(layer.weight.size());
          std::memcpy(values.data(), layer.weight.data, values.size() * sizeof(float));
        }
      CHECK(found == wanted);
    };
    const std::string path = folder / ptq::float_artifact::file_name<F>("q");
    check(ptq::float_artifact::write<own_policies, F>(path, model, planned, ranges_for(planned), ignored),
          path);
    const auto artifact = open_artifact_of<F>(folder / artifact_name<F>());
    REQUIRE(artifact);
    check(ptq::float_artifact::convert<own_policies, F>(path, *artifact), path);
    const auto again = ptq::float_artifact::convert<own_policies, F>(path, model);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ptq::errc::wrong_format);
  }
}
TEST_CASE_TEMPLATE_APPLY(decodes, formats);

TEST_CASE_TEMPLATE_DEFINE("a C header has the same bytes from the model and from the artifact, each time", F,
                          becomes_text) {
  for (const std::string dtype : {"int8", "fp8_e4m3fn", "int7", "int16", "int4", "offset8"}) {
    if (dtype == "offset8" && std::is_same_v<F, ptq::onnx_format>) continue;
    CAPTURE(dtype);
    const auto model = opened<F>();
    const temporary_folder folder;
    const ptq::plan planned = plan_for(model.layers(), dtype, "int8");
    written_weights<F>(model, planned, folder / artifact_name<F>());
    const auto artifact = open_artifact_of<F>(folder / artifact_name<F>());
    REQUIRE(artifact);
    const std::string path = folder / ptq::c_header_artifact::file_name<F>("q");
    const auto text_of = [&](ptq::result<ptq::pending_artifact> made) {
      INFO(made.error().what);
      REQUIRE(made);
      CHECK_FALSE(std::filesystem::exists(path));
      REQUIRE(made->commit());
      CHECK(ptq::names_in(folder.path()).size() == 2);  // the artifact, and nothing that was there meanwhile
      std::string text = read_file(path);
      std::filesystem::remove(path);
      return text;
    };
    const std::string from_model = text_of(
        ptq::c_header_artifact::write<own_policies, F>(path, model, planned, ranges_for(planned), ignored));
    CHECK(from_model == text_of(ptq::c_header_artifact::convert<own_policies, F>(path, *artifact)));
    CHECK(from_model == text_of(ptq::c_header_artifact::convert<own_policies, F>(path, *artifact)));
    CHECK(from_model.find(" model_conv1_weight[200] = {") != std::string::npos);
    const auto refused = ptq::c_header_artifact::convert<own_policies, F>(path, model);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ptq::errc::wrong_format);
  }
}
TEST_CASE_TEMPLATE_APPLY(becomes_text, formats);

TEST_CASE_TEMPLATE_DEFINE("codes of four bits take half a byte", F, packs) {
  const auto model = opened<F>();
  const temporary_folder folder;
  const auto bytes_with = [&](const std::string& dtype) {
    const auto artifact = write_as<F, own_policies>(folder / artifact_name<F>(), model,
                                                    plan_for(model.layers(), dtype), {}, ignored);
    REQUIRE(artifact);
    return artifact->bytes();
  };
  std::size_t codes = 0;
  std::size_t packed = 0;
  for (const ptq::layer& layer : model.layers())
    if (layer.weight.shape.rank > 1) {
      codes += layer.weight.size();
      packed += (layer.weight.size() + 1) / 2;
    }
  CHECK(bytes_with("int8") - bytes_with("int4") == codes - packed);
}
TEST_CASE_TEMPLATE_APPLY(packs, formats);

TEST_CASE_TEMPLATE_DEFINE("a plan without granularities is carried out with those of its backend", F,
                          grains) {
  const auto model = opened<F>();
  const temporary_folder folder;
  ptq::plan planned = plan_for(model.layers(), "int8");
  const auto text_of = [&](const char* name) {
    const std::string path = folder / (name + std::string(F::suffix));
    written_weights<F>(model, planned, path);
    CHECK(stored_weights<F>(path).size() == 4);
    return read_file(path);
  };
  const std::string with = text_of("with");
  for (ptq::planned_layer& layer : planned.layers) layer.weights.grain = {};
  CHECK(text_of("without") == with);
}
TEST_CASE_TEMPLATE_APPLY(grains, formats);

TEST_CASE_TEMPLATE_DEFINE("an error of the sink is passed on, and nothing is left", F, passes_on) {
  const auto model = opened<F>();
  const temporary_folder folder;
  const std::string path = folder / artifact_name<F>();
  const ptq::plan planned = plan_for(model.layers(), "int8");
  const auto by_result =
      write_as<F>(path, model, planned, {}, [](const ptq::quantized_layer&) -> ptq::result<void> {
        return ptq::error(ptq::errc::unsupported, "the sink", "wants no more.");
      });
  REQUIRE_FALSE(by_result);
  CHECK(by_result.error().what == "the sink: wants no more.");
  const auto by_status = write_as<F>(
      path, model, planned, {}, [](const ptq::quantized_layer&) { return ptq::status{ptq::errc::stopped}; });
  REQUIRE_FALSE(by_status);
  CHECK(by_status.error().code == ptq::errc::stopped);
  CHECK(ptq::names_in(folder.path()).empty());
}
TEST_CASE_TEMPLATE_APPLY(passes_on, formats);

TEST_CASE_TEMPLATE_DEFINE("a static plan asks for ranges, and sinks get them", F, asks) {
  const auto model = opened<F>();
  const temporary_folder folder;
  const std::string path = folder / artifact_name<F>();
  const ptq::plan planned = plan_for(model.layers(), "int8", "int8");
  const auto without = write_as<F>(path, model, planned, {}, ignored);
  REQUIRE_FALSE(without);
  CHECK(without.error().code == ptq::errc::no_data);
  CHECK(without.error().where == "layer \"conv1\"");
  auto ranges = ranges_for(planned);
  std::size_t seen = 0;
  const auto with = write_as<F>(path, model, planned, ranges, [&](const ptq::quantized_layer& q) {
    REQUIRE(q.input != nullptr);
    CHECK(&planned.layers[q.input->layer] == &q.planned);
    CHECK(q.input->scale == static_cast<float>(q.input->layer + 1) / 127);
    ++seen;
  });
  INFO(with.error().what);
  CHECK(with);
  CHECK(seen == 4);
  ranges.pop_back();
  const auto partly = write_as<F>(path, model, planned, ranges, ignored);
  REQUIRE_FALSE(partly);
  CHECK(partly.error().code == ptq::errc::no_data);
}
TEST_CASE_TEMPLATE_APPLY(asks, formats);

TEST_CASE_TEMPLATE_DEFINE("the range that a sink gets is the one that is stored", F, stores_ranges) {
  const auto model = opened<F>();
  const temporary_folder folder;
  const std::string path = folder / artifact_name<F>();
  const ptq::plan planned = plan_for(model.layers(), "int8", "int8");
  auto ranges = ranges_for(planned);
  ranges.push_back(ranges.front());  // again, and otherwise
  ranges.back().scale *= 2;
  ranges.push_back(ranges.front());
  ranges.back().layer = std::size_t{1} << 40;  // of another plan
  std::map<std::string, float> given;
  auto artifact = write_as<F>(path, model, planned, ranges,
                              [&](const ptq::quantized_layer& q) { given[q.source.name] = q.input->scale; });
  INFO(artifact.error().what);
  REQUIRE(artifact);
  REQUIRE(artifact->commit());
  auto written = open_artifact_of<F>(path);
  REQUIRE(written);
  const auto contents = F::contents(*std::move(written));
  REQUIRE(contents);
  std::map<std::string, float> stored;
  for (const ptq::listed_layer& layer : contents->layers)
    if (layer.input && layer.weights) stored[layer.name] = layer.input->scale;  // sinks see no others
  CHECK(stored == given);
}
TEST_CASE_TEMPLATE_APPLY(stores_ranges, formats);

TEST_CASE_TEMPLATE_DEFINE("scales of inputs are positive; who found them need not be said", F,
                          checks_scales) {
  const auto model = opened<F>();
  const temporary_folder folder;
  const std::string path = folder / artifact_name<F>();
  const ptq::plan planned = plan_for(model.layers(), "int8", "int8");
  auto ranges = ranges_for(planned);
  for (ptq::activation_range& range : ranges) range.algorithm = nullptr;
  CHECK(write_as<F>(path, model, planned, ranges, ignored));
  for (const float bad : {0.0F, -0.0F, -1.0F, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    ranges.front().scale = bad;
    const auto refused = write_as<F>(path, model, planned, ranges, ignored);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ptq::errc::invalid_value);
    CHECK(refused.error().what.ends_with(
        "layer \"conv1\": the scale of its input must be a positive number. Calibrate first."));
    CHECK(ptq::names_in(folder.path()).empty());
  }
}
TEST_CASE_TEMPLATE_APPLY(checks_scales, formats);

TEST_CASE_TEMPLATE_DEFINE("a dtype that a format has no type for is refused by name", F, lacks) {
  const ptq::error refused = refusal_of<F>("strange");
  CHECK(refused.code == ptq::errc::unsupported);
  CHECK(refused.where.ends_with("layer \"conv1\""));
  CHECK(refused.what.find("\"strange\"") != std::string::npos);
}
TEST_CASE_TEMPLATE_APPLY(lacks, formats);

TEST_CASE("codes that lie in a row are one piece: names of data files come from the pieces") {
  const std::vector<float> weight(300 * 300, 1.0F);
  const ptq::any_view view(weight, ptq::tensor_shape{300, 300});
  const std::vector<ptq::layer> layers = ptq::layers_of(std::vector<ptq::named_tensor>{{"fc.weight", view}});
  for (const auto& [dtype, pieces, size] :
       {std::tuple("int8", std::size_t{1}, std::size_t{90000}), {"int4", 2, 45000}}) {
    CAPTURE(dtype);
    std::size_t count = 0;
    std::size_t bytes = 0;
    CHECK(ptq::apply<own_policies>(
        plan_for(layers, dtype), layers, [&](const ptq::quantized_layer& q) -> ptq::result<void> {
          return ptq::for_each_stored_piece(q.view(),
                                            [&](std::span<const std::byte> piece) -> ptq::result<void> {
                                              ++count;
                                              bytes += piece.size();
                                              return {};
                                            });
        }));
    CHECK(count == pieces);
    CHECK(bytes == size);
  }
}

TEST_CASE("ONNX takes codes for numbers: dtypes that mean others are refused") {
  CHECK(refusal_of<ptq::onnx_format>("offset8").what.ends_with(
      "layer \"conv1\": ONNX has no type for dtype \"offset8\"."));
  CHECK(refusal_of<ptq::onnx_format>("mirrored8")
            .what.ends_with("layer \"conv1\": ONNX has no type for dtype \"mirrored8\": it takes codes of "
                            "int8 for other numbers."));
  CHECK(refusal_of<ptq::onnx_format>("int8", "int7")
            .what.find("that its QuantizeLinear could make: int8 ends at other codes") != std::string::npos);
}

TEST_CASE("programs of ptq decode own dtypes themselves: a checkpoint's artifact may have any") {
  using F = ptq::safetensors_format;
  const auto model = opened<F>();
  const temporary_folder folder;
  const std::string path = folder / "q.safetensors";
  const decoded_weights made = written_weights<F>(model, plan_for(model.layers(), "mirrored8"), path);
  CHECK(stored_weights<F>(path) == made);
}

TEST_CASE("a file of no format is told what it looks like, and which are taken") {
  const temporary_folder folder;
  const std::string path = folder / "model.bin";
  {
    auto file = ptq::output_file::create(path);
    REQUIRE(file);
    REQUIRE(file->write(read_file(network<ptq::onnx_format>())));
    REQUIRE(file->commit());
  }
  const auto refused = ptq::model_file::open(path);
  REQUIRE_FALSE(refused);
  const std::string& said = refused.error().what;
  CAPTURE(said);
  CHECK(said.starts_with(path +
                         ": this is not a safetensors file: it looks like an ONNX model without the suffix "
                         ".onnx. Models are checkpoints (.safetensors, .safetensors.index.json, or a folder "
                         "with one), artifacts of ptq, "));
  CHECK(said.find(ptq::onnx_format::files) != std::string::npos);
}

TEST_CASE("a checkpoint of PyTorch is known by its content, whatever its name; the others are not nested") {
  const temporary_folder folder;
  for (const char* const name : {"model.bin", "model.safetensors", "model.onnx", "model"}) {
    const std::string path = folder / name;
    std::filesystem::copy_file(network<ptq::torch_format>(), path);
    const auto opened = ptq::model_file::open(path);
    INFO(opened.error().what);
    REQUIRE(opened);
    CHECK(opened->layers().size() == 4);
    CHECK(ptq::model_file::artifact_file_name(path, "", "q") == "quantized_model_q.pth");
  }
  const auto refused = ptq::model_file::open(network<ptq::safetensors_format>(), {"ema"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what ==
        "ptq.checkpoint.key: a model of the format safetensors is not nested, so there is no \"ema\" to look "
        "for. "
        "Leave the setting out.");
}
