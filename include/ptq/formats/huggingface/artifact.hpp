// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp Artifacts that are folders which Hugging Face's libraries, vLLM and others open:
/// weights, their index, a config.json that tells of the quantization, and the files that the model's folder
/// had.
#ifndef PTQ_FORMATS_HUGGINGFACE_ARTIFACT_HPP
#define PTQ_FORMATS_HUGGINGFACE_ARTIFACT_HPP

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/huggingface/config.hpp"
#include "ptq/formats/huggingface/folder.hpp"
#include "ptq/formats/huggingface/layer_scheme.hpp"
#include "ptq/formats/huggingface/shards.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/safetensors/artifact.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// ptq's own, and the word by which loaders know whose tensors they are.
inline metadata_map huggingface_metadata(const metadata_map& source, const plan& backend_and_mode,
                                         std::span<const stored_layer> layers) {
  metadata_map metadata = ptq_metadata(source, backend_and_mode, layers);
  metadata["format"] = "pt";
  return metadata;
}

/// A small file of such an artifact.
struct config_file {
  std::string name;
  ordered_json content;
};

/// An `artifact_format` of checkpoints that have a config.json beside them.
///
/// @tparam Layout says what is particular: name, note, `layout` (of the tensors), check(schemes), and
///   config_files(config, schemes): the files by which loaders tell, of which config.json is the last
template <class Layout>
struct huggingface_artifact {
  static constexpr const char* name = Layout::name;
  static constexpr const char* note = Layout::note;
  static constexpr bool is_folder = true;

  template <class F>
  static constexpr bool takes = std::same_as<typename F::model, checkpoint_model>;

  template <class F>
  static std::string file_name(const std::string&) {
    return "model.safetensors";
  }

  /// Whether a file of this name is one that loaders read tensors or their dtypes from.
  static bool is_own(std::string_view file) noexcept {
    const bool is_weights =
        file.ends_with(".safetensors") && (file == "model.safetensors" || file.starts_with("model-0"));
    return is_weights || file == shard_index_name || file == "hf_quant_config.json";
  }

  /// Of other files, too, loaders would take the tensors. Parts (artifact/parts.hpp) are for `merge` to take.
  static bool is_part_of(std::string_view artifact, std::string_view file) noexcept {
    const bool is_older = file.ends_with(".safetensors") && file.starts_with("quantized_model_") &&
                          file.find("-part-") == std::string_view::npos;
    return artifact == "model.safetensors" && (is_own(file) || is_older);
  }

  /// @return cannot_open: there is no config.json; what `read_huggingface_config`, `Layout::check`,
  ///   `expect_untied`, `expect_alone` and `safetensors_artifact::check` return
  template <class Policies, class F>
  static result<void> check(const checkpoint_model& model, const plan& planned) {
    const auto config = read_config(model);
    if (!config) return config.error();
    const std::vector<layer_scheme> schemes = schemes_of(planned);
    if (auto known = Layout::check(schemes); !known) return known;
    if (auto untied = expect_untied(*config, schemes); !untied) return untied;
    if (auto alone = expect_alone(model.file(), *config, schemes); !alone) return alone;
    if (auto whole = expect_whole_folder(*find_huggingface_folder(model.files())); !whole) return whole;
    return safetensors_artifact::check<Policies, F>(model, planned);
  }

  /// @return what `check` and `write_artifact` return; cannot_open, cannot_write: a file that is carried
  /// along
  template <class Policies, class F, layer_sink Sink, executor Run = serial>
  static result<pending_artifact> write(const std::string& path, const checkpoint_model& model,
                                        const plan& planned, std::span<const activation_range> ranges,
                                        Sink&& sink, const Run& run = {}) {
    if (auto fits = check<Policies, F>(model, planned); !fits) return fits.error();
    auto made = write_artifact<Policies>(Layout::layout, path, model.file(), planned, model.layers(), sink,
                                         ranges, run);
    return complete(std::move(made), path, model, schemes_of(planned));
  }

  /// @return as above, and what `read_artifact` returns
  template <class Policies, class F>
  static result<pending_artifact> convert(const std::string& path, const checkpoint_model& model) {
    const auto content = read_artifact<Policies>(model.file());
    if (!content) return content.error();
    const std::vector<layer_scheme> schemes = schemes_of(*content, model.layers());
    const auto config = read_config(model);
    if (!config) return config.error();
    if (auto known = Layout::check(schemes); !known) return known.error();
    if (auto untied = expect_untied(*config, schemes); !untied) return untied.error();
    if (auto whole = expect_whole_folder(*find_huggingface_folder(model.files())); !whole)
      return whole.error();
    return complete(convert_artifact<Policies>(Layout::layout, path, model.file(), *content), path, model,
                    schemes);
  }

 private:
  static result<ordered_json> read_config(const checkpoint_model& model) {
    const auto folder = find_huggingface_folder(model.files());
    if (!folder)
      return error(errc::cannot_open, model.path(),
                   "there is no config.json beside this model, by which loaders build it. Copy it there (and "
                   "the tokenizer), or take --format safetensors.");
    return read_huggingface_config(*folder, is_artifact(model.file()));
  }

  /// Adds the other files.
  static result<pending_artifact> complete(result<pending_artifact> made, const std::string& path,
                                           const checkpoint_model& model,
                                           std::span<const layer_scheme> schemes) {
    if (!made) return made;
    const auto config = read_config(model);
    if (!config) return config.error();
    if (auto carried = carry_files(*find_huggingface_folder(model.files()), path, *made); !carried)
      return carried.error();
    for (const config_file& one : Layout::config_files(*config, schemes)) {
      auto file = output_file::create(folder_of(path) + "/" + one.name);
      if (!file) return file.error();
      if (auto written = file->write(config_text(one.content)); !written) return written.error();
      made->add(*std::move(file), one.name);
    }
    return made;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_HUGGINGFACE_ARTIFACT_HPP
