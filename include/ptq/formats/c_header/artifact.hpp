// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp A quantized model as a C header, for firmware that has no files.
#ifndef PTQ_FORMATS_C_HEADER_ARTIFACT_HPP
#define PTQ_FORMATS_C_HEADER_ARTIFACT_HPP

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/c_header/write.hpp"
#include "ptq/formats/form_settings.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Files that are gone in the end.
class scratch_files {
 public:
  /// Beside a path, under a name that nobody has used.
  scratch_files(const std::string& path, std::string_view suffix)
      : folder_(folder_of(path)), path_(folder_ + "/.ptq-" + unused_digits() + std::string(suffix)) {}
  scratch_files(const scratch_files&) = delete;
  scratch_files& operator=(const scratch_files&) = delete;
  ~scratch_files() {
    for (const std::string& name : names_) remove_file(folder_ + "/" + name);
  }

  const std::string& path() const noexcept { return path_; }

  /// Lets an artifact appear that was written to `path`.
  result<void> take(pending_artifact written) {
    names_ = written.names();
    return written.commit();
  }

 private:
  std::string folder_;
  std::string path_;
  std::vector<std::string> names_;
};

inline result<pending_artifact> c_header_of(const std::string& path, const result<c_network>& network,
                                            const std::string& source, const form_settings& how) {
  if (!network) return network.error();
  if (network->layers.empty())
    return error(errc::wrong_format, source,
                 "there are no weights as codes in it: it is no artifact of ptq, or its weights are floats. "
                 "Make one with `ptq quantize`.");
  return write_c_header(path, *network, how);
}

}  // namespace detail

/// An `artifact_format` of those formats of models that have `networks`, which reads artifacts: a header of C
/// that has the codes, and for int8 activations what firmware computes with. It is written and not read. What
/// `write` makes has the bytes of what `convert` makes of the artifact in the model's own form: that is
/// written first, and is gone in the end.
struct c_header_artifact {
  static constexpr const char* name = "c-header";
  static constexpr bool has_settings = true;
  static constexpr const char* note = "constants for firmware; programs of ptq do not read it back";

  template <class F>
  static constexpr bool takes = requires { typename F::networks; };

  template <class F>
  static std::string file_name(const std::string& backend) {
    return "quantized_model_" + backend + ".h";
  }

  static bool is_part_of(std::string_view, std::string_view) noexcept { return false; }

  template <class Policies, class F>
  static result<void> check(const typename F::model& model, const plan& planned) {
    return F::artifact::template check<Policies, F>(model, planned);
  }

  /// @return what the model's own form returns, and `write_c_header`
  template <class Policies, class F, layer_sink Sink, executor Run = serial>
  static result<pending_artifact> write(const std::string& path, const typename F::model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink, [[maybe_unused]] const Run& run = {},
                                        const form_settings& how = {}) {
    using own = typename F::artifact;
    const std::string suffix = own::template file_name<F>("");
    detail::scratch_files scratch(path, suffix.substr(suffix.rfind('.')));
    auto written = [&] {
      if constexpr (requires { own::template write<Policies, F>(path, model, planned, ranges, sink, run); })
        return own::template write<Policies, F>(scratch.path(), model, planned, ranges, sink, run);
      else
        return own::template write<Policies, F>(scratch.path(), model, planned, ranges, sink);
    }();
    if (!written) return written.error();
    if (auto appeared = scratch.take(*std::move(written)); !appeared) return appeared.error();
    return detail::c_header_of(path, F::networks::template open<Policies>(scratch.path()), model.path(), how);
  }

  /// @return wrong_format: no artifact, or one without weights as codes; what `write_c_header` returns
  template <class Policies, class F, executor Run = serial>
  static result<pending_artifact> convert(const std::string& path, const typename F::model& artifact,
                                          const Run& = {}, const form_settings& how = {}) {
    return detail::c_header_of(path, F::networks::template of<Policies>(artifact), artifact.path(), how);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_ARTIFACT_HPP
