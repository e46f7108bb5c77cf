// SPDX-License-Identifier: Apache-2.0
// The command ptq: subcommands, their options and their help.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "command.hpp"
#include "engines.hpp"
#include "images.hpp"
#include "output.hpp"
#include "ptq/artifact/parts.hpp"
#include "ptq/config/words.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/version.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace {

constexpr const char* about =
    "ptq quantizes trained models after training, as the `quantize:` section of a YAML file says.\n";

constexpr const char* lesson = R"(
A first run:
  ptq plan     -e spec.yaml model_path=model.safetensors                     what would happen, and why
  ptq quantize -e spec.yaml model_path=model.safetensors results_dir=out     do it
  ptq compare  model.safetensors out/quantized_model_torchao.safetensors     what it cost
  ptq export   out/quantized_model_torchao.safetensors --format float        another form of it

Activations too (modelopt), with calibration data:
  ptq quantize -e static.yaml model_path=model.onnx results_dir=out dataset.quant_calibration_dataset.inputs=calib.npy
  ptq evaluate -e static.yaml model_path=model.onnx results_dir=out evaluate.inputs=test.npy evaluate.labels=labels.npy
  ptq calibrate -e static.yaml model_path=model.onnx -o a.ptqcal dataset.quant_calibration_dataset.inputs=a.npy
  ptq merge     -o all.ptqcal a.ptqcal b.ptqcal                              parts of the data become one run
  ptq quantize  -e static.yaml model_path=model.onnx results_dir=out --statistics all.ptqcal
  ONNX Runtime runs the artifacts as they are: int8 in operator set 13 and up, fp8 in 21 (ONNX Runtime 1.32; older
  ones at graph optimization level basic).

On many machines (mpirun ptq quantize does both, in a build with MPI):
  ptq quantize -e spec.yaml model_path=model.safetensors results_dir=out --shard 1/8     and 2/8, ... anywhere
  ptq merge out                                                              the bytes of one process

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

/// A command with its own help, and an example that ends it.
CLI::App* add_command(CLI::App& app, const char* name, const char* text, const std::string& example) {
  CLI::App* command = app.add_subcommand(name, text);
  command->footer("\n" + example + "\n`ptq --help` has a first run and a specification.");
  return command;
}

CLI::App* add_spec_command(CLI::App& app, const char* name, const char* text, cli::options& given,
                           const std::string& example) {
  CLI::App* command = add_command(app, name, text, example);
  command->add_option("-e,--experiment", given.spec_file, "The YAML file with the quantize: section")
      ->required()
      ->type_name("SPEC.yaml");
  command->add_option("overrides", given.overrides, override_help)->type_name("key.path=value");
  command->add_flag("--strict", given.strict, "Treat warnings as errors");
  command->add_flag("--json", given.json, "Print the result as JSON; stdout holds nothing else");
  return command;
}

constexpr const char* checkpoints_help =
    "Checkpoints (.safetensors, .safetensors.index.json, .pth), ONNX models (.onnx), or artifacts of ptq";

/// @param files how many; -1: one or more
CLI::App* add_file_command(CLI::App& app, const char* name, const char* text, cli::options& given, int files,
                           const char* names, const char* files_help, const std::string& example) {
  CLI::App* command = add_command(app, name, text, example);
  command->add_option("files", given.files, files_help)->required()->expected(files)->type_name(names);
  command->add_flag("--json", given.json, "Print the result as JSON; stdout holds nothing else");
  return command;
}

/// For what opens a checkpoint without a specification.
void add_checkpoint(CLI::App& command, cli::options& given, const std::string& file) {
  command
      .add_option("--key", given.checkpoint.key,
                  "ptq.checkpoint.key: which dict of " + file + " has the weights (ema.module)")
      ->type_name("KEY");
  command
      .add_option("--strip-prefix", given.checkpoint.strip_prefix,
                  "ptq.checkpoint.strip_prefix: what the names of tensors in " + file + " lose (module.)")
      ->expected(1)
      ->type_name("PREFIX");
}

/// For what writes files.
void add_wait(CLI::App& command, cli::options& given) {
  command.add_flag("--wait", given.wait,
                   "Wait where another run writes the same files; else that is an error");
}

