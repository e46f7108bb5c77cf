// SPDX-License-Identifier: Apache-2.0
// ptq quantize: the artifact and its reports.
#include "quantize.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "command.hpp"
#include "output.hpp"
#include "ptq/artifact/statistics_file.hpp"
#include "ptq/config/to_yaml.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/file/run_folder.hpp"
#include "ptq/formats.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/quantize_report.hpp"
#include "sources.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace cli {

std::string resolved_text(ptq::spec spec) {
  spec.quantize.results_dir = ptq::absolute_path(spec.quantize.results_dir);
  each_source(spec, [](const std::string&, std::string& path) {
    if (!path.empty()) path = ptq::absolute_path(path);
  });
  return "# What `ptq quantize` was told, resolved; -e with this file does it again, from any folder.\n" +
         ptq::to_yaml(spec);
}

namespace {

/// Whether a file has this text already.
bool holds(const std::string& path, std::string_view text) {
  const auto file = ptq::mapped_file::open(path);
  return file && std::ranges::equal(file->bytes(), std::as_bytes(std::span(text)));
}

/// Whether an earlier run has made a folder for other programs here.
bool is_made_for_loaders(const std::string& folder) {
  if (!is_there(folder + "/quantize_report.json")) return false;
  const auto config = ptq::read_huggingface_config(folder);
  return !config && config.error().code == ptq::errc::unsupported;  // of a model that is quantized
}

/// The other files of artifacts that this run replaces: external data; and a folder for loaders, which would
/// take what is written beside it for weights.
std::vector<std::string> older_data(const options& given, const ptq::spec& spec) {
  const std::string artifact = artifact_name(spec, given.format);
  const bool is_among_others =
      !ptq::model_file::is_folder(given.format) && is_made_for_loaders(spec.quantize.results_dir);
  std::vector<std::string> names = ptq::names_in(spec.quantize.results_dir);
  std::erase_if(names, [&](const std::string& name) {
    if (ptq::model_file::is_part_of(artifact, name)) return false;
    return !is_among_others ||
           !(name == ptq::huggingface_config || ptq::compressed_tensors_artifact::is_own(name));
  });
  return names;
}

/// Whether a config.json beside a checkpoint makes loaders build the model that it describes, and put in
/// whatever tensors have the names of its weights.
bool is_for_loaders(const ptq::model_file& model, const ptq::plan& plan) {
  return model.graph() == nullptr && plan.quantizes_weights() && ptq::find_huggingface_folder(model.files());
}

/// Whether that config.json is one of a model.
bool names_model_beside(const ptq::model_file& model) {
  const auto folder = ptq::find_huggingface_folder(model.files());
  if (!folder) return false;
  const auto config = ptq::read_huggingface_config(*folder);
  return config && ptq::names_model(*config);
}

constexpr const char* form_for_loaders = ptq::compressed_tensors_artifact::name;

void judge_loaders(const options& given, const ptq::model_file& model, ptq::plan& plan) {
  if (!is_for_loaders(model, plan) || ptq::model_file::is_folder(given.format) || given.format == "float" ||
      given.format == ptq::c_header_artifact::name)
    return;
  const auto known = model.check(form_for_loaders, plan);
  plan.notes.push_back(
      "there is a config.json beside the model. Loaders that go by it (transformers, vLLM and others) do not "
      "know this artifact: put beside a config.json it loads there without an error, and its codes are taken "
      "for weights. It is read by ptq (`read_artifact`), and by programs that take codes times scales from "
      "safetensors or look into its metadata (ptq_layers). " +
      (known ? std::string("Loaders know the form compressed-tensors.")
             : "The form compressed-tensors, which loaders know, is not for it: " + known.error().what));
}

/// An artifact that is a folder, which other programs open, is not mixed with another model.
ptq::result<void> keep_models(const options& given, const ptq::spec& spec, const ptq::model_file& model) {
  if (!ptq::model_file::is_folder(given.format)) return {};
  const std::string& folder = spec.quantize.results_dir;
  const auto refuse = [&](const std::string& text) {
    return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(folder),
                      text + " Give another results_dir, or --format safetensors.");
  };
  if (is_same_file(folder, ptq::folder_of(model.files().front().path())))
    return refuse("the artifact is a folder with a config.json, and this one is the model's.");
  // What another run is at is its own; what one that died has begun is undone first.
  if (!settle(folder)) return {};
  if (!is_there(folder + "/config.json"))
    return keep_strangers(folder, model, artifact_name(spec, given.format));
  if (!is_there(folder + "/quantize_report.json"))
    return refuse("the artifact is a folder with a config.json, and this one has one already.");
  return {};
}

std::string status_text(const std::string& status, const std::string& message) {
  return json_text({{"status", status}, {"message", message}, {"ptq_version", PTQ_VERSION_STRING}});
}

std::string report_text(const ptq::quantize_report& report) {
  std::string text;
  ptq::write_json(report, [&](std::string_view part) { text += part; });
  return text;
}

