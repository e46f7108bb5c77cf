// SPDX-License-Identifier: Apache-2.0
// ptq evaluate: the model and its artifact on the same inputs, sample by sample.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "command.hpp"
#include "data_formats.hpp"
#include "engines.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/io/onnx.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/table.hpp"
#include "samples.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// A constant of the graph, or null.
const ptq::onnx_tensor* find_tensor(const ptq::onnx_graph& graph, std::string_view name) {
  for (const auto* list : {&graph.initializers, &graph.constants})
    for (const ptq::onnx_tensor& tensor : *list)
      if (tensor.name == name) return &tensor;
  return nullptr;
}

/// The first output of a batch, sample after sample.
ptq::result<std::vector<float>> outputs_of(any_engine& engine, std::span<const ptq::named_array> batch) {
  std::vector<float> values;
  const std::string wanted = engine.outputs()[0];
  const auto ran =
      engine.run(batch, std::span(&wanted, 1), [&](const ptq::named_array& made) -> ptq::result<void> {
        if (!ptq::is_float(made.array.type))
          return ptq::error(ptq::errc::wrong_type, "output \"" + made.name + "\"",
                            std::string("holds ") + ptq::name_of(made.array.type) + ", so it has no error.");
        ptq::for_each_element(made.array,
                              [&](auto x) { values.push_back(static_cast<float>(ptq::number_of(x))); });
        return {};
      });
  if (!ran) return ran.error();
  return values;
}

ptq::error wrong_label(const ptq::data_config& data, std::size_t sample, std::int64_t label,
                       std::size_t classes) {
  return {ptq::errc::invalid_value, ptq::absolute_path(data.labels),
          "sample " + std::to_string(sample) + ": the label is " + std::to_string(label) +
              ", but the model has " + std::to_string(classes) + " classes: labels are numbers from 0 to " +
              std::to_string(classes - 1) + "."};
}

ptq::result<ptq::accuracy> evaluate(const ptq::spec& spec, any_engine& reference, any_engine& quantized) {
  const ptq::data_config& data = *spec.evaluation_data;
  auto samples = open_samples(spec, data, reference.inputs());
  if (!samples) return samples.error();
  print_notes(samples->notes());
  std::vector<std::int64_t> labels;
  if (!data.labels.empty()) {
    auto read = ptq::read_labels(data.labels, samples->total(), data_formats{});
    if (!read) return read.error();
    labels = *std::move(read);
  }
  ptq::accuracy_accumulator sums;
  sample_progress shown(samples->count());
  for (;;) {
    std::size_t at = samples->position();
    const auto batch = samples->next();
    if (!batch) return batch.error();
    if (batch->empty()) return sums.metrics();
    const auto expected = outputs_of(reference, *batch);
    if (!expected) return expected.error();
    const auto found = outputs_of(quantized, *batch);
    if (!found) return found.error();
    const std::size_t count = samples->position() - at;
    const std::size_t width = expected->size() / count;
    if (found->size() != expected->size())
      return ptq::error(ptq::errc::size_mismatch, {},
                        "the model and its artifact have outputs of different sizes.");
    for (std::size_t i = 0; i < count; ++i, ++at) {
      if (!labels.empty() && !(labels[at] >= 0 && std::cmp_less(labels[at], width)))
        return wrong_label(data, at, labels[at], width);
      sums.add(std::span(*expected).subspan(i * width, width), std::span(*found).subspan(i * width, width),
               labels.empty() ? std::optional<std::int64_t>() : labels[at]);
    }
    shown.step(count);
  }
}

/// "takes input [N, 1, 28, 28], gives logits [N, 10]"
std::string signature_of(const ptq::onnx_graph& graph) {
  const auto is_weight = [&](const ptq::onnx_value& value) {
    return find_tensor(graph, value.name) != nullptr;
  };
  std::string text;
  for (const auto& [verb, values] : {std::pair{"takes", &graph.inputs}, {"gives", &graph.outputs}}) {
    text.append(text.empty() ? "" : ", ").append(verb);
    for (const ptq::onnx_value& value : *values) {
      if (is_weight(value)) continue;
      text.append(" ").append(value.name);
      std::string extents;
      for (const ptq::onnx_extent& e : value.shape.value_or(std::vector<ptq::onnx_extent>()))
        extents.append(extents.empty() ? "" : ", ")
            .append(e.number           ? std::to_string(*e.number)
                    : e.symbol.empty() ? "?"
                                       : e.symbol);
      if (value.shape) text.append(" [").append(extents).append("]");
    }
  }
  return text;
}

