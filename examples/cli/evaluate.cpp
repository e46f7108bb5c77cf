// SPDX-License-Identifier: Apache-2.0
// ptq evaluate: the model and its artifact on the same inputs, sample by sample.
#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "engines.hpp"
#include "output.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/engine/evaluate.hpp"
#include "ptq/formats.hpp"
#include "ptq/report/json.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/table.hpp"
#include "samples.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// Each name in a setting is that of an input or output.
ptq::result<void> check_names(const ptq::spec& spec, const ptq::model_graph& graph) {
  const ptq::data_config& data = *spec.evaluation_data;
  if (auto known = check_inputs(spec, data, graph.inputs); !known) return known;
  const auto known = ptq::check_outputs(data, graph.outputs);
  return known ? known : in_specification(spec, "evaluate.", known.error());
}

/// Settings stand in the specification, labels in a file.
ptq::error placed(const ptq::spec& spec, const ptq::error& found) {
  const std::string text = found.where.empty()
                               ? found.what
                               : found.what.substr(std::min(found.where.size() + 2, found.what.size()));
  if (found.where == "labels") return {found.code, ptq::absolute_path(spec.evaluation_data->labels), text};
  if (found.where == "task" || found.where == "class_axis") return in_specification(spec, "evaluate.", found);
  return found;
}

ptq::result<tiny::arithmetic> arithmetic_of(const options& given) {
  if (const auto* const found = tiny::find_arithmetic(given.arithmetic)) return *found;
  std::vector<std::string_view> names;
  std::string text;
  for (const tiny::named_arithmetic& row : tiny::arithmetics) {
    names.push_back(row.name);
    text.append(text.empty() ? "" : ", ").append(row.name);
  }
  return ptq::error(
      ptq::errc::unknown_word, "--arithmetic",
      "there is no arithmetic \"" + ptq::printable(given.arithmetic) + "\". There are " + text + ".",
      ptq::nearest_word(given.arithmetic, names));
}

ptq::result<ptq::evaluation> evaluate(const ptq::spec& spec, const ptq::model_file& model,
                                      any_engine& reference, any_engine& quantized) {
  const ptq::data_config& data = *spec.evaluation_data;
  auto samples = open_samples(spec, data, reference.inputs());
  if (!samples) return samples.error();
  print_notes(samples->notes());
  ptq::comparison how{
      model.graph()->outputs, data, {}, model.path(), ptq::absolute_path(artifact_path(spec))};
  if (!data.labels.empty()) {
    auto read = ptq::read_label_array(data.labels, samples->total(), ptq::data_formats{});
    if (!read) return read.error();
    how.labels = *std::move(read);
  }
  sample_progress shown(samples->count());
  auto found =
      ptq::evaluate(reference, quantized, *samples, how, [&](std::size_t done) { shown.show(done); });
  if (!found) return placed(spec, found.error());
  return found;
}

/// Figures that do not exist are null. SQNR is so where outputs are equal, and where those of the model are
/// all zero: max_abs_error tells which.
nlohmann::json json_of(const ptq::compared_output& output) {
  const ptq::accuracy a = output.metrics();
  const bool has_answers = output.task() != ptq::task::regression;
  nlohmann::json row = {{"name", output.name()},
                        {"task", ptq::name_of(output.task())},
                        {"compared", output.text()},
                        {"batch_axis", nullptr},
                        {"class_axis", nullptr},
                        {"threshold", nullptr},
                        {"answers", has_answers ? a.samples : 0},
                        {"float_top1", ptq::optional_json(a.float_top1)},
                        {"quantized_top1", ptq::optional_json(a.quantized_top1)},
                        {"agreement", nullptr},
                        {"sqnr_db", nullptr},
                        {"cosine", nullptr},
                        {"max_abs_error", nullptr}};
  if (const auto axis = output.batch_axis()) row["batch_axis"] = *axis;
  if (const auto axis = output.class_axis()) row["class_axis"] = *axis;
  if (output.task() == ptq::task::binary) row["threshold"] = a.threshold;
  if (has_answers && a.samples > 0) row["agreement"] = a.agreement;
  if (a.outputs.count == 0) return row;
  row["sqnr_db"] = ptq::finite_or_null(a.outputs.sqnr_db);
  row["cosine"] = a.outputs.cosine;
  row["max_abs_error"] = ptq::finite_or_null(a.outputs.max_abs);
  return row;
}

