// SPDX-License-Identifier: Apache-2.0
#include "calibration.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "data_formats.hpp"
#include "engines.hpp"
#include "ptq/artifact/statistics_file.hpp"
#include "ptq/data/recorded.hpp"
#include "ptq/engine/inputs.hpp"
#include "ptq/engine/outputs.hpp"
#include "ptq/model/model_hash.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/table.hpp"
#include "samples.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// The tensors that feed the layers whose activations are quantized: tensor -> layers.
std::map<std::string, std::vector<std::string>> inputs_of(const onnx_graph_file& graph,
                                                          const ptq::plan& plan) {
  std::map<std::string, std::vector<std::string>> layers;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    if (!plan.layers[i].activations.is_quantized()) continue;
    for (const ptq::onnx_call& call : graph.layers.sources[i].calls) {
      auto& fed = layers[std::string(graph.model.graph.nodes[call.node].inputs[call.input])];
      if (fed.empty() || fed.back() != plan.layers[i].name) fed.push_back(plan.layers[i].name);
    }
  }
  return layers;
}

/// Refuses what no data can have made plausible, before it becomes a range.
ptq::result<void> check_input(const std::string& layer, const ptq::any_view& made) {
  const auto found = ptq::find_implausible(made);
  if (!found) return {};
  return ptq::error(ptq::errc::not_finite, "layer \"" + layer + "\"",
                    "its input" + found->text +
                        ", which the graph makes of a finite sample. Leave the sample out, or the layer's "
                        "activations as floats (activations: {dtype: native}).");
}

/// Says which sample a batch was refused for, if it was one: it is refused alone, too.
template <class Run>
ptq::error in_sample(const ptq::error& refused, const ptq::samples& samples, std::size_t count,
                     std::span<const ptq::named_array> batch, Run run) {
  if (refused.code != ptq::errc::not_finite) return refused;
  const std::size_t first = samples.position() - count;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<ptq::named_array> alone(batch.begin(), batch.end());
    std::vector<std::vector<std::byte>> rows(alone.size());
    for (std::size_t k = 0; k < alone.size(); ++k) {
      const ptq::any_view part = ptq::batch_of(alone[k], i, 1);
      rows[k].resize(part.size() * ptq::size_of(part.type));
      ptq::copy_elements(part, rows[k].data());
      alone[k].array = {rows[k].data(), part.type, part.shape};
    }
    if (const auto ran = run(alone); !ran && ran.error().code == refused.code)
      return ran.error().in(samples.place_of(first + i));
  }
  return refused.in(samples.place_of(first) + " and the " + std::to_string(count - 1) + " behind it");
}

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

ptq::result<void> run_model(const ptq::spec& spec, const model_file& model, const ptq::plan& plan,
                            ptq::calibration& calibration) {
  const ptq::data_config& data = *spec.data();
  auto engine = any_engine::load(model.path());
  if (!engine) return show_ways_out(engine.error());
  auto samples = open_samples(spec, data, engine->inputs());
  if (!samples) return samples.error();
  print_notes(samples->notes());
  const auto layers = inputs_of(*model.onnx(), plan);
  std::vector<std::string> wanted;
  for (const auto& [tensor, fed] : layers) wanted.push_back(tensor);

  const auto run = [&](std::span<const ptq::named_array> batch) {
    return engine->run(batch, wanted, [&](const ptq::named_array& made) -> ptq::result<void> {
      for (const std::string& layer : layers.find(made.name)->second) {
        if (auto sound = check_input(layer, made.array); !sound) return sound;
        if (auto taken = calibration.collect(layer, made.array); !taken) return taken;
      }
      return {};
    });
  };
  sample_progress shown(samples->count());
  for (;;) {
    const std::size_t first = samples->position();
    const auto batch = samples->next();
    if (!batch) return batch.error();
    if (batch->empty()) return {};
    if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
    const auto ran = run(*batch);
    if (!ran && ran.error().code == ptq::errc::unsupported) return show_ways_out(ran.error());
    const std::size_t count = samples->position() - first;
    if (!ran) return in_sample(ran.error(), *samples, count, *batch, run);
    shown.step(count);
  }
}

ptq::result<void> read_recording(const ptq::data_config& data, const model_file& model, const ptq::plan& plan,
                                 ptq::calibration& calibration) {
  progress shown(calibration.collected().size());
  std::string_view current;
  const auto notes = ptq::read_recorded(
      data, plan, model.layers(), data_formats{},
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

ptq::result<void> expect_data(const ptq::spec& spec, const model_file& model, const ptq::plan& plan) {
  if (!spec.ptq.calibration.statistics.empty() || !plan.quantizes_activations()) return {};
  if (const ptq::data_config* const data = spec.data()) {
    const bool runs = model.onnx() != nullptr && data->activations.empty();
    return runs ? check_inputs(spec, *data, model.onnx()->model.graph) : ptq::result<void>();
  }
  return ptq::error(
      ptq::errc::missing_value, spec.file,
      "activations are to be quantized, but there are no calibration data. Give inputs of the model: "
      "dataset.quant_calibration_dataset.inputs=FILE.npy (.npz, .safetensors), or images_dir=FOLDER; or "
      "recorded inputs of its layers: dataset.quant_calibration_dataset.activations=FILE.npz.");
}

ptq::result<ptq::calibration> collect_statistics(const ptq::spec& spec, const model_file& model,
                                                 const ptq::plan& plan) {
  ptq::calibration calibration(plan);
  const ptq::data_config& data = *spec.data();
  if (!data.activations.empty()) {
    if (auto read = read_recording(data, model, plan, calibration); !read) return read.error();
    return calibration;
  }
  if (model.onnx() == nullptr)
    return ptq::error(
        ptq::errc::unsupported, model.path(),
        "a checkpoint holds weights but no graph, so inputs cannot be run through it. Give the model as "
        ".onnx, or recorded inputs of its layers: "
        "dataset.quant_calibration_dataset.activations=FILE.npz.");
  if (auto ran = run_model(spec, model, plan, calibration); !ran) return ran.error();
  return calibration;
}

ptq::result<ptq::calibration> load_statistics(const std::string& path, const model_file& model,
                                              const ptq::plan& plan) {
  auto stored = ptq::read_statistics(path, ptq::model_hash(model.layers()));
  if (!stored) return stored.error();
  for (const ptq::layer& layer : model.layers())
    for (const std::string& alias : layer.aliases)
      if (!stored->contains(layer.name))
        if (auto seen = stored->extract(alias); !seen.empty()) {
          seen.key() = layer.name;
          stored->insert(std::move(seen));
        }
  ptq::calibration calibration(plan);
  for (const auto& [layer, seen] : calibration.collected())
    if (!stored->contains(layer))
      return ptq::error(ptq::errc::tensor_not_found, ptq::absolute_path(path),
                        "it has no statistics of layer \"" + layer +
                            "\", whose activations are to be quantized. Calibrate again with this "
                            "specification.");
  calibration.merge(*stored);
  return calibration;
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
