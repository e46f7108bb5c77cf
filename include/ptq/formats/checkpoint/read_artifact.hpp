// SPDX-License-Identifier: Apache-2.0
/// @file read_artifact.hpp Reads an artifact that is a checkpoint. It says itself what its layers are: no
/// specification and no patterns are needed.
#ifndef PTQ_FORMATS_CHECKPOINT_READ_ARTIFACT_HPP
#define PTQ_FORMATS_CHECKPOINT_READ_ARTIFACT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/formats/torch/open.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline std::string metadata_value(const metadata_map& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

/// Finds the tensors of the layers that `ptq_layers` describes, and checks that both agree.
template <class Policies>
class artifact_reader {
 public:
  artifact_reader(const checkpoint& file, std::string where) : file_(file), where_(std::move(where)) {}

  result<artifact> read() const {
    artifact content;
    content.version = metadata_value(file_.metadata(), "ptq_version");
    content.backend = metadata_value(file_.metadata(), "ptq_backend");
    content.mode = metadata_value(file_.metadata(), "ptq_mode");
    const auto described =
        parse_json(metadata_value(file_.metadata(), "ptq_layers"), where_ + ": ptq_layers");
    if (!described) return described.error();
    if (!described->is_object()) return damaged("ptq_layers", "is not an object");
    for (const auto& [name, about] : described->items()) {
      auto layer = read_layer(name, about);
      if (!layer) return layer.error();
      content.layers.push_back(*std::move(layer));
    }
    return content;
  }

 private:
  using json = nlohmann::json;

  error damaged(const std::string& what, const std::string& how) const {
    return {errc::wrong_format, where_, what + " " + how + ". The artifact is damaged; make it again."};
  }

  static std::string text_at(const json& about, const char* key) {
    const auto found = about.find(key);
    return found != about.end() && found->is_string() ? found->template get<std::string>() : std::string();
  }

  result<artifact_layer> read_layer(const std::string& name, const json& about) const {
    const json weights = about.is_object() ? about.value("weights", json()) : json();
    const json activations = about.is_object() ? about.value("activations", json()) : json();
    if (!weights.is_object() && !activations.is_object())
      return damaged("ptq_layers: \"" + name + "\"", "describes neither weights nor activations");
    artifact_layer layer{name, text_at(about, "class"), {}, {}};
    if (weights.is_object()) {
      auto read = read_weights(name + ".weight", weights);
      if (!read) return read.error();
      layer.weights = *std::move(read);
    }
    if (activations.is_object()) {
      auto read = read_activations(name, activations);
      if (!read) return read.error();
      layer.activations = *std::move(read);
    }
    return layer;
  }

  result<artifact_weights> read_weights(const std::string& name, const json& about) const {
    const std::string tensor = "tensor \"" + name + "\"";
    const stored_tensor* const codes = file_.find(name);
    if (codes == nullptr) return damaged(tensor, "is missing");
    if (codes->shape.size() > max_rank)
      return damaged(tensor, "has rank " + std::to_string(codes->shape.size()));
    if (codes->strides) return damaged(tensor, "is a view that is not row-major");
    artifact_weights weights{
        text_at(about, "dtype"), tensor_shape(std::span(codes->shape)), {}, codes->data, {}};
    const dtype_row* const dtype = find_dtype_row<Policies>(weights.dtype);
    if (dtype == nullptr || (!dtype->is_packed() && dtype->stored == element_type::unknown))
      return error(
          errc::unsupported, where_,
          tensor + " has the dtype \"" + weights.dtype +
              "\", which this program does not have. It is a dtype of the program that wrote the artifact: "
              "read it with that one.");
    if (const json bits = about.value("bits", json(dtype->bits)); bits != dtype->bits)
      return damaged(tensor, "has codes of " + dump_json(bits) + " bits, but those of \"" + weights.dtype +
                                 "\" have " + std::to_string(dtype->bits));
    if (dtype->is_packed() && codes->type != dtype->stored) {
      auto shape = read_packed_shape(*codes, *dtype, about.value("shape", json()));
      if (!shape) return shape.error();
      weights.shape = *shape;
    } else if (codes->type != dtype->stored) {
      return damaged(tensor, std::string("is ") + codes->type_name + ", but \"" + weights.dtype +
                                 "\" is stored as " + file_.word_of(dtype->stored));
    }
    if (text_at(about, "granularity") == "per_channel") {
      const json axis = about.value("axis", json());
      if (!axis.is_number_unsigned() || axis.get<std::size_t>() >= weights.shape.rank)
        return damaged("ptq_layers: \"axis\" for \"" + name + "\"",
                       "is not an axis of " + extents_text(weights.shape));
      weights.grain = per_channel(axis.get<std::size_t>());
    }
    const auto scales = read_scales(name + "_scale", stored_scale_shape(weights.shape, weights.grain));
    if (!scales) return scales.error();
    weights.scales = *scales;
    const auto source = read_source(name, about);
    if (!source) return source.error();
    weights.source = *source;
    return weights;
  }

