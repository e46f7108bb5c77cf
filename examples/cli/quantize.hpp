// SPDX-License-Identifier: Apache-2.0
/// @file quantize.hpp What a run that quantizes a model has in common with one that quantizes a share of it,
/// and with the one that makes an artifact of all shares.
#ifndef PTQ_CLI_QUANTIZE_HPP
#define PTQ_CLI_QUANTIZE_HPP

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "command.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/error.hpp"
#include "ptq/file/run_folder.hpp"
#include "ptq/formats.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/report/zeroed_channels.hpp"
#include "ptq/result.hpp"
#include "sources.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace cli {

/// The specification as experiment.yaml has it: that file gives the same artifact from any folder.
std::string resolved_text(ptq::spec spec);

/// The form of the artifact: the one that was asked for; else the one that loaders know, if they are to open
/// it and it can hold what is planned; else the model's own.
std::string form_of(const options& given, const ptq::model_file& model, const ptq::plan& plan);

/// Nothing that the run reads may be in the way of what it writes.
ptq::result<void> keep_sources(const options& given, const ptq::spec& spec,
                               const std::vector<source>& sources);

/// A report of every layer that a plan has, as they are before any is quantized.
ptq::quantize_report begin_report(const ptq::plan& plan, const ptq::model_file& model,
                                  std::span<const ptq::activation_range> inputs);

/// The ranges of activations, if the plan quantizes any: from statistics, if they are there already.
ptq::result<std::vector<ptq::activation_range>> find_inputs(const ptq::spec& spec,
                                                            const ptq::model_file& model,
                                                            const ptq::plan& plan);

/// An error of a writer says which layer or tensor; of some it is good to know the model, too.
ptq::error of_model(const ptq::error& refused, const std::string& model_path);

/// From here on status.json says that the run is at work.
ptq::result<void> say_running(ptq::run_folder& run);

/// Writes the other files of a run, whose artifact is written; then all of them appear.
///
/// @param artifact its files
/// @param stale    files of older runs that go then
ptq::result<void> commit_results(const options& given, const ptq::spec& spec,
                                 const ptq::quantize_report& report, ptq::run_folder& run,
                                 std::vector<std::string> artifact, std::vector<std::string> stale = {});

/// Ends a run that failed: status.json says so, and everything else stays as it was.
int give_up(const options& given, ptq::run_folder run, const ptq::error& error);

struct what_is_known {
  std::size_t notes = 0;     // how many of a report have been printed
  bool is_own_form = false;  // no form was asked for
};

/// Prints what a run did.
void print_result(const options& given, const ptq::spec& spec, const ptq::model_file& model,
                  const ptq::quantize_report& report, what_is_known known);

/// Quantizes a share of a model that is planned, and writes it into results_dir as a part of the artifact.
///
/// @param given has the share
int quantize_share(const options& given, const ptq::spec& spec, ptq::model_file model,
                   const ptq::plan& whole);

/// Quantizes the shares of a model that is planned, one for each rank of the team, and makes the artifact of
/// them.
int quantize_in_team(const options& given, const ptq::spec& spec, ptq::model_file model,
                     const ptq::plan& whole);

/// Of the model, the specification and all else that decides about the bytes of an artifact.
///
/// @param model whole
std::string key_of(const options& given, const ptq::spec& spec, const ptq::model_file& model);

/// Makes the artifact of the parts that lie in a folder.
int merge_folder(const options& given, const std::string& folder);

/// Fills the report as layers are written, shows progress, and stops on Ctrl-C. A `part_sink`.
class on_layer {
 public:
  struct findings {
    ptq::error_accumulator errors;
    ptq::seen_channels channels;

    void add(const ptq::quantized_layer& part) {
      errors = ptq::quantization_error_sums(part);
      channels = ptq::seen_channels(part);
    }
    void merge(const findings& next) {
      errors.merge(next.errors);
      channels.merge(next.channels);
    }
  };

  on_layer(const ptq::plan& plan, ptq::quantize_report& report)
      : plan_(&plan), report_(&report), shown_(count_quantized(plan)) {}

  ptq::status operator()(const ptq::quantized_layer& q, const findings& found) {
    if (is_interrupted() || is_called_off()) return {ptq::errc::stopped, 0};
    shown_.step(q.source.name);
    while (&q.planned != &plan_->layers[at_]) ++at_;  // layers come in the plan's order
    ptq::layer_report& layer = report_->layers[at_];
    layer.weights = ptq::weights_report_of(q, found.errors.metrics());
    layer.lost = ptq::zeroed_channels_text(q, found.channels.zeroed());
    return {};
  }

 private:
  static std::size_t count_quantized(const ptq::plan& plan) {
    std::size_t count = 0;
    for (const ptq::planned_layer& layer : plan.layers) count += layer.weights.is_quantized() ? 1u : 0u;
    return count;
  }

  const ptq::plan* plan_;
  ptq::quantize_report* report_;
  progress shown_;
  std::size_t at_ = 0;
};

/// Adds to the report's notes what quantization lost of its layers.
inline void note_losses(ptq::quantize_report& report) {
  for (const ptq::layer_report& layer : report.layers)
    if (!layer.lost.empty()) report.notes.push_back(layer.lost);
}

}  // namespace cli

#endif  // PTQ_CLI_QUANTIZE_HPP
