// SPDX-License-Identifier: Apache-2.0
/// @file sources.hpp The files that a run reads. It never writes over them.
#ifndef PTQ_CLI_SOURCES_HPP
#define PTQ_CLI_SOURCES_HPP

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats.hpp"
#include "ptq/formats/huggingface/folder.hpp"
#include "ptq/result.hpp"

namespace cli {

/// A file, and the setting that names it.
struct source {
  std::string setting;
  std::string path;
};

/// Whether both name one file, through links too. What does not exist is no file.
inline bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code missing;
  return std::filesystem::equivalent(a, b, missing);
}

inline bool have_same_bytes(const std::string& a, const std::string& b) {
  const auto first = ptq::mapped_file::open(a);
  const auto second = ptq::mapped_file::open(b);
  return first && second && std::ranges::equal(first->bytes(), second->bytes());
}

/// Also false where that cannot be seen.
inline bool is_there(const std::string& path) {
  std::error_code unseen;
  return std::filesystem::exists(path, unseen);
}

/// Calls f(setting, path) for each setting that names a file to be read. Where none is named the path is
/// empty.
template <class Spec, class F>
void each_source(Spec& spec, F f) {
  f("model_path", spec.quantize.model_path);
  f("ptq.module_types", spec.ptq.module_types_file);
  f("ptq.calibration.statistics", spec.ptq.calibration.statistics);
  const auto each_of_data = [&](const std::string& section, auto& data) {
    if (!data) return;
    for (auto& [input, file] : data->inputs) f(section + ".inputs", file);
    f(section + ".activations", data->activations);
    f(section + ".images_dir", data->images_dir);
    f(section + ".labels", data->labels);
  };
  each_of_data("dataset.quant_calibration_dataset", spec.calibration_data);
  each_of_data("evaluate", spec.evaluation_data);
}

/// Every file that a specification names, but for itself.
inline std::vector<source> sources_of(const ptq::spec& spec) {
  std::vector<source> sources;
  each_source(
      spec, [&](const std::string& setting, const std::string& path) { sources.push_back({setting, path}); });
  return sources;
}

/// Every file that a model lies in: shards and external data are no settings.
inline std::vector<source> sources_of(const ptq::model_file& model) {
  std::vector<source> sources;
  for (const ptq::mapped_file& file : model.files()) sources.push_back({"model_path", file.path()});
  return sources;
}

/// @return invalid_value if a source lies in the run's own folder, which is emptied
inline ptq::result<void> keep_out_of(const std::string& own_folder, const std::vector<source>& sources) {
  std::error_code missing;
  const auto real = [&](const std::string& path) {
    return std::filesystem::weakly_canonical(path, missing).string();
  };
  const std::string own = real(own_folder);
  if (own.empty()) return {};  // it cannot be: its name is too long, say
  for (const source& read : sources)
    if (!read.path.empty() && real(read.path).starts_with(own + "/"))
      return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(read.path),
                        "this file is read as " + read.setting +
                            ", but its folder belongs to the run, which empties it. Move the file away.");
  return {};
}

/// @return invalid_value if something that is to be written is one of the sources
inline ptq::result<void> keep(const std::vector<source>& sources, const std::vector<std::string>& written) {
  for (const std::string& path : written)
    for (const source& read : sources)
      if (is_same_file(path, read.path))
        return ptq::error(
            ptq::errc::invalid_value, ptq::absolute_path(path),
            "this file would be written, but it is read as " + read.setting + ". Give another results_dir.");
  return {};
}

/// An artifact that is a folder has files of usual names (model.safetensors, README.md). Where the folder
/// holds no artifact yet, those that are there are somebody's own.
///
/// @param artifact name of its file
/// @return invalid_value: it would replace one, or loaders would take it for a part
inline ptq::result<void> keep_strangers(const std::string& folder, const ptq::model_file& model,
                                        const std::string& artifact) {
  std::vector<std::string> carried;
  const auto source = ptq::find_huggingface_folder(model.files());
  if (source) carried = ptq::carried_files(*source);
  const auto is_older = [](const std::string& name) { return name.starts_with("quantized_model_"); };
  for (const std::string& name : ptq::names_in(folder)) {
    const bool is_part = name == artifact || (ptq::model_file::is_part_of(artifact, name) && !is_older(name));
    const bool is_replaced =
        std::ranges::count(carried, name) > 0 && !have_same_bytes(folder + "/" + name, *source + "/" + name);
    if (is_part || is_replaced)
      return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(folder + "/" + name),
                        "the artifact is a folder with a file of this name or kind, and this one is no part "
                        "of an artifact of ptq. Give an empty folder.");
  }
  return {};
}

}  // namespace cli

#endif  // PTQ_CLI_SOURCES_HPP
