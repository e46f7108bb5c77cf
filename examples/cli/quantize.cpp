// SPDX-License-Identifier: Apache-2.0
// ptq quantize: the artifact and its reports.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "command.hpp"
#include "model_file.hpp"
#include "ptq/config/to_yaml.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/io/artifact_writer.hpp"
#include "ptq/io/output_file.hpp"
#include "ptq/model/match.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/quantize_report.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// A text file written but not yet there: commit() lets it appear.
ptq::result<ptq::output_file> write_text(const std::string& path, const std::string& text) {
  auto file = ptq::output_file::create(path);
  if (!file) return file;
  if (auto written = file->write(text); !written) return written.error();
  return file;
}

ptq::result<void> make_folder(const std::string& path) {
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (!problem) return {};
  return ptq::error(
      ptq::errc::cannot_write, ptq::absolute_path(path),
      "results_dir cannot be made: " + problem.message() + ". Give another one: results_dir=DIR.");
}

ptq::quantize_report begin_report(const ptq::plan& plan, const ptq::checkpoint& model) {
  ptq::quantize_report report;
  for (const ptq::planned_layer& layer : plan.layers) report.layers.push_back({layer, {}, {}});
  for (const ptq::stored_tensor& tensor : model.tensors()) report.bytes_before += tensor.data.size();
  report.other_tensors = model.tensors().size() - plan.layers.size();
  report.warnings = plan.warnings;
  return report;
}

std::size_t count_quantized(const ptq::plan& plan) {
  std::size_t count = 0;
  for (const ptq::planned_layer& layer : plan.layers) count += layer.weights.is_quantized() ? 1u : 0u;
  return count;
}

/// Writes the artifact, not yet visible, and fills the report.
ptq::result<ptq::safetensors_writer> write_artifact(const std::string& path, const model_file& model,
                                                    const ptq::plan& plan, ptq::quantize_report& report) {
  progress shown(count_quantized(plan));
  std::size_t at = 0;
  const auto on_layer = [&](const ptq::quantized_layer& q) -> ptq::status {
    if (is_interrupted()) return {ptq::errc::stopped, 0};
    shown.step(q.source.name);
    while (&q.planned != &plan.layers[at]) ++at;  // layers come in the plan's order
    report.layers[at].weights = ptq::weights_report_of(q);
    return {};
  };
  auto writer = ptq::write_artifact(path, model.checkpoint, plan, model.layers, on_layer);
  if (!writer)
    return writer.error().code == ptq::errc::not_finite ? writer.error().in(model.path) : writer.error();
  report.bytes_after = report.bytes_before;
  for (const ptq::layer_report& layer : report.layers)
    if (layer.weights) report.bytes_after += layer.weights->bytes_after - layer.weights->bytes_before;
  return writer;
}

std::string status_text(const std::string& status, const std::string& message) {
  return nlohmann::json{{"status", status}, {"message", message}, {"ptq_version", PTQ_VERSION_STRING}}.dump(
             2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

/// The files of a run: the small ones first, the artifact last.
ptq::result<void> write_all(const ptq::spec& spec, const model_file& model, const ptq::plan& plan,
                            ptq::quantize_report& report, const std::string& artifact) {
  const std::string folder = spec.quantize.results_dir + "/";
  auto writer = write_artifact(artifact, model, plan, report);
  if (!writer) return writer.error();
  const std::pair<const char*, std::string> texts[] = {
      {"quantize_report.json",
       ptq::to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"},
      {"experiment.yaml", ptq::to_yaml(spec)},
      {"status.json", status_text("SUCCESS", "the artifact is written")}};
  std::vector<ptq::output_file> files;
  for (const auto& [name, text] : texts) {
    auto file = write_text(folder + name, text);
    if (!file) return file.error();
    files.push_back(*std::move(file));
  }
  if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
  for (ptq::output_file& file : files)
    if (auto visible = file.commit(); !visible) return visible.error();
  return writer->commit();
}

/// The run failed: status.json says so, if the folder takes it. Everything else stays as it was.
int give_up(const options& given, const ptq::spec& spec, const ptq::error& error) {
  auto file = write_text(spec.quantize.results_dir + "/status.json", status_text("FAILURE", error.what));
  if (file) (void)file->commit().has_value();
  return fail(given, error, failed);
}

}  // namespace

int run_quantize(const options& given) {
  const auto spec = ptq::read_spec(given.spec_file, given.overrides);
  if (!spec) return fail(given, spec.error(), bad_usage);
  for (const char* field : {"model_path", "results_dir"})
    if (const auto wanted = require(*spec, field); !wanted) return fail(given, wanted.error(), bad_usage);
  const auto model = open_model(*spec);
  if (!model) return fail(given, model.error(), failed);
  const ptq::plan plan = ptq::match(*spec, model->layers);
  if (const int code = warn(given, plan.warnings); code != done) return code;

  catch_interrupts();
  if (const auto made = make_folder(spec->quantize.results_dir); !made)
    return fail(given, made.error(), failed);
  ptq::remove_stale_partials(spec->quantize.results_dir, "");
  const std::string artifact =
      spec->quantize.results_dir + "/quantized_model_" + spec->quantize.backend + ".safetensors";
  ptq::quantize_report report = begin_report(plan, model->checkpoint);
  const auto written = write_all(*spec, *model, plan, report, artifact);
  if (!written && is_interrupted()) {
    std::fputs("ptq: interrupted: the artifact is not written\n", stderr);
    end_by_signal();
  }
  if (!written) return give_up(given, *spec, written.error());

  if (given.json) {
    std::puts(ptq::to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return done;
  }
  std::printf("%s\nartifact: %s\nreport:   %s\n", ptq::to_text(report).c_str(),
              ptq::absolute_path(artifact).c_str(),
              ptq::absolute_path(spec->quantize.results_dir + "/quantize_report.json").c_str());
  return done;
}

}  // namespace cli
