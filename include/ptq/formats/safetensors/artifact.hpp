// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp ptq's own artifacts, as safetensors files.
#ifndef PTQ_FORMATS_SAFETENSORS_ARTIFACT_HPP
#define PTQ_FORMATS_SAFETENSORS_ARTIFACT_HPP

#include <concepts>
#include <span>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/safetensors/layout.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// An `artifact_format` of checkpoints.
struct safetensors_artifact {
  static constexpr const char* name = "safetensors";

  template <class F>
  static constexpr bool takes = std::same_as<typename F::model, checkpoint_model>;

  template <class F>
  static std::string file_name(const std::string& backend) {
    return "quantized_model_" + backend + ".safetensors";
  }

  static bool is_part_of(std::string_view, std::string_view) noexcept { return false; }

  /// @return unsupported: a tensor that the artifact has no element type for
  template <class Policies, class F>
  static result<void> check(const checkpoint_model& model, const plan&) {
    for (const stored_tensor& tensor : model.file().tensors())
      if (!safetensors_place(tensor.type))
        return error(
            errc::unsupported, model.path() + ": tensor \"" + tensor.name + "\"",
            std::string("it is of ") + tensor.type_name +
                ", which the artifact, a safetensors file, has no type for. Save the checkpoint without it, "
                "or as torch.view_as_real(x).");
    return {};
  }

  /// @return what `check` and `write_artifact` return
  template <class Policies, class F, layer_sink Sink, executor Run = serial>
  static result<pending_artifact> write(const std::string& path, const checkpoint_model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink, const Run& run = {}) {
    if (auto fits = check<Policies, F>(model, planned); !fits) return fits.error();
    return write_artifact<Policies>(ptq_in_safetensors, path, model.file(), planned, model.layers(), sink,
                                    ranges, run);
  }

  /// @return what `read_artifact` and `convert_artifact` return
  template <class Policies, class F>
  static result<pending_artifact> convert(const std::string& path, const checkpoint_model& artifact) {
    const auto content = read_artifact<Policies>(artifact.file());
    if (!content) return content.error();
    return convert_artifact<Policies>(ptq_in_safetensors, path, artifact.file(), *content);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_ARTIFACT_HPP