/// For what writes artifacts.
void add_header_settings(CLI::App& command, cli::options& given) {
  command.add_option("--name", given.network, "Of c-header: what all of its names begin with; else model")
      ->type_name("NAME");
  command
      .add_option(
          "--layout", given.layout,
          "Of c-header: as-is, or ohwi, for activations whose channels come last (CMSIS-NN); else as-is")
      ->type_name("as-is|ohwi");
}

/// For what has parts that run at the same time.
void add_threads(CLI::App& command, cli::options& given) {
  constexpr std::size_t most = 1024;
  const auto refusal = [](const std::string& word) -> std::string {
    std::size_t count = 0;
    const auto [end, wrong] = std::from_chars(word.data(), word.data() + word.size(), count);
    const bool is_count = wrong == std::errc() && end == word.data() + word.size();
    if (is_count && count >= 1 && count <= most) return {};
    return "\"" + word + "\" is not a number from 1 to " + std::to_string(most);
  };
  command.add_option("--threads", given.threads, "How many work at once; else one for each core")
      ->check(CLI::Validator(refusal, "", "threads"))
      ->type_name("N");
}

/// "2/4": which share of the model is quantized.
std::string read_share(const std::string& word, std::optional<ptq::share>& part) {
  const std::size_t slash = word.find('/');
  const auto number = [](std::string_view digits) {
    std::size_t found = 0;
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), found);
    return wrong == std::errc() && end == digits.data() + digits.size() ? found : std::size_t{0};
  };
  const std::size_t index = slash == std::string::npos ? 0 : number(std::string_view(word).substr(0, slash));
  const std::size_t count = slash == std::string::npos ? 0 : number(std::string_view(word).substr(slash + 1));
  if (index < 1 || index > count || count > ptq::most_parts)
    return "\"" + word + "\" is no share: i/n, with i from 1 to n, and n up to " +
           std::to_string(ptq::most_parts);
  part = ptq::share{index, count};
  return {};
}

/// PTQ_ISA in the environment names the kernels to use, instead of the best that the machine has.
ptq::result<void> choose_kernels() {
  const char* const word = std::getenv("PTQ_ISA");
  if (word == nullptr) return {};
  const ptq::isa* const found = ptq::find_isa(word);
  if (found != nullptr && ptq::is_available(*found)) {
    ptq::force_isa(*found);
    return {};
  }
  std::vector<std::string_view> available;
  std::string names;
  for (const ptq::isa set : ptq::all_isas) {
    if (!ptq::is_available(set)) continue;
    available.push_back(ptq::name_of(set));
    names += (names.empty() ? "" : ", ") + std::string(ptq::name_of(set));
  }
  return ptq::error(ptq::errc::unknown_word, "PTQ_ISA",
                    (found == nullptr ? "there are no kernels" : "this machine or build has no kernels") +
                        std::string(" of the name \"") + ptq::printable(word) + "\". Available are " + names +
                        "; unset it to use the best.",
                    found == nullptr ? ptq::nearest_word(word, available) : "");
}

/// "--strict" of "--strict" or "-e,--experiment", of every option that a command has.
std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

/// What is wrong with the command line.
ptq::error usage_error(const CLI::App& app, const CLI::ParseError& wrong, std::span<char*> arguments) {
  const auto refusal = [](const std::string& place, const std::string& text, const std::string& word,
                          const std::vector<std::string>& names) {
    const std::vector<std::string_view> allowed(names.begin(), names.end());
    const std::string command = place.empty() ? "ptq" : "ptq " + place;
    return ptq::error(ptq::errc::unknown_word, place, text + " `" + command + " --help` lists what there is.",
                      ptq::nearest_word(word, allowed));
  };
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  if (parsed.empty()) {
    const auto word =
        std::find_if(arguments.begin(), arguments.end(), [](const char* a) { return *a != '-'; });
    if (word == arguments.end()) return refusal("", "no command is given.", "", {});
    return refusal("", "there is no command \"" + std::string(*word) + "\".", *word, command_names(app));
  }
  const CLI::App& command = *parsed.front();
  if (const std::vector<std::string> before = app.remaining(); !before.empty())
    return refusal("",
                   "\"" + before.front() + "\" stands before the command; options go behind it: ptq " +
                       command.get_name() + " " + before.front() + " ...",
                   "", {});
  const std::vector<std::string> left = command.remaining();
  if (left.empty()) return refusal(command.get_name(), std::string(wrong.what()) + ".", "", {});
  return refusal(command.get_name(), "\"" + left.front() + "\" is not expected.", left.front(),
                 option_names(command));
}