  /// Most weights were float32, which nobody says.
  result<element_type> read_source(const std::string& name, const json& about) const {
    if (!about.contains("source")) return element_type::float32;
    for (const element_type type :
         {element_type::float16, element_type::bfloat16, element_type::float32, element_type::float64})
      if (text_at(about, "source") == name_of(type)) return type;
    return damaged("ptq_layers: \"source\" for \"" + name + "\"", "is not a type of floats");
  }

  /// The shape of codes that are stored as bytes: the tensor itself has none.
  result<tensor_shape> read_packed_shape(const stored_tensor& codes, const dtype_row& dtype,
                                         const json& about) const {
    const std::string tensor = "tensor \"" + codes.name + "\"";
    const auto is_extent = [](const json& extent) { return extent.is_number_unsigned(); };
    if (!about.is_array() || about.size() > max_rank || !std::all_of(about.begin(), about.end(), is_extent))
      return damaged("ptq_layers: \"shape\" for \"" + codes.name + "\"", "is not a list of extents");
    const auto extents = about.get<std::vector<std::size_t>>();
    const auto size = safetensors_size(element_type::uint8, extents);  // with a byte for each code
    if (codes.type != element_type::uint8 || !size || dtype.stored_size(*size) != codes.data.size())
      return damaged(tensor, "does not hold " + extents_text(extents) + " codes of " + dtype.name +
                                 ", packed into bytes");
    return tensor_shape(std::span(extents));
  }

  result<artifact_activations> read_activations(const std::string& name, const json& about) const {
    const auto scale = read_scales(name + ".input_scale", {});
    if (!scale) return scale.error();
    const json amax = about.value("amax", json());
    if (!amax.is_number()) return damaged("ptq_layers: \"amax\" for \"" + name + "\"", "is not a number");
    return artifact_activations{text_at(about, "dtype"), text_at(about, "algorithm"), amax.get<float>(),
                                scale->front()};
  }

  result<std::span<const float>> read_scales(const std::string& name,
                                             const std::vector<std::size_t>& shape) const {
    const std::string tensor = "tensor \"" + name + "\"";
    const stored_tensor* const stored = file_.find(name);
    if (stored == nullptr) return damaged(tensor, "is missing");
    const bool fits =
        stored->shape == shape || (shape.empty() && stored->shape == std::vector<std::size_t>{1});
    if (stored->type != element_type::float32 || !fits)
      return damaged(tensor, "is not of shape " + extents_text(shape) + " and F32");
    if (stored->strides) return damaged(tensor, "is a view that is not row-major");
    const auto* const first = static_cast<const float*>(static_cast<const void*>(stored->data.data()));
    if (reinterpret_cast<std::uintptr_t>(first) % alignof(float) != 0)
      return damaged(tensor, "does not lie at a multiple of 4 bytes");
    const std::span scales(first, stored->data.size() / sizeof(float));
    if (!std::all_of(scales.begin(), scales.end(), is_scale))
      return damaged(tensor, "holds a number that is not positive and finite");
    return scales;
  }

  const checkpoint& file_;
  std::string where_;
};

}  // namespace detail

/// Also of one in a layout of others, whose word for the format is theirs.
inline bool is_artifact(const checkpoint& file) {
  return detail::metadata_value(file.metadata(), "format") == "ptq" || file.metadata().contains("ptq_layers");
}

/// The quantized layers of an open artifact, as views into it. What is not quantized is among the tensors of
/// the checkpoint.
///
/// @tparam Policies has the dtypes that the artifact uses: the bundle that it was written with
/// @return wrong_format: not an artifact, or one that is damaged; syntax: `ptq_layers` is not JSON;
///   unsupported: a dtype that the policies lack
template <class Policies = builtin>
result<artifact> read_artifact(const checkpoint& file) {
  const std::string where = file.files().empty() ? std::string() : absolute_path(file.files().front().path());
  if (is_artifact(file)) return detail::artifact_reader<Policies>(file, where).read();
  return error(
      errc::wrong_format, where,
      "this is not an artifact of ptq: its metadata lack \"format\": \"ptq\". Make one with `ptq quantize`.");
}

/// An artifact, and the file that it looks into.
struct artifact_file {
  checkpoint file;
  artifact content;
};

namespace detail {

/// By content where it is a checkpoint of PyTorch.
inline result<checkpoint> open_artifact_container(const std::string& path) {
  const auto is_of_torch = [&] {
    const auto file = mapped_file::open(path);
    return file && torch_container_of(file->bytes()) != torch_container_kind::none;
  };
  if (is_folder(path) || !is_of_torch()) return open_safetensors(path);
  auto opened = open_torch(path);
  if (!opened) return opened.error();
  return std::move(opened->file);
}

}  // namespace detail

/// @return what `open_safetensors`, `open_torch` and `read_artifact` return
template <class Policies = builtin>
result<artifact_file> open_artifact(const std::string& path) {
  auto file = detail::open_artifact_container(path);
  if (!file) return file.error();
  auto content = read_artifact<Policies>(*file);
  if (!content) return content.error();
  return artifact_file{*std::move(file), *std::move(content)};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_READ_ARTIFACT_HPP
