// SPDX-License-Identifier: Apache-2.0
/// @file float_artifact.hpp The float form of a quantized model: it runs wherever the model ran, and shows
/// what quantizing its weights costs.
#ifndef PTQ_FORMATS_FLOAT_ARTIFACT_HPP
#define PTQ_FORMATS_FLOAT_ARTIFACT_HPP

#include <span>
#include <string>
#include <string_view>

#include "ptq/formats/pending_artifact.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// An `artifact_format` of those formats of models that have `floats`, which does the work.
struct float_artifact {
  static constexpr const char* name = "float";
  static constexpr const char* note =
      "a float model: its weights have the values of their codes, in the element types that they had";

  template <class F>
  static constexpr bool takes = requires { typename F::floats; };

  template <class F>
  static std::string file_name(const std::string& backend) {
    return "float_model_" + backend + F::floats::suffix;
  }

  /// Those that have parts know them by the names of artifacts.
  static bool is_part_of(std::string_view, std::string_view) noexcept { return false; }

  template <class Policies, class F>
  static result<void> check(const typename F::model& model, const plan& planned) {
    return F::floats::template check<Policies, F>(model, planned);
  }

  template <class Policies, class F, layer_sink Sink, executor Run = serial>
  static result<pending_artifact> write(const std::string& path, const typename F::model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink, [[maybe_unused]] const Run& run = {}) {
    if constexpr (requires {
                    F::floats::template write<Policies, F>(path, model, planned, ranges, sink, run);
                  })
      return F::floats::template write<Policies, F>(path, model, planned, ranges, sink, run);
    else
      return F::floats::template write<Policies, F>(path, model, planned, ranges, sink);
  }

  template <class Policies, class F, executor Run = serial>
  static result<pending_artifact> convert(const std::string& path, const typename F::model& artifact,
                                          [[maybe_unused]] const Run& run = {}) {
    if constexpr (requires { F::floats::template convert<Policies, F>(path, artifact, run); })
      return F::floats::template convert<Policies, F>(path, artifact, run);
    else
      return F::floats::template convert<Policies, F>(path, artifact);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_FLOAT_ARTIFACT_HPP
