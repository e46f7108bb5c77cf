// SPDX-License-Identifier: Apache-2.0
/// @file format.hpp safetensors as a format of models.
#ifndef PTQ_FORMATS_SAFETENSORS_FORMAT_HPP
#define PTQ_FORMATS_SAFETENSORS_FORMAT_HPP

#include <string>
#include <utility>

#include "ptq/config/spec.hpp"
#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/from_checkpoint.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/named_model.hpp"
#include "ptq/formats/checkpoint/settings.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/safetensors/artifact.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// A file, an index of several, or a folder with either (`open_safetensors`). A `model_format`.
struct safetensors_format {
  using model = checkpoint_model;
  using artifact = safetensors_artifact;
  using floats = safetensors_floats;
  using networks = checkpoint_networks;

  static constexpr const char* name = "safetensors";
  static constexpr const char* suffix = ".safetensors";
  static constexpr const char* files =
      "checkpoints (.safetensors, .safetensors.index.json, or a folder with one), artifacts of ptq";
  static constexpr const char* kind = "a safetensors file";

  static bool recognises(const std::string& path) {
    return path.ends_with(detail::safetensors_suffix) || path.ends_with(detail::safetensors_index_suffix);
  }

  static bool denies(const error& refused) noexcept {
    return refused.code == errc::header_too_large || refused.code == errc::invalid_header_length;
  }

  static result<model> open(const std::string& path, const checkpoint_config& how = {}) {
    if (auto flat = refuse_key(how, name); !flat) return flat.error();
    auto file = open_safetensors(path);
    if (!file) return file.error();
    return named_model(absolute_path(path), *std::move(file), how);
  }

  template <class Policies = builtin>
  static result<model_contents> contents(model&& opened) {
    return contents_of<Policies>(std::move(opened));
  }

  /// Weights alone do not tell.
  static result<void> check_origin(const model&, const model&) { return {}; }
};

static_assert(model_format<safetensors_format>);

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_FORMAT_HPP
