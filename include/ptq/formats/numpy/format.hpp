// SPDX-License-Identifier: Apache-2.0
/// @file format.hpp NumPy's .npz files as a format of models: arrays by the names of tensors. Their
/// artifacts are safetensors files.
#ifndef PTQ_FORMATS_NUMPY_FORMAT_HPP
#define PTQ_FORMATS_NUMPY_FORMAT_HPP

#include <string>
#include <utility>

#include "ptq/config/spec.hpp"
#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/from_checkpoint.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/named_model.hpp"
#include "ptq/formats/checkpoint/settings.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/numpy/checkpoint.hpp"
#include "ptq/formats/safetensors/artifact.hpp"
#include "ptq/formats/zip.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// What np.savez writes, by content. A `model_format`.
struct npz_format {
  using model = checkpoint_model;
  using artifact = safetensors_artifact;
  using floats = safetensors_floats;
  using networks = checkpoint_networks;

  static constexpr const char* name = "NPZ";
  static constexpr const char* suffix = ".npz";
  static constexpr const char* files = "archives of arrays (.npz)";
  static constexpr const char* kind = "an .npz archive";

  static constexpr const char* artifact_note =
      "a safetensors file, also where the model is an .npz archive: .npz is read, not written";

  static bool recognises(const std::string& path) {
    if (is_folder(path)) return false;
    const auto file = mapped_file::open(path);
    return file && first_zip_name(file->bytes()).value_or("").ends_with(".npy");
  }

  /// What it recognises it explains, too.
  static bool denies(const error&) noexcept { return false; }

  static result<model> open(const std::string& path, const checkpoint_config& how = {}) {
    if (auto flat = refuse_key(how, name); !flat) return flat.error();
    auto opened = open_npz(path);
    if (!opened) return opened.error();
    return named_model(absolute_path(path), std::move(opened->file), how, std::move(opened->notes));
  }

  template <class Policies = builtin>
  static result<model_contents> contents(model&& opened) {
    return contents_of<Policies>(std::move(opened));
  }

  /// Weights alone do not tell.
  static result<void> check_origin(const model&, const model&) { return {}; }
};

static_assert(model_format<npz_format>);

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_NUMPY_FORMAT_HPP