/// status.json says that the run failed, if its folder takes it. Everything else stays as it was.
void record_failure(ptq::run_folder& run, const std::string& message) {
  (void)run.put("status.json", status_text("FAILURE", message)).has_value();
}

}  // namespace

std::string form_of(const options& given, const ptq::model_file& model, const ptq::plan& plan) {
  if (!given.format.empty()) return given.format;
  const bool is_known =
      is_for_loaders(model, plan) && names_model_beside(model) && model.check(form_for_loaders, plan);
  return is_known ? form_for_loaders : std::string(model.own_form());
}

ptq::result<void> keep_sources(const options& given, const ptq::spec& spec,
                               const std::vector<source>& sources) {
  const std::string resolved = result_path(spec, "experiment.yaml");
  std::vector<std::string> written{artifact_path(spec, given.format), resolved,
                                   result_path(spec, "quantize_report.json"),
                                   result_path(spec, "status.json")};
  for (const std::string& name : older_data(given, spec)) written.push_back(result_path(spec, name));
  if (auto kept = keep(sources, written); !kept) return kept;
  if (auto kept = keep_out_of(ptq::run_folder::own_path(spec.quantize.results_dir), sources); !kept)
    return kept;
  if (!is_same_file(resolved, given.spec_file) || holds(resolved, resolved_text(spec))) return {};
  return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(resolved),
                    "this is the specification that was given, and results_dir gets a file of this name: the "
                    "specification as it was resolved. Rename yours, or give another results_dir.");
}

ptq::quantize_report begin_report(const ptq::plan& plan, const ptq::model_file& model,
                                  std::span<const ptq::activation_range> inputs) {
  ptq::quantize_report report;
  for (const ptq::planned_layer& layer : plan.layers) report.layers.push_back({layer, {}, {}, {}});
  for (const ptq::activation_range& input : inputs)
    report.layers[input.layer].activations = ptq::activations_report_of(input);
  report.bytes_before = model.bytes();
  report.other_tensors = model.other_tensors();
  report.warnings = plan.warnings;
  report.notes = plan.notes;
  return report;
}

ptq::result<void> commit_results(const options& given, const ptq::spec& spec,
                                 const ptq::quantize_report& report, ptq::run_folder& run,
                                 std::vector<std::string> artifact, std::vector<std::string> stale) {
  const std::pair<const char*, std::string> texts[] = {
      {"quantize_report.json", report_text(report)},
      {"experiment.yaml", resolved_text(spec)},
      {"status.json", status_text("SUCCESS", "the artifact is written")}};
  for (const auto& [name, text] : texts)
    if (auto written = run.write(name, text); !written) return written;
  for (std::string& older : older_data(given, spec))
    if (std::ranges::count(artifact, older) == 0) stale.push_back(std::move(older));
  if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
  return run.commit(
      {std::move(artifact), {"quantize_report.json", "experiment.yaml"}, "status.json", std::move(stale)});
}

ptq::error of_model(const ptq::error& refused, const std::string& model_path) {
  const bool is_about_model =
      refused.code == ptq::errc::not_finite || refused.code == ptq::errc::duplicate_key;
  return is_about_model ? refused.in(model_path) : refused;
}

ptq::result<std::vector<ptq::activation_range>> find_inputs(const ptq::spec& spec,
                                                            const ptq::model_file& model,
                                                            const ptq::plan& plan) {
  if (!plan.quantizes_activations()) return std::vector<ptq::activation_range>();
  const std::string& statistics = spec.ptq.calibration.statistics;
  const auto seen = statistics.empty() ? collect_statistics(spec, model, plan)
                                       : ptq::read_calibration(statistics, model.layers(), plan);
  if (!seen) return seen.error();
  return seen->ranges(spec.ptq.calibration);
}

ptq::result<void> say_running(ptq::run_folder& run) {
  return run.put("status.json", status_text("RUNNING", ptq::this_process()));
}

int give_up(const options& given, ptq::run_folder run, const ptq::error& error) {
  record_failure(run, is_interrupted() ? "interrupted" : error.what);
  return give_up(given, std::move(run), error, "the artifact is");
}

void print_result(const options& given, const ptq::spec& spec, const ptq::model_file& model,
                  const ptq::quantize_report& report, what_is_known known) {
  print_notes(std::span(report.notes).subspan(known.notes));

  if (given.json) {
    ptq::write_json(report, print);
    return;
  }
  const auto shown = [](const std::string& path) { return ptq::printable(ptq::absolute_path(path)) + "\n"; };
  const bool is_folder = ptq::model_file::is_folder(given.format);
  const std::string note(known.is_own_form && !is_folder && !model.artifact_note().empty()
                             ? model.artifact_note()
                             : ptq::model_file::note_of(given.format));
  print(ptq::to_text(report) +
        "\nartifact: " + shown(is_folder ? spec.quantize.results_dir : artifact_path(spec, given.format)) +
        (note.empty() ? "" : "          (" + note + ")\n") +
        "report:   " + shown(result_path(spec, "quantize_report.json")));
}

