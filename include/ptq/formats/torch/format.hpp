// SPDX-License-Identifier: Apache-2.0
/// @file format.hpp Checkpoints of PyTorch as a format of models.
#ifndef PTQ_FORMATS_TORCH_FORMAT_HPP
#define PTQ_FORMATS_TORCH_FORMAT_HPP

#include <string>
#include <utility>

#include "ptq/config/spec.hpp"
#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/from_checkpoint.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/named_model.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/torch/artifact.hpp"
#include "ptq/formats/torch/checksums.hpp"
#include "ptq/formats/torch/folder.hpp"
#include "ptq/formats/torch/open.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// What torch.save writes: .pth, .pt, .bin, .ckpt, .pth.tar, by content; pytorch_model.bin.index.json, and
/// folders with one or the other. A `model_format`.
struct torch_format {
  using model = checkpoint_model;
  using artifact = torch_artifact;
  using floats = torch_floats;
  using networks = checkpoint_networks;

  static constexpr const char* name = "PyTorch";
  static constexpr const char* suffix = ".pth";
  static constexpr const char* files = "checkpoints of PyTorch (.pth, .pt, .bin, .ckpt: torch.save)";
  static constexpr const char* kind = "a checkpoint of PyTorch";

  static bool recognises(const std::string& path) {
    if (names_torch_files(path)) return true;
    if (is_folder(path)) return false;
    const auto file = mapped_file::open(path);
    return file && torch_container_of(file->bytes()) != torch_container_kind::none;
  }

  /// What it recognises it explains, too.
  static bool denies(const error&) noexcept { return false; }

  static result<model> open(const std::string& path, const checkpoint_config& how = {}) {
    auto opened = open_torch_files(path, how.key);
    if (!opened) return opened.error();
    for (const mapped_file& file : opened->file.files())
      if (auto whole = check_torch_checksums(file.bytes(), absolute_path(file.path())); !whole)
        return whole.error();
    return named_model(absolute_path(path), std::move(opened->file), how, std::move(opened->notes));
  }

  template <class Policies = builtin>
  static result<model_contents> contents(model&& opened) {
    return contents_of<Policies>(std::move(opened));
  }

  /// Weights alone do not tell.
  static result<void> check_origin(const model&, const model&) { return {}; }
};

static_assert(model_format<torch_format>);

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_FORMAT_HPP
