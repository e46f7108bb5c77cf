// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp ptq's own artifacts, as safetensors files.
#ifndef PTQ_FORMATS_SAFETENSORS_ARTIFACT_HPP
#define PTQ_FORMATS_SAFETENSORS_ARTIFACT_HPP

#include <string>

#include "ptq/formats/checkpoint/checkpoint_artifact.hpp"
#include "ptq/formats/safetensors/layout.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

namespace detail {

struct safetensors_types_of_files {
  static bool has(element_type type) noexcept { return safetensors_place(type).has_value(); }
  static constexpr const char* suffix = ".safetensors";
  static constexpr const char* kind = "a safetensors file";
  static constexpr const char* remedy =
      "Save the checkpoint without it, or as torch.view_as_real(x), or take the form \"pth\".";
};

}  // namespace detail

/// An `artifact_format` of checkpoints.
struct safetensors_artifact : checkpoint_artifact<ptq_in_safetensors, detail::safetensors_types_of_files> {
  static constexpr const char* name = "safetensors";

  template <class F>
  static std::string file_name(const std::string& backend) {
    return "quantized_model_" + backend + suffix;
  }
};

/// Of `float_artifact`.
using safetensors_floats = checkpoint_artifact<floats_in_safetensors, detail::safetensors_types_of_files>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_ARTIFACT_HPP