/// The exit code, if what was printed has arrived.
int checked(const cli::options& given, int code) {
  const std::string reason = cli::print_failure();
  if (reason.empty()) return code;
  return cli::fail(given,
                   ptq::error(ptq::errc::cannot_write, "standard output",
                              reason + ". What was to be printed is not all there; files are."),
                   cli::failed);
}

}  // namespace

int main(int argc, char** argv) {
  cli::occupy_standard_streams();
  CLI::App app(about, "ptq");
  app.footer(lesson);
  app.set_version_flag(
      "--version",
      std::string(PTQ_VERSION_STRING) +
          (cli::has_openvino() ? "\nengines: tiny_engine, OpenVINO" : "\nengines: tiny_engine") +
          (cli::has_images() ? "\npictures: JPEG, PNG, BMP" : "\npictures: none (built without stb_image)"),
      "Print the version, and the engines that are built in");
  app.require_subcommand(1);

  cli::options given;
  CLI::App* quantize =
      add_spec_command(app, "quantize", "Quantize a model; write the artifact and its reports to results_dir",
                       given, R"(Examples:
  ptq quantize -e spec.yaml model_path=model.safetensors results_dir=out
  ptq quantize -e spec.yaml model_path=model.safetensors results_dir=out quantize.layers.0.weights.dtype=fp8_e5m2
Of static quantization, with calibration data or what `ptq calibrate` made of them:
  ptq quantize -e static.yaml model_path=model.onnx results_dir=out dataset.quant_calibration_dataset.inputs=calib.npy
  ptq quantize -e static.yaml model_path=model.onnx results_dir=out --statistics all.ptqcal
results_dir gets quantized_model_<backend> as .safetensors, .pth or .onnx, as the model is or --format says, and
quantize_report.json, experiment.yaml, status.json.)");
  quantize
      ->add_option_function<std::string>(
          "--shard",
          [&given](const std::string& word) {
            if (const std::string refusal = read_share(word, given.part); !refusal.empty())
              throw CLI::ValidationError("--shard", refusal);
          },
          "Quantize share i of n alone, into a part that lies in results_dir; `ptq merge DIR` puts all "
          "parts together. One that is there already is not made again")
      ->type_name("i/n");
  add_threads(*quantize, given);
  add_wait(*quantize, given);
  CLI::App* plan = add_spec_command(app, "plan", "List what would be quantized by which rule, and why not",
                                    given, R"(Example:
  ptq plan -e spec.yaml model_path=model.safetensors
Tensor data is not read, and nothing is written. "Linear?" is a class inferred from name and shape.)");
  CLI::App* inspect = add_file_command(
      app, "inspect", "List what is in a checkpoint, an ONNX model, an artifact or a file of statistics",
      given, 1, "FILE",
      "A checkpoint (.safetensors, .safetensors.index.json, .pth), an ONNX model (.onnx), an artifact of "
      "ptq, or statistics (.ptqcal)",
      R"(Examples:
  ptq inspect model.safetensors
  ptq inspect out/quantized_model_torchao.safetensors)");
  add_checkpoint(*inspect, given, "the file");
  CLI::App* compare =
      add_file_command(app, "compare", "Compare two models, or a model and its artifact, layer by layer",
                       given, 2, "A B", checkpoints_help, R"(Example:
  ptq compare model.safetensors out/quantized_model_torchao.safetensors
SQNR, cosine and largest error of each layer that differs, worst first.)");
  add_checkpoint(*compare, given, "A");
  CLI::App* evaluate = add_spec_command(
      app, "evaluate",
      "Run the model and its artifact on the evaluation data; say how much accuracy was kept", given,
      R"(Example:
  ptq evaluate -e static.yaml model_path=model.onnx results_dir=out evaluate.inputs=test.npy evaluate.labels=labels.npy
The artifact is the one that `ptq quantize` with this specification wrote to results_dir.
Every output is compared by what it seems to hold, which is said. To say it yourself, for all outputs or one by one:
  evaluate.task=regression               or classification, binary
  evaluate.class_axis={logits: 2}        the axis of the classes
The accuracy that firmware has which computes the int8 artifact in integers alone:
  ptq evaluate -e static.yaml model_path=model.onnx results_dir=out evaluate.inputs=test.npy --arithmetic integer)");
  evaluate
      ->add_option(
          "--arithmetic", given.arithmetic,
          "What the artifact is computed in: onnx, as ONNX defines the graph (float between its layers), or "
          "integer, as firmware does with the tables of `ptq export --format c-header`")
      ->type_name("NAME");

  quantize
      ->add_option("--format", given.format,
                   "The form of the artifact: " + cli::format_names() +
                       "; else the model's own, or beside a config.json compressed-tensors")
      ->type_name("NAME");
  add_header_settings(*quantize, given);
  quantize
      ->add_option(
          "--statistics", given.statistics,
          "ptq.calibration.statistics: take the ranges of activations from this file of calibrate or merge; "
          "no data are needed")
      ->type_name("FILE.ptqcal");
  CLI::App* calibrate = add_spec_command(
      app, "calibrate", "Run the calibration data through the model; write statistics of its activations",
      given, R"(Example:
  ptq calibrate -e static.yaml model_path=model.onnx -o a.ptqcal dataset.quant_calibration_dataset.inputs=a.npy
Data may run in parts: `ptq merge` makes one file of them, which `ptq quantize --statistics` takes.)");
  calibrate
      ->add_option("-o,--output", given.output, "Where to write them; else results_dir/statistics.ptqcal")
      ->type_name("FILE.ptqcal");
  add_wait(*calibrate, given);
  CLI::App* merge = add_file_command(
      app, "merge",
      "Make one artifact of the parts that `ptq quantize --shard` wrote, or one file of the statistics of "
      "partial runs",
      given, -1, "DIR or FILE.ptqcal", "The results_dir of the parts, or statistics of one model",
      R"(Examples:
  ptq merge out
  ptq merge -o all.ptqcal a.ptqcal b.ptqcal
The bytes are those of one run over the whole model, and over all data.)");
  merge->add_option("-o,--output", given.output, "Of statistics: where to write them")
      ->type_name("FILE.ptqcal");
  add_threads(*merge, given);
  add_wait(*merge, given);
  CLI::App* write_as = add_file_command(
      app, "export", "Write an artifact in another form, without the model and without data", given, 1,
      "ARTIFACT", "An artifact that `ptq quantize` or `ptq export` wrote", R"(Examples:
  ptq export out/quantized_model_torchao.safetensors --format pth
  ptq export out/quantized_model_modelopt.onnx --format float -o elsewhere
  ptq export out/quantized_model_modelopt.onnx --format c-header --name lenet --layout ohwi -o firmware
The form float is the model again, with the values of codes as its weights: any program shows what they cost.
The form c-header is constants for firmware: codes, scales and, where inputs are int8, bias, multiplier and shift.)");
  write_as->add_option("--format", given.format, "The form to write: " + cli::format_names())
      ->required()
      ->type_name("NAME");
  add_header_settings(*write_as, given);
  write_as->add_option("-o,--output", given.output, "Where to write it; else beside the artifact")
      ->type_name("DIR");
  add_threads(*write_as, given);
  add_wait(*write_as, given);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    std::ostringstream text;
    const int code = app.exit(e, text, text);
    cli::print(text.str());
    return checked(given, code);
  } catch (const CLI::ParseError& e) {
    const std::span arguments(argv + 1, argv + argc);
    given.json = std::find(arguments.begin(), arguments.end(), std::string_view("--json")) != arguments.end();
    return checked(given, cli::fail(given, usage_error(app, e, arguments), cli::bad_usage));
  }
  if (const auto chosen = choose_kernels(); !chosen)
    return checked(given, cli::fail(given, chosen.error(), cli::bad_usage));
  const std::pair<const CLI::App*, int (*)(const cli::options&)> commands[] = {
      {quantize, cli::run_quantize}, {plan, cli::run_plan},           {inspect, cli::run_inspect},
      {compare, cli::run_compare},   {calibrate, cli::run_calibrate}, {merge, cli::run_merge},
      {evaluate, cli::run_evaluate}, {write_as, cli::run_export}};
  if ((quantize->parsed() && !given.part) || calibrate->parsed()) cli::join_team();
  try {
    for (const auto& [command, run] : commands)
      if (command->parsed()) return checked(given, cli::leave_team(given, run(given)));
  } catch (const std::bad_alloc&) {
    return cli::leave_team(given, cli::fail(given, cli::out_of_memory(), cli::failed));
  }
  return cli::bad_usage;
}