namespace {

ptq::result<void> write(const options& given, const ptq::spec& spec, const ptq::model_file& model,
                        const ptq::plan& plan, std::span<const ptq::activation_range> inputs,
                        ptq::quantize_report& report, ptq::run_folder& run) {
  const auto path = run.path_of(artifact_name(spec, given.format));
  if (!path) return path.error();
  auto artifact = model.write(given.format, *path, plan, inputs, on_layer(plan, report),
                              ptq::threads(given.threads), settings_of(given));
  if (!artifact) return of_model(artifact.error(), model.path());
  if (auto written = artifact->commit(); !written) return written;
  report.bytes_after = artifact->bytes();
  note_losses(report);
  report.notes.insert(report.notes.end(), artifact->notes().begin(), artifact->notes().end());
  return commit_results(given, spec, report, run, artifact->names());
}

/// As above, of a run that has not begun. If another one has, the folder is that one's.
int give_up(const options& given, const ptq::spec& spec, const ptq::error& error) {
  if (team_rank() == leader && make_results_dir(spec.quantize.results_dir))
    if (auto run = ptq::run_folder::open(spec.quantize.results_dir))
      return give_up(given, *std::move(run), error);
  return give_up(given, std::nullopt, error, "the artifact is");
}

/// What the other ranks do for a graph, which the leader writes.
int help_to_calibrate(const options& given, const ptq::spec& spec, const ptq::model_file& model,
                      const ptq::plan& plan) {
  if (!has_samples_to_spread(spec, model, plan)) return done;
  const auto seen = collect_statistics(spec, model, plan);
  return seen ? done : fail(given, seen.error(), failed);
}

int quantize(options given, const ptq::spec& spec) {
  auto model = ptq::model_file::open_for(spec);
  if (!model) return give_up(given, spec, model.error());
  const bool is_own = given.format.empty();
  if (const auto fits = model->takes(is_own ? model->own_form() : given.format); !fits)
    return fail(given, fits.error(), bad_usage);
  if (const auto kept = keep_sources(given, spec, sources_of(*model)); !kept)
    return fail(given, kept.error(), bad_usage);
  auto planned = ptq::match_model(spec, *model);
  if (!planned) return fail(given, planned.error(), bad_usage);
  ptq::plan& plan = *planned;
  given.format = form_of(given, *model, plan);
  if (const auto moves = model->check(given.format, plan); !moves) return give_up(given, spec, moves.error());
  if (const auto kept = keep_sources(given, spec, sources_of(spec)); !kept)
    return fail(given, kept.error(), bad_usage);
  if (const auto kept = keep_models(given, spec, *model); !kept) return fail(given, kept.error(), bad_usage);
  judge_data(spec, plan);
  judge_loaders(given, *model, plan);
  print_notes(plan.notes);
  if (const int code = warn(given, plan.warnings); code != done) return code;
  if (const auto named = expect_data(spec, *model, plan); !named)
    return fail(given, named.error(), bad_usage);
  if (given.part || is_team()) {
    if (const auto same = expect_same(key_of(given, spec, *model)); !same)
      return fail(given, same.error(), failed);
    options asked = given;
    if (is_own) asked.format.clear();
    if (given.part) return quantize_share(asked, spec, *std::move(model), plan);
    if (model->graph() == nullptr) return quantize_in_team(asked, spec, *std::move(model), plan);
    if (team_rank() != leader) return help_to_calibrate(given, spec, *model, plan);
  }

  // A calibration can take long, so the folder is seen to before.
  if (const auto made = make_results_dir(spec.quantize.results_dir); !made)
    return fail(given, made.error(), failed);
  auto run = begin_run(given, spec.quantize.results_dir);
  if (!run) return fail(given, run.error(), failed);
  if (const auto begun = say_running(*run); !begun) return give_up(given, *std::move(run), begun.error());
  const auto inputs = find_inputs(spec, *model, plan);
  if (!inputs) return give_up(given, *std::move(run), inputs.error());
  print_findings(plan, *inputs);
  ptq::quantize_report report = begin_report(plan, *model, *inputs);
  const auto written = write(given, spec, *model, plan, *inputs, report, *run);
  if (!written) {
    const ptq::error seen = run->seen_from_outside(written.error());
    return give_up(given, *std::move(run), seen);
  }
  print_result(given, spec, *model, report, {plan.notes.size(), is_own});
  return done;
}

}  // namespace

int run_quantize(const options& given) {
  if (const auto known = check_format(given); !known) return fail(given, known.error(), bad_usage);
  auto spec = ptq::read_spec(given.spec_file, given.overrides);
  if (!spec) return fail(given, spec.error(), bad_usage);
  if (!given.statistics.empty()) spec->ptq.calibration.statistics = given.statistics;
  for (const char* field : {"model_path", "results_dir"})
    if (const auto wanted = require(*spec, field); !wanted) return fail(given, wanted.error(), bad_usage);
  if (const auto kept = keep_sources(given, *spec, sources_of(*spec)); !kept)
    return fail(given, kept.error(), bad_usage);
  catch_interrupts();
  try {
    return quantize(given, *spec);
  } catch (const std::bad_alloc&) {
    return give_up(given, *spec, out_of_memory());
  }
}

}  // namespace cli
