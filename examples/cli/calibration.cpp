// SPDX-License-Identifier: Apache-2.0
#include "calibration.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "engines.hpp"
#include "ptq/data/recorded.hpp"
#include "ptq/engine/calibrate.hpp"
#include "ptq/formats.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/table.hpp"
#include "samples.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// No engine runs the model: what to do.
ptq::error show_ways_out(ptq::error lacking) {
  if (lacking.code != ptq::errc::unsupported) return lacking;
  lacking.what +=
      " Other ways: record the inputs of the layers with the framework of the model "
      "(np.savez(\"FILE.npz\", **{layer: inputs})) and give them as "
      "dataset.quant_calibration_dataset.activations=FILE.npz; or quantize weights only, which runs nothing: "
      "backend: torchao, mode: weight_only_ptq.";
  return lacking;
}

ptq::result<void> run_model(const ptq::spec& spec, const ptq::model_file& model, const ptq::plan& plan,
                            ptq::calibration& calibration) {
  const ptq::data_config& data = *spec.data();
  auto engine = any_engine::load(model.path());
  if (!engine) return show_ways_out(engine.error());
  auto samples = open_samples(spec, data, engine->inputs());
  if (!samples) return samples.error();
  if (auto kept = samples->keep_only(team_rank() + 1, team_size()); !kept) return kept;
  print_notes(samples->notes());
  sample_progress shown(samples->count());
  const auto ran = ptq::calibrate(*engine, *samples, model.fed(plan), calibration,
                                  [&](std::size_t done) -> ptq::result<void> {
                                    shown.show(done);
                                    if (is_interrupted())
                                      return ptq::error(ptq::errc::stopped, {}, "interrupted.");
                                    if (is_called_off()) return called_off();
                                    return {};
                                  });
  return ran ? ran : show_ways_out(ran.error());
}

ptq::result<void> read_recording(const ptq::data_config& data, const ptq::model_file& model,
                                 const ptq::plan& plan, ptq::calibration& calibration) {
  progress shown(calibration.collected().size());
  std::string_view current;
  const auto notes = ptq::read_recorded(
      data, plan, model.layers(), ptq::data_formats{},
      [&](std::string_view layer, const ptq::tensor_view<const float>& batch) -> ptq::result<void> {
        if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
        if (layer.data() != current.data()) shown.step(current = layer);
        return calibration.collect(layer, batch);
      });
  if (!notes) return notes.error();
  print_notes(*notes);
  return {};
}

/// What a plan says about a folder of pictures.
void judge_images(const ptq::data_config& data, bool calibrates, ptq::plan& plan) {
  if (data.images_dir.empty()) return;
  const std::string setting = "dataset.quant_calibration_dataset.images_dir";
  if (!data.inputs.empty() || !data.activations.empty())
    plan.notes.push_back(setting + " is not read: " + (data.inputs.empty() ? "activations" : "inputs") +
                         " stand beside it.");
  else if (!calibrates)
    plan.warnings.push_back(setting + " is not read: no layer's activations are quantized.");
  else if (!has_images())
    plan.warnings.push_back(setting +
                            ": this build does not decode pictures. Build again with stb_image (Debian: "
                            "libstb-dev), or give arrays as inputs.");
  else
    plan.notes.push_back("pictures of " + setting +
                         " are fed as x' = (x * scale - mean) / std, x from 0 to 255" +
                         (data.normalized_by.empty() ? ", with scale, mean and std of that section."
                                                     : ", with mean and std of " + data.normalized_by +
                                                           (data.scale[0] == 1 ? "." : " and scale 1/255.")));
}

}  // namespace

void judge_data(const ptq::spec& spec, ptq::plan& plan) {
  const bool calibrates = plan.quantizes_activations();
  if (spec.calibration_data) judge_images(*spec.calibration_data, calibrates, plan);
  if (!spec.ptq.calibration.statistics.empty()) {
    if (!calibrates)
      plan.warnings.emplace_back(
          "ptq.calibration.statistics (--statistics): no layer's activations are quantized, so the file is "
          "not read.");
    else if (spec.calibration_data)
      plan.notes.emplace_back(
          "dataset.quant_calibration_dataset is not read: the ranges of activations come from "
          "ptq.calibration.statistics (--statistics).");
  } else if (calibrates && !spec.calibration_data && spec.evaluation_data) {
    plan.notes.emplace_back(
        "there is no dataset.quant_calibration_dataset, so activations are calibrated with the data of "
        "evaluate. What `ptq evaluate` then finds on the same data may be better than on new ones.");
  }
}

ptq::result<void> expect_data(const ptq::spec& spec, const ptq::model_file& model, const ptq::plan& plan) {
  if (!spec.ptq.calibration.statistics.empty() || !plan.quantizes_activations()) return {};
  if (const ptq::data_config* const data = spec.data()) {
    const bool runs = model.graph() != nullptr && data->activations.empty();
    return runs ? check_inputs(spec, *data, model.graph()->inputs) : ptq::result<void>();
  }
  return ptq::error(
      ptq::errc::missing_value, spec.file,
      "activations are to be quantized, but there are no calibration data. Give inputs of the model: "
      "dataset.quant_calibration_dataset.inputs=FILE.npy (.npz, .safetensors), or images_dir=FOLDER; or "
      "recorded inputs of its layers: dataset.quant_calibration_dataset.activations=FILE.npz.");
}

bool has_samples_to_spread(const ptq::spec& spec, const ptq::model_file& model, const ptq::plan& plan) {
  return plan.quantizes_activations() && spec.ptq.calibration.statistics.empty() &&
         model.graph() != nullptr && spec.data()->activations.empty();
}

ptq::result<ptq::calibration> collect_statistics(const ptq::spec& spec, const ptq::model_file& model,
                                                 const ptq::plan& plan) {
  ptq::calibration calibration(plan);
  const ptq::data_config& data = *spec.data();
  if (!data.activations.empty()) {
    if (auto read = read_recording(data, model, plan, calibration); !read) return read.error();
    return calibration;
  }
  if (model.graph() == nullptr)
    return ptq::error(
        ptq::errc::unsupported, model.path(),
        "a checkpoint holds weights but no graph, so inputs cannot be run through it. Give the model as "
        ".onnx, or recorded inputs of its layers: "
        "dataset.quant_calibration_dataset.activations=FILE.npz.");
  if (auto ran = run_model(spec, model, plan, calibration); !ran) return ran.error();
  if (!is_team()) return calibration;
  ptq::layer_statistics seen = calibration.collected();
  if (auto reduced = reduce_statistics(seen); !reduced) return reduced.error();
  ptq::calibration all(plan);
  all.merge(seen);
  return all;
}

void print_findings(const ptq::plan& plan, std::span<const ptq::activation_range> inputs) {
  std::map<std::string_view, std::vector<std::string>> found;  // what layers have in common is said once
  for (const ptq::activation_range& input : inputs) {
    const auto [what, advice] = ptq::finding_of(input);
    if (what.empty()) continue;
    found[advice].push_back("layer \"" + plan.layers[input.layer].name + "\": amax is " +
                            ptq::short_text(static_cast<double>(input.range.amax), 4) + ", but " + what);
  }
  for (const auto& [advice, layers] : found)
    note(layers[0] +
         (layers.size() > 1 ? "; so it is with " + ptq::counted(layers.size() - 1, "more layer") : "") +
         ". " + std::string(advice));
}

}  // namespace cli
