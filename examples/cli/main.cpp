// SPDX-License-Identifier: Apache-2.0
// The command ptq: subcommands, their options and their help.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "command.hpp"
#include "engines.hpp"
#include "ptq/version.hpp"

namespace {

constexpr const char* about =
    "ptq quantizes trained models after training, as the `quantize:` section of a YAML file says.\n";

constexpr const char* lesson = R"(
A first run:
  ptq plan     -e spec.yaml model_path=model.safetensors                     what would happen, and why
  ptq quantize -e spec.yaml model_path=model.safetensors results_dir=out     do it
  ptq compare  model.safetensors out/quantized_model_torchao.safetensors     what it cost

Activations too (modelopt), with calibration data:
  ptq quantize -e static.yaml model_path=model.onnx results_dir=out dataset.quant_calibration_dataset.inputs=calib.npy
  ptq evaluate -e static.yaml model_path=model.onnx results_dir=out evaluate.inputs=test.npy evaluate.labels=labels.npy
  ptq calibrate -e static.yaml model_path=model.onnx -o a.ptqcal dataset.quant_calibration_dataset.inputs=a.npy
  ptq merge     -o all.ptqcal a.ptqcal b.ptqcal                              parts of the data become one run
  ptq quantize  -e static.yaml model_path=model.onnx results_dir=out --statistics all.ptqcal
  ONNX Runtime runs int8 artifacts as they are; fp8 ones with graph optimization level basic, or with the session
  setting session.disable_quant_qdq=1.

A specification:
  quantize:
    backend: torchao            # weight-only; modelopt: weights and activations
    mode: weight_only_ptq       # modelopt: static_ptq
    layers:                     # the last matching rule wins
      - module_name: Linear     # a layer's name or class; * ? [..] [!..] are wildcards
        weights: {dtype: int8}  # int8, fp8_e4m3fn, fp8_e5m2, native
    skip_names: ["*head*"]      # never quantized, whatever the rules say
    model_path: model.safetensors
    results_dir: out

Exit codes: 0 done, 1 failed (model, data, disk), 2 wrong usage or specification.)";

constexpr const char* override_help =
    "Settings that override the file: quantize.backend=modelopt, quantize.layers.0.weights.dtype=fp8_e4m3fn, "
    "model_path=FILE, results_dir=DIR";

CLI::App* add_spec_command(CLI::App& app, const char* name, const char* text, cli::options& given) {
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option("-e,--experiment", given.spec_file, "The YAML file with the quantize: section")
      ->required()
      ->type_name("SPEC.yaml");
  command->add_option("overrides", given.overrides, override_help)->type_name("key.path=value");
  command->add_flag("--strict", given.strict, "Treat warnings as errors");
  command->add_flag("--json", given.json, "Print the result as JSON; stdout holds nothing else");
  return command;
}

constexpr const char* checkpoints_help =
    "Checkpoints (.safetensors, .safetensors.index.json), ONNX models (.onnx), or artifacts of ptq";

/// @param files how many; -1: one or more
CLI::App* add_file_command(CLI::App& app, const char* name, const char* text, cli::options& given, int files,
                           const char* names, const char* files_help) {
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option("files", given.files, files_help)->required()->expected(files)->type_name(names);
  command->add_flag("--json", given.json, "Print the result as JSON; stdout holds nothing else");
  return command;
}

/// The exit code, if what was printed has arrived.
int checked(const cli::options& given, int code) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  const std::string reason = errno != 0 ? std::strerror(errno) : "an earlier write failed";
  return cli::fail(given,
                   ptq::error(ptq::errc::cannot_write, "standard output",
                              reason + ". What was to be printed is not all there; files are."),
                   cli::failed);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(about, "ptq");
  app.footer(lesson);
  app.set_version_flag(
      "--version",
      std::string(PTQ_VERSION_STRING) +
          (cli::has_openvino() ? "\nengines: tiny_engine, OpenVINO" : "\nengines: tiny_engine"),
      "Print the version, and the engines that are built in");
  app.require_subcommand(1);

  cli::options given;
  CLI::App* quantize = add_spec_command(
      app, "quantize", "Quantize a model; write the artifact and its reports to results_dir", given);
  CLI::App* plan =
      add_spec_command(app, "plan", "List what would be quantized by which rule, and why not", given);
  CLI::App* inspect = add_file_command(
      app, "inspect", "List what is in a checkpoint, an ONNX model, an artifact or a file of statistics",
      given, 1, "FILE",
      "A checkpoint (.safetensors, .safetensors.index.json), an ONNX model (.onnx), an artifact of ptq, or "
      "statistics "
      "(.ptqcal)");
  CLI::App* compare =
      add_file_command(app, "compare", "Compare two models, or a model and its artifact, layer by layer",
                       given, 2, "A B", checkpoints_help);
  CLI::App* evaluate = add_spec_command(
      app, "evaluate",
      "Run the model and its artifact on the evaluation data; say how much accuracy was kept", given);

  quantize
      ->add_option("--statistics", given.statistics,
                   "Take the ranges of activations from this file of calibrate or merge; no data are needed")
      ->type_name("FILE.ptqcal");
  CLI::App* calibrate = add_spec_command(
      app, "calibrate", "Run the calibration data through the model; write statistics of its activations",
      given);
  calibrate
      ->add_option("-o,--output", given.output, "Where to write them; else results_dir/statistics.ptqcal")
      ->type_name("FILE.ptqcal");
  CLI::App* merge = add_file_command(
      app, "merge", "Make one file of the statistics of partial runs, as if all data had been in one run",
      given, -1, "FILE.ptqcal", "Statistics of one model");
  merge->add_option("-o,--output", given.output, "Where to write them")->required()->type_name("FILE.ptqcal");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return checked(given, app.exit(e) == 0 ? cli::done : cli::bad_usage);
  }
  const std::pair<const CLI::App*, int (*)(const cli::options&)> commands[] = {
      {quantize, cli::run_quantize}, {plan, cli::run_plan},           {inspect, cli::run_inspect},
      {compare, cli::run_compare},   {calibrate, cli::run_calibrate}, {merge, cli::run_merge},
      {evaluate, cli::run_evaluate}};
  try {
    for (const auto& [command, run] : commands)
      if (command->parsed()) return checked(given, run(given));
  } catch (const std::bad_alloc&) {
    return cli::fail(given, cli::out_of_memory(), cli::failed);
  }
  return cli::bad_usage;
}
