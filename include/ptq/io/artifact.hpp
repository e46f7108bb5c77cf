// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp Reads the safetensors artifact: it says itself what its layers are, so no specification
/// and no patterns are needed.
#ifndef PTQ_IO_ARTIFACT_HPP
#define PTQ_IO_ARTIFACT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/io/checkpoint.hpp"
#include "ptq/io/json.hpp"
#include "ptq/io/safetensors.hpp"
#include "ptq/model/artifact.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

struct dtype_storage {
  std::string_view dtype;
  stored_type type;
};

/// How files store the codes of each dtype.
inline constexpr dtype_storage dtype_storages[] = {
    {"int8", stored_type::i8}, {"fp8_e4m3fn", stored_type::f8_e4m3}, {"fp8_e5m2", stored_type::f8_e5m2}};

constexpr std::optional<stored_type> stored_type_of(std::string_view dtype) noexcept {
  for (const dtype_storage& row : dtype_storages)
    if (row.dtype == dtype) return row.type;
  return {};
}

inline std::string metadata_value(const metadata_map& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

/// Reads the layers that `ptq_layers` describes out of a checkpoint.
class artifact_reader {
 public:
  artifact_reader(const checkpoint& file, std::string where) : file_(file), where_(std::move(where)) {}

  result<artifact> read() const {
    artifact read;
    read.version = metadata_value(file_.metadata(), "ptq_version");
    read.backend = metadata_value(file_.metadata(), "ptq_backend");
    read.mode = metadata_value(file_.metadata(), "ptq_mode");
    const auto described =
        parse_json(metadata_value(file_.metadata(), "ptq_layers"), where_ + ": ptq_layers");
    if (!described) return described.error();
    if (!described->is_object()) return wrong("ptq_layers", "is not an object");
    for (const auto& [name, about] : described->items()) {
      auto layer = read_layer(name, about);
      if (!layer) return layer.error();
      read.layers.push_back(*std::move(layer));
    }
    return read;
  }

 private:
  using json = nlohmann::json;

  error wrong(const std::string& what, const std::string& how) const {
    return error(errc::wrong_format, where_, what + " " + how + ". The artifact is damaged: make it again.");
  }

  static std::string text_at(const json& about, const char* key) {
    const auto found = about.find(key);
    return found != about.end() && found->is_string() ? found->get<std::string>() : std::string();
  }

  result<artifact_layer> read_layer(const std::string& name, const json& about) const {
    if (!about.is_object()) return wrong("ptq_layers: \"" + name + "\"", "is not an object");
    artifact_layer layer{name, text_at(about, "class"), {}, {}};
    if (const auto weights = about.find("weights"); weights != about.end() && weights->is_object()) {
      auto read = read_weights(name, *weights);
      if (!read) return read.error();
      layer.weights = *std::move(read);
    }
    if (const auto activations = about.find("activations");
        activations != about.end() && activations->is_object()) {
      auto read = read_activations(name, *activations);
      if (!read) return read.error();
      layer.activations = *std::move(read);
    }
    return layer;
  }

  result<artifact_weights> read_weights(const std::string& name, const json& about) const {
    const std::string codes_name = name + ".weight";
    const stored_tensor* codes = file_.find(codes_name);
    if (codes == nullptr || codes->shape.size() > max_rank)
      return wrong("tensor \"" + codes_name + "\"", "is missing");
    artifact_weights weights{
        text_at(about, "dtype"), tensor_shape(std::span(codes->shape)), per_tensor(), codes->data, {}};
    if (stored_type_of(weights.dtype) != codes->type)
      return wrong("tensor \"" + codes_name + "\"", "is " + std::string(name_of(codes->type)) +
                                                        ", which is not how \"" + weights.dtype +
                                                        "\" is stored");
    if (text_at(about, "granularity") == "per_channel") {
      const auto axis = about.find("axis");
      if (axis == about.end() || !axis->is_number_unsigned() ||
          axis->get<std::uint64_t>() >= weights.shape.rank)
        return wrong("ptq_layers: the axis of \"" + name + "\"", "is not one of its weight");
      weights.grain = per_channel(axis->get<std::size_t>());
    }
    const auto scales = read_scales(codes_name + "_scale", scale_count(weights.shape, weights.grain));
    if (!scales) return scales.error();
    weights.scales = *scales;
    return weights;
  }

  result<artifact_activations> read_activations(const std::string& name, const json& about) const {
    const auto scale = read_scales(name + ".input_scale", 1);
    if (!scale) return scale.error();
    const auto amax = about.find("amax");
    if (amax == about.end() || !amax->is_number())
      return wrong("ptq_layers: the amax of \"" + name + "\"", "is missing");
    return artifact_activations{text_at(about, "dtype"), text_at(about, "algorithm"), amax->get<float>(),
                                (*scale)[0]};
  }

  result<std::span<const float>> read_scales(const std::string& name, std::size_t count) const {
    const stored_tensor* tensor = file_.find(name);
    if (tensor == nullptr) return wrong("tensor \"" + name + "\"", "is missing");
    if (tensor->type != stored_type::f32 || tensor->data.size() != count * sizeof(float))
      return wrong("tensor \"" + name + "\"", "does not hold " + std::to_string(count) + " F32 numbers");
    if (reinterpret_cast<std::uintptr_t>(tensor->data.data()) % alignof(float) != 0)
      return wrong("tensor \"" + name + "\"", "is not aligned");
    return std::span(static_cast<const float*>(static_cast<const void*>(tensor->data.data())), count);
  }

  const checkpoint& file_;
  std::string where_;
};

}  // namespace detail

inline bool is_artifact(const checkpoint& file) {
  return detail::metadata_value(file.metadata(), "format") == "ptq";
}

/// The layers of an open artifact, as views into it.
///
/// @return wrong_format: not an artifact, or one whose description and tensors disagree
inline result<artifact> read_artifact(const checkpoint& file) {
  const std::string where = file.files().empty() ? std::string() : absolute_path(file.files().front().path());
  if (!is_artifact(file))
    return error(
        errc::wrong_format, where,
        "this is not an artifact of ptq: its metadata lacks format = ptq. Make one with `ptq quantize`.");
  return detail::artifact_reader(file, where).read();
}

/// An artifact and the file that it looks into.
struct artifact_file {
  checkpoint file;
  artifact content;
};

inline result<artifact_file> open_artifact(const std::string& path) {
  auto file = open_safetensors(path);
  if (!file) return file.error();
  auto content = read_artifact(*file);
  if (!content) return content.error();
  return artifact_file{*std::move(file), *std::move(content)};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ARTIFACT_HPP
