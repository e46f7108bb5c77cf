// SPDX-License-Identifier: Apache-2.0
// ptq calibrate and ptq merge: statistics of activations in files, so that data are run through a model once,
// in parts if need be.
#include "statistics.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "output.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/file/path.hpp"
#include "ptq/file/run_folder.hpp"
#include "ptq/formats.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/model/model_hash.hpp"
#include "ptq/text/table.hpp"
#include "quantize.hpp"
#include "sources.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

nlohmann::json json_of(const std::string& path, const ptq::stored_statistics& statistics) {
  auto layers = nlohmann::json::array();
  for (const auto& [name, seen] : statistics.layers)
    layers.push_back({{"name", name}, {"count", seen.count}, {"absmax", seen.absmax}});
  return {{"statistics", ptq::absolute_path(path)}, {"model", statistics.model}, {"layers", layers}};
}

ptq::error nothing_to_calibrate(const ptq::spec& spec) {
  return ptq::error(ptq::errc::invalid_value, spec.file,
                    "no layer's activations are quantized, so there is nothing to calibrate. That takes "
                    "backend: modelopt, mode: static_ptq, and rules with activations: {dtype: int8}; "
                    "`ptq plan` says what each layer gets.");
}

/// Statistics are written over statistics alone (or what is empty), so that no model and no data are lost.
ptq::result<void> keep_what_is_there(const std::string& path) {
  std::error_code missing;
  const auto there = std::filesystem::status(path, missing);
  if (!std::filesystem::exists(there) || std::filesystem::is_directory(there)) return {};
  if (std::filesystem::is_regular_file(there) && std::filesystem::is_empty(path, missing)) return {};
  const auto file = ptq::open_safetensors(path);
  if (file && ptq::is_statistics(file->metadata())) return {};
  return ptq::error(ptq::errc::invalid_value, ptq::absolute_path(path),
                    "this is there already and does not hold statistics, so it is not written over. Give "
                    "another -o FILE.ptqcal, or remove it first.");
}

/// As the name of a file in its folder, which no other run writes meanwhile.
ptq::result<ptq::run_folder> begin_file(const options& given, const std::string& path) {
  return begin_run(given, ptq::folder_of(path), std::string(ptq::file_name_of(path)));
}

ptq::result<void> write(ptq::run_folder& run, const std::string& path,
                        const ptq::stored_statistics& statistics) {
  const std::string name(ptq::file_name_of(path));
  const auto inside = run.path_of(name);
  if (!inside) return inside.error();
  if (auto done = ptq::write_statistics(*inside, statistics.layers, statistics.model); !done)
    return run.seen_from_outside(done.error());
  if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
  return run.commit({{}, {}, name, {}});
}

/// A part that is given twice would count twice, by whatever name. What cannot be opened is reported later.
ptq::result<void> expect_each_once(const std::vector<std::string>& parts) {
  std::set<std::pair<dev_t, ino_t>> seen;
  for (const std::string& part : parts) {
    struct stat about{};
    if (::stat(part.c_str(), &about) != 0 || seen.emplace(about.st_dev, about.st_ino).second) continue;
    return ptq::error(ptq::errc::duplicate_key, ptq::absolute_path(part),
                      "this part is given twice, so its data would count twice. Give it once.");
  }
  return {};
}

constexpr const char* lost = "the statistics are";  // by a run that is interrupted

/// Writes the file and says what is in it.
int finish(const options& given, ptq::run_folder run, const std::string& path,
           const ptq::stored_statistics& statistics) {
  if (const auto done = write(run, path, statistics); !done)
    return give_up(given, std::move(run), done.error(), lost);
  print_statistics(given, path, statistics);
  return done;
}

}  // namespace

void print_statistics(const options& given, const std::string& path,
                      const ptq::stored_statistics& statistics) {
  if (given.json) {
    print_json(json_of(path, statistics));
    return;
  }
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"layer"}, column{"values", right}, column{"largest", right}});
  for (const auto& [name, seen] : statistics.layers)
    table.add({name, std::to_string(seen.count), ptq::short_text(static_cast<double>(seen.absmax), 6)});
  print(table.text() + "\nstatistics: " + ptq::printable(ptq::absolute_path(path)) +
        "\nmodel:      " + ptq::printable(statistics.model) + "\n");
}