/// Refuses an artifact of another model, as far as the graphs tell: by what they take and give, and by the
/// weights that became codes. Other numbers in the same graph are not noticed.
ptq::result<void> check_origin(const ptq::onnx_model& artifact, const ptq::onnx_model& model) {
  const auto refuse = [&](const std::string& why) {
    return ptq::error(ptq::errc::wrong_model, ptq::absolute_path(artifact.file),
                      "this artifact belongs to another model than " + ptq::absolute_path(model.file) + ": " +
                          why + ". Quantize again, or give the results_dir of this model.");
  };
  const std::string found = signature_of(artifact.graph);
  const std::string expected = signature_of(model.graph);
  if (found != expected) return refuse("it " + found + ", but the model " + expected);
  constexpr std::string_view suffix = "_quantized";  // of the codes of a weight
  for (const ptq::onnx_tensor& codes : artifact.graph.initializers) {
    const std::string_view name = codes.name;
    if (!name.ends_with(suffix) || find_tensor(model.graph, name)) continue;
    const std::string weight(name.substr(0, name.size() - suffix.size()));
    const ptq::onnx_tensor* source = find_tensor(model.graph, weight);
    if (!source) return refuse("the model has no weight \"" + weight + "\"");
    if (source->dims != codes.dims) return refuse("the model's weight \"" + weight + "\" has another shape");
  }
  return {};
}

nlohmann::json json_of(const ptq::accuracy& a) {
  return {{"samples", a.samples},
          {"float_top1", ptq::detail::optional_json(a.float_top1)},
          {"quantized_top1", ptq::detail::optional_json(a.quantized_top1)},
          {"agreement", a.agreement},
          {"sqnr_db", ptq::detail::finite_or_null(a.outputs.sqnr_db)},
          {"cosine", a.outputs.cosine},
          {"max_abs_error", a.outputs.max_abs}};
}

std::string percent(double share) {
  return ptq::fixed_text(100 * share, 2) + " %";
}

void print(const ptq::accuracy& a) {
  std::printf("samples           %zu\n", a.samples);
  if (a.float_top1) std::printf("top-1, float      %s\n", percent(*a.float_top1).c_str());
  if (a.quantized_top1) std::printf("top-1, quantized  %s\n", percent(*a.quantized_top1).c_str());
  std::printf("agreement         %s\noutput SQNR       %s dB\noutput cosine     %s\n",
              percent(a.agreement).c_str(), ptq::fixed_text(a.outputs.sqnr_db, 1).c_str(),
              ptq::fixed_text(a.outputs.cosine, 6).c_str());
}

}  // namespace

int run_evaluate(const options& given) {
  const auto spec = ptq::read_spec(given.spec_file, given.overrides);
  if (!spec) return fail(given, spec.error(), bad_usage);
  for (const char* field : {"model_path", "results_dir"})
    if (const auto wanted = require(*spec, field); !wanted) return fail(given, wanted.error(), bad_usage);
  const auto& data = spec->evaluation_data;
  if (!data || (data->inputs.empty() && data->images_dir.empty()))
    return fail(
        given,
        ptq::error(
            ptq::errc::missing_value, spec->file,
            "there are no evaluation data. Give evaluate.inputs=FILE.npy, and evaluate.labels=FILE.npy "
            "for top-1."),
        bad_usage);
  if (!spec->quantize.model_path.ends_with(".onnx")) {
    if (const auto opened = open_checkpoint(spec->quantize.model_path); !opened)
      return fail(given, opened.error(), failed);
    return fail(
        given,
        ptq::error(ptq::errc::unsupported, ptq::absolute_path(spec->quantize.model_path),
                   "evaluate runs graphs, and a checkpoint holds weights but no graph. Quantize the model as "
                   ".onnx; `ptq compare` tells the error of a checkpoint's weights."),
        failed);
  }
  auto reference = any_engine::load(spec->quantize.model_path);
  if (!reference) return fail(given, reference.error(), failed);
  auto quantized = any_engine::load(artifact_path(*spec));
  if (!quantized) {
    ptq::error lacking = quantized.error();
    if (lacking.code == ptq::errc::cannot_open)
      lacking.what += " `ptq quantize` with the same specification writes it.";
    return fail(given, lacking, failed);
  }
  const auto artifact = ptq::read_onnx(artifact_path(*spec));
  if (!artifact) return fail(given, artifact.error(), failed);
  const auto model = ptq::read_onnx(spec->quantize.model_path);
  if (!model) return fail(given, model.error(), failed);
  if (const auto same = check_origin(*artifact, *model); !same) return fail(given, same.error(), failed);
  const auto measured = evaluate(*spec, *reference, *quantized);
  if (!measured) return fail(given, measured.error(), failed);
  if (given.json)
    std::fputs(json_text(json_of(*measured)).c_str(), stdout);
  else
    print(*measured);
  return done;
}

}  // namespace cli
