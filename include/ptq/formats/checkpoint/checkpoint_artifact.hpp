// SPDX-License-Identifier: Apache-2.0
/// @file checkpoint_artifact.hpp What the forms that checkpoints are quantized into have in common.
#ifndef PTQ_FORMATS_CHECKPOINT_CHECKPOINT_ARTIFACT_HPP
#define PTQ_FORMATS_CHECKPOINT_CHECKPOINT_ARTIFACT_HPP

#include <concepts>
#include <span>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// All of an `artifact_format` but its name and that of its file.
///
/// @tparam Layout    of what is written
/// @tparam Container has(element_type), the `suffix` of files, its `kind` in words, and a `remedy` for a
/// tensor of a type that it lacks
template <const artifact_layout& Layout, class Container>
struct checkpoint_artifact {
  static constexpr const char* suffix = Container::suffix;

  template <class F>
  static constexpr bool takes = std::same_as<typename F::model, checkpoint_model>;

  static bool is_part_of(std::string_view, std::string_view) noexcept { return false; }

  /// @return unsupported: a tensor that the container has no element type for
  template <class Policies, class F>
  static result<void> check(const checkpoint_model& model, const plan&) {
    for (const stored_tensor& tensor : model.file().tensors())
      if (!Container::has(tensor.type))
        return error(errc::unsupported, model.path() + ": tensor \"" + tensor.name + "\"",
                     std::string("it is of ") + tensor.type_name + ", which the artifact, " +
                         Container::kind + ", has no type for. " + Container::remedy);
    return {};
  }

  /// @return what `check` and `write_artifact` return
  template <class Policies, class F, layer_sink Sink, executor Run = serial>
  static result<pending_artifact> write(const std::string& path, const checkpoint_model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink, const Run& run = {}) {
    if (auto fits = check<Policies, F>(model, planned); !fits) return fits.error();
    return write_artifact<Policies>(Layout, path, model.file(), planned, model.layers(), sink, ranges, run);
  }

  /// @return what `check`, `read_artifact` and `convert_artifact` return
  template <class Policies, class F, executor Run = serial>
  static result<pending_artifact> convert(const std::string& path, const checkpoint_model& artifact,
                                          const Run& run = {}) {
    const auto content = read_artifact<Policies>(artifact.file());
    if (!content) return content.error();
    if (auto fits = check<Policies, F>(artifact, {}); !fits) return fits.error();
    return convert_artifact<Policies>(Layout, path, artifact.file(), *content, run);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_CHECKPOINT_ARTIFACT_HPP
