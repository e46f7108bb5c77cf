// SPDX-License-Identifier: Apache-2.0
/// @file command.hpp What every subcommand shares: its options, its exit codes, how it fails.
#ifndef PTQ_CLI_COMMAND_HPP
#define PTQ_CLI_COMMAND_HPP

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/file/run_folder.hpp"
#include "ptq/formats/checkpoint/share.hpp"
#include "ptq/formats/form_settings.hpp"
#include "ptq/result.hpp"

namespace cli {

struct options {
  std::string spec_file;
  std::vector<std::string> overrides;  // key.path=value
  std::vector<std::string> files;
  std::string output;                 // of calibrate and merge; the folder of export
  std::string format;                 // of the artifact; empty: the model's own
  std::string arithmetic = "onnx";    // of evaluate: what the artifact is computed in
  std::string network;                // of c-header: what names begin with; empty: model
  std::string layout;                 // of c-header: as-is or ohwi; empty: as-is
  std::string statistics;             // for quantize: ptq.calibration.statistics
  ptq::checkpoint_config checkpoint;  // for inspect and compare: how the first file is read
  std::size_t threads = 0;            // 0: one for each core
  std::optional<ptq::share> part;     // of quantize: the share that it makes
  bool json = false;
  bool strict = false;
  bool wait = false;  // for another run into the same place
};

enum exit_code : int {
  done = 0,
  failed = 1,     // the model, the data, the disk, NaN
  bad_usage = 2,  // the command line or the specification; warnings under --strict
};

/// A graph may have tensors of any size.
ptq::error out_of_memory();

/// Prints the error: to stderr, and as {"error": ...} to stdout under --json.
void print_error(const options& given, const ptq::error& error);

/// Prints the error, or keeps it for the end of the team (`fail_team`). Returns the code.
int fail(const options& given, const ptq::error& error, exit_code code);

/// Prints warnings to stderr. Under --strict they are errors: returns bad_usage then, else done.
int warn(const options& given, const std::vector<std::string>& warnings);

/// Prints a note to stderr.
void note(std::string_view text);
void print_notes(std::span<const std::string> notes);

/// The setting `model_path` or `results_dir` must be given somewhere.
ptq::result<void> require(const ptq::spec& spec, const std::string& field);

/// Makes the folder `results_dir`, and those it lies in.
ptq::result<void> make_results_dir(const std::string& path);

/// Opens the folder of a run. Another run there is an error, or waited for under --wait.
///
/// @param file the only one that is written; nothing if there are several
ptq::result<ptq::run_folder> begin_run(const options& given, const std::string& folder,
                                       const std::string& file = {});

/// Ends what a run that died has begun in a folder.
///
/// @return whether no run is at work there
bool settle(const std::string& folder);

/// Ends a run that failed or was interrupted. Its files are removed first: the signal leaves no time for
/// that.
///
/// @param run  nothing where it has not begun
/// @param lost what is not written, with its verb: "the artifact is"
int give_up(const options& given, std::optional<ptq::run_folder> run, const ptq::error& error,
            const std::string& lost);

/// A file in the folder `results_dir`.
std::string result_path(const ptq::spec& spec, const std::string& name);

/// What `quantize` calls the artifact.
///
/// @param format one of `model_file::artifact_names`; empty: the model's own
std::string artifact_name(const ptq::spec& spec, const std::string& format = {});

/// Where `quantize` writes the artifact, and `evaluate` looks for it.
std::string artifact_path(const ptq::spec& spec, const std::string& format = {});

/// "safetensors, onnx": what `--format` may be.
std::string format_names();

/// A `--format` must be one that there is, and `--name` and `--layout` stand beside one that has them.
ptq::result<void> check_format(const options& given);

/// What `--name` and `--layout` say.
ptq::form_settings settings_of(const options& given);

/// Indented, with a line break; text that is not UTF-8 is replaced.
std::string json_text(const nlohmann::json& value);

int run_quantize(const options& given);
int run_plan(const options& given);
int run_inspect(const options& given);
int run_compare(const options& given);
int run_evaluate(const options& given);
int run_calibrate(const options& given);
int run_merge(const options& given);
int run_export(const options& given);

}  // namespace cli

#endif  // PTQ_CLI_COMMAND_HPP