int run_calibrate(const options& given) {
  auto spec = ptq::read_spec(given.spec_file, given.overrides);
  if (!spec) return fail(given, spec.error(), bad_usage);
  spec->ptq.calibration.statistics.clear();  // they are made here, not read
  if (const auto wanted = require(*spec, "model_path"); !wanted)
    return fail(given, wanted.error(), bad_usage);
  if (const auto wanted = require(*spec, "results_dir"); given.output.empty() && !wanted)
    return fail(given, wanted.error(), bad_usage);
  const std::string path = given.output.empty() ? result_path(*spec, "statistics.ptqcal") : given.output;
  if (const auto kept = keep_what_is_there(path); !kept) return fail(given, kept.error(), bad_usage);
  const auto model = ptq::model_file::open_for(*spec);
  if (!model) return fail(given, model.error(), failed);
  auto planned = ptq::match_model(*spec, *model);
  if (!planned) return fail(given, planned.error(), bad_usage);
  ptq::plan& plan = *planned;
  judge_data(*spec, plan);
  print_notes(plan.notes);
  if (const int code = warn(given, plan.warnings); code != done) return code;
  if (!plan.quantizes_activations()) return fail(given, nothing_to_calibrate(*spec), bad_usage);
  if (const auto named = expect_data(*spec, *model, plan); !named)
    return fail(given, named.error(), bad_usage);

  if (is_team()) {
    if (const auto same = expect_same(key_of(given, *spec, *model)); !same)
      return fail(given, same.error(), failed);
    if (team_rank() != leader && !has_samples_to_spread(*spec, *model, plan)) return done;
    if (team_rank() != leader) {
      const auto seen = collect_statistics(*spec, *model, plan);
      return seen ? done : fail(given, seen.error(), failed);
    }
  }

  // A calibration can take long, so its folder is seen to before.
  catch_interrupts();
  if (given.output.empty())
    if (const auto made = make_results_dir(spec->quantize.results_dir); !made)
      return fail(given, made.error(), failed);
  auto run = begin_file(given, path);
  if (!run) return fail(given, run.error(), failed);
  if (const auto free = run->path_of(std::string(ptq::file_name_of(path))); !free)
    return give_up(given, *std::move(run), free.error(), lost);
  const auto seen = collect_statistics(*spec, *model, plan);
  if (!seen) return give_up(given, *std::move(run), seen.error(), lost);
  const auto inputs = seen->ranges(spec->ptq.calibration);
  if (!inputs) return give_up(given, *std::move(run), inputs.error(), lost);
  print_findings(plan, *inputs);
  return finish(given, *std::move(run), path, {ptq::model_hash(model->layers()), seen->collected()});
}

int run_merge(const options& given) {
  if (given.output.empty() && given.files.size() == 1 && ptq::is_folder(given.files.front()))
    return merge_folder(given, given.files.front());
  if (given.output.empty())
    return fail(given,
                ptq::error(ptq::errc::missing_value, "merge",
                           "--output is required, or one folder with the parts of an artifact. `ptq merge "
                           "--help` lists what there is."),
                bad_usage);
  if (const auto kept = keep_what_is_there(given.output); !kept) return fail(given, kept.error(), bad_usage);
  for (const std::string& part : given.files)
    if (is_same_file(part, given.output))
      return fail(
          given,
          ptq::error(
              ptq::errc::invalid_value, ptq::absolute_path(given.output),
              "this is one of the parts: a second run would count it twice. Give another -o FILE.ptqcal."),
          bad_usage);
  if (const auto once = expect_each_once(given.files); !once) return fail(given, once.error(), bad_usage);
  catch_interrupts();
  auto run = begin_file(given, given.output);
  if (!run) return fail(given, run.error(), failed);
  const auto merged = ptq::merge_statistics(given.files);
  if (!merged) return give_up(given, *std::move(run), merged.error(), lost);
  return finish(given, *std::move(run), given.output, *merged);
}

}  // namespace cli