/// The figures of the first output stand beside the list of all.
nlohmann::json json_of(const ptq::evaluation& found) {
  auto rows = nlohmann::json::array();
  for (const ptq::compared_output& output : found.outputs) rows.push_back(json_of(output));
  nlohmann::json all = {{"samples", found.samples}, {"outputs", rows}};
  for (const char* key : {"float_top1", "quantized_top1", "agreement", "sqnr_db", "cosine", "max_abs_error"})
    all[key] = rows.empty() ? nlohmann::json() : rows[0][key];
  return all;
}

std::string percent(double share) {
  return ptq::fixed_text(100 * share, 2) + " %";
}

/// "36.8 dB"
std::string ratio_text(const ptq::error_metrics& m) {
  if (m.count == 0) return "none (no values)";
  if (m.max_abs > 0 && m.sqnr_db < -1e300) return "none (the model's output is all zero)";
  return ptq::fixed_text(m.sqnr_db, 1) + " dB";
}

/// "agreement         99.40 %": the values of all lines begin in one column.
void print_row(const char* title, const std::string& value) {
  constexpr std::size_t width = 18;
  std::string line = title;
  line.resize(width, ' ');
  print(line + ptq::printable(value) + "\n");
}

void print_one(const ptq::compared_output& output) {
  const ptq::accuracy a = output.metrics();
  print_row("compared", output.text());
  if (output.task() != ptq::task::regression) {
    if (a.float_top1) print_row("top-1, float", percent(*a.float_top1));
    if (a.quantized_top1) print_row("top-1, quantized", percent(*a.quantized_top1));
    print_row("agreement", a.samples > 0 ? percent(a.agreement) : "none (no answers)");
  }
  print_row("output SQNR", ratio_text(a.outputs));
  print_row("output cosine", ptq::fixed_text(a.outputs.cosine, 6));
  print_row("largest error", ptq::short_text(a.outputs.max_abs));
}

void print_evaluation(const ptq::evaluation& found) {
  print_row("samples", std::to_string(found.samples));
  if (found.outputs.size() == 1) return print_one(found.outputs[0]);
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"output"}, column{"compared"}, column{"top-1, float", right},
                         column{"top-1, quantized", right}, column{"agreement", right},
                         column{"output SQNR", right}, column{"cosine", right},
                         column{"largest error", right}});
  for (const ptq::compared_output& output : found.outputs) {
    const ptq::accuracy a = output.metrics();
    const bool has_answers = output.task() != ptq::task::regression && a.samples > 0;
    const std::string text = output.text();
    table.add({output.name(), text.substr(output.name().size() + 1),
               has_answers && a.float_top1 ? percent(*a.float_top1) : "-",
               has_answers && a.quantized_top1 ? percent(*a.quantized_top1) : "-",
               has_answers ? percent(a.agreement) : "-", ratio_text(a.outputs),
               ptq::fixed_text(a.outputs.cosine, 6), ptq::short_text(a.outputs.max_abs)});
  }
  print("\n" + table.text());
}

}  // namespace

int run_evaluate(const options& given) {
  const auto numbers = arithmetic_of(given);
  if (!numbers) return fail(given, numbers.error(), bad_usage);
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
  const auto model = ptq::model_file::open(spec->quantize.model_path);
  if (!model) return fail(given, model.error(), failed);
  if (model->graph() == nullptr)
    return fail(
        given,
        ptq::error(ptq::errc::unsupported, model->path(),
                   "evaluate runs graphs, and a checkpoint holds weights but no graph. Quantize the model as "
                   ".onnx; `ptq compare` tells the error of a checkpoint's weights."),
        failed);
  auto reference = any_engine::load(spec->quantize.model_path);
  if (!reference) return fail(given, reference.error(), failed);
  auto quantized = any_engine::load(artifact_path(*spec), *numbers);
  if (!quantized) {
    ptq::error lacking = quantized.error();
    if (lacking.code == ptq::errc::cannot_open)
      lacking.what += " `ptq quantize` with the same specification writes it.";
    return fail(given, lacking, failed);
  }
  const auto artifact = ptq::model_file::open(artifact_path(*spec));
  if (!artifact) return fail(given, artifact.error(), failed);
  if (const auto same = ptq::model_file::check_origin(*artifact, *model); !same)
    return fail(given, same.error(), failed);
  if (const auto known = check_names(*spec, *model->graph()); !known)
    return fail(given, known.error(), bad_usage);
  const auto measured = evaluate(*spec, *model, *reference, *quantized);
  if (!measured) return fail(given, measured.error(), failed);
  if (given.json) {
    nlohmann::json all = json_of(*measured);
    all["arithmetic"] = given.arithmetic;
    print_json(all);
  } else {
    if (*numbers == tiny::arithmetic::integer)
      print_row("arithmetic", "integer, as in firmware: a multiplier and a shift a channel");
    print_evaluation(*measured);
  }
  return done;
}

}  // namespace cli
