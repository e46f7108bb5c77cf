// SPDX-License-Identifier: Apache-2.0
// ptq evaluate: the model and its artifact on the same inputs, sample by sample.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "data_formats.hpp"
#include "engines.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/io/samples.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/table.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

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

ptq::result<ptq::accuracy> evaluate(const ptq::data_config& data, any_engine& reference,
                                    any_engine& quantized) {
  auto samples = ptq::samples::open(data, reference.inputs(), data_formats{});
  if (!samples) return samples.error();
  std::vector<std::int64_t> labels;
  if (!data.labels.empty()) {
    auto read = ptq::read_labels(data.labels, samples->total(), data_formats{});
    if (!read) return read.error();
    labels = *std::move(read);
  }
  ptq::accuracy_accumulator sums;
  sample_progress shown(samples->count());
  for (std::size_t at = 0;;) {
    const auto batch = samples->next();
    if (!batch) return batch.error();
    if (batch->empty()) return sums.metrics();
    const auto expected = outputs_of(reference, *batch);
    if (!expected) return expected.error();
    const auto found = outputs_of(quantized, *batch);
    if (!found) return found.error();
    const std::size_t count = (*batch)[0].array.shape[0];
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
  if (!data || data->inputs.empty())
    return fail(
        given,
        ptq::error(
            ptq::errc::missing_value, spec->file,
            "there are no evaluation data. Give evaluate.inputs=FILE.npy, and evaluate.labels=FILE.npy "
            "for top-1."),
        bad_usage);
  auto reference = any_engine::load(spec->quantize.model_path);
  if (!reference) return fail(given, reference.error(), failed);
  auto quantized = any_engine::load(artifact_path(*spec));
  if (!quantized) return fail(given, quantized.error(), failed);
  const auto measured = evaluate(*data, *reference, *quantized);
  if (!measured) return fail(given, measured.error(), failed);
  if (given.json)
    std::fputs(json_text(json_of(*measured)).c_str(), stdout);
  else
    print(*measured);
  return done;
}

}  // namespace cli
