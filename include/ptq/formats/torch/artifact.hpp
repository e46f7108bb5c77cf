// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp ptq's own artifacts, as checkpoints of PyTorch.
#ifndef PTQ_FORMATS_TORCH_ARTIFACT_HPP
#define PTQ_FORMATS_TORCH_ARTIFACT_HPP

#include <string>

#include "ptq/formats/checkpoint/checkpoint_artifact.hpp"
#include "ptq/formats/torch/layout.hpp"
#include "ptq/formats/torch/pickle_writer.hpp"
#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {
namespace detail {

struct torch_archive_types {
  static bool has(element_type type) noexcept { return torch_dtype_of(type) != nullptr; }
  static constexpr const char* suffix = ".pth";
  static constexpr const char* kind = "a checkpoint of PyTorch";
  static constexpr const char* remedy = "Take the form \"safetensors\".";
};

}  // namespace detail

/// An `artifact_format` of checkpoints.
struct torch_artifact : checkpoint_artifact<ptq_in_torch, detail::torch_archive_types> {
  static constexpr const char* name = "pth";
  static constexpr const char* note =
      "a dict of tensors for torch.load(path, weights_only=True); --format safetensors is the other "
      "container";

  template <class F>
  static std::string file_name(const std::string& backend) {
    return "quantized_model_" + backend + suffix;
  }
};

/// Of `float_artifact`.
using torch_floats = checkpoint_artifact<floats_in_torch, detail::torch_archive_types>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_ARTIFACT_HPP
