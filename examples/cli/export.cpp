// SPDX-License-Identifier: Apache-2.0
// ptq export: an artifact in another form, without the model and without data.
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "command.hpp"
#include "output.hpp"
#include "ptq/file/path.hpp"
#include "ptq/file/run_folder.hpp"
#include "ptq/formats.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/text/printable.hpp"
#include "sources.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// What stands for the backend in names: what the artifact says, where a name can have it; else "torchao" of
/// "quantized_model_torchao.onnx".
std::string backend_of(const ptq::model_file& artifact) {
  constexpr std::string_view of_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  constexpr std::size_t longest = 100;
  std::string told = artifact.backend();
  if (!told.empty() && told.size() <= longest && told.find_first_not_of(of_names) == std::string::npos)
    return told;
  constexpr std::string_view prefix = "quantized_model_";
  std::string name(ptq::file_name_of(artifact.path()));
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  return name.substr(0, name.rfind('.'));
}

ptq::result<void> make_folder(const std::string& path) {
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (!problem) return {};
  return ptq::error(ptq::errc::cannot_write, ptq::absolute_path(path),
                    "this folder cannot be made: " + problem.message() + ". Give another one: -o DIR.");
}

/// Nothing that is read may be in the way of what is written.
ptq::result<void> keep_artifact(const options& given, const ptq::model_file& artifact,
                                const std::string& folder, const std::string& name) {
  for (const ptq::mapped_file& file : artifact.files()) {
    if (is_same_file(file.path(), folder + "/" + name))
      return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(file.path()),
                        "this artifact would be written over itself. Give another -o DIR.");
  }
  const bool is_folder = ptq::model_file::is_folder(given.format);
  if (is_folder && is_there(folder + "/config.json"))
    return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(folder),
                      "what is written is a folder with a config.json, and this one has one already. Give "
                      "another -o DIR.");
  if (is_folder)
    if (auto kept = keep_strangers(folder, artifact, name); !kept) return kept;
  return keep_out_of(ptq::run_folder::own_path(folder), sources_of(artifact));
}

/// Its other files first, then the one that names them.
ptq::result<void> write(const options& given, const ptq::model_file& artifact, const std::string& name,
                        ptq::run_folder& run, std::vector<std::string>& notes) {
  const auto path = run.path_of(name);
  if (!path) return path.error();
  auto made = artifact.convert(given.format, *path, ptq::threads(given.threads), settings_of(given));
  if (!made) return made.error();
  if (auto written = made->commit(); !written) return written;
  notes = made->notes();
  std::vector<std::string> names = made->names();
  const std::string last = names.back();
  names.pop_back();
  if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
  return run.commit({std::move(names), {}, last, {}});
}

}  // namespace

int run_export(const options& given) {
  if (const auto known = check_format(given); !known) return fail(given, known.error(), bad_usage);
  const std::string& source = given.files.front();
  const auto artifact = ptq::model_file::open(source);
  if (!artifact) return fail(given, artifact.error(), failed);
  if (const auto fits = artifact->takes(given.format); !fits) return fail(given, fits.error(), bad_usage);
  const std::string folder = !given.output.empty() ? given.output : ptq::folder_of(artifact->path());
  const std::string name = ptq::model_file::artifact_file_name(source, given.format, backend_of(*artifact));
  if (const auto kept = keep_artifact(given, *artifact, folder, name); !kept)
    return fail(given, kept.error(), bad_usage);
  if (const auto made = make_folder(folder); !made) return fail(given, made.error(), failed);
  catch_interrupts();
  auto run = begin_run(given, folder);
  if (!run) return fail(given, run.error(), failed);
  std::vector<std::string> notes;
  if (const auto written = write(given, *artifact, name, *run, notes); !written) {
    const ptq::error seen = run->seen_from_outside(written.error());
    if (seen.where == "--format") return fail(given, seen, bad_usage);
    return give_up(given, *std::move(run), seen, "the artifact is");
  }
  print_notes(notes);
  const bool is_folder = ptq::model_file::is_folder(given.format);
  const std::string path =
      ptq::absolute_path(is_folder ? folder : folder + (folder.ends_with('/') ? "" : "/") + name);
  if (given.json) {
    print_json({{"artifact", path}, {"format", given.format}});
    return done;
  }
  const std::string note(ptq::model_file::note_of(given.format));
  print("artifact: " + ptq::printable(path) + "\n" + (note.empty() ? "" : "          (" + note + ")\n"));
  return done;
}

}  // namespace cli
