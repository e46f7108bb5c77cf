// SPDX-License-Identifier: Apache-2.0
// ptq quantize --shard i/n: a part of the artifact; and ptq merge FOLDER: the artifact of all parts.
#include "quantize.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "command.hpp"
#include "output.hpp"
#include "ptq/artifact/parts.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/file/run_folder.hpp"
#include "ptq/formats.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/report/part_report.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/text/phrases.hpp"
#include "sources.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// Where the artifact lies makes no difference to a part.
std::string specification_of(ptq::spec spec) {
  spec.quantize.results_dir = "/";
  return resolved_text(std::move(spec));
}

/// What tells a file from one that was there before, without reading it: size and time, in seconds.
void add_file(ptq::part_key& key, const std::string& path) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(path, missing)) return;
  const auto when = std::filesystem::last_write_time(path, missing).time_since_epoch();
  key.add(ptq::absolute_path(path));
  key.add(std::filesystem::file_size(path, missing));
  key.add(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(when).count()));
}

}  // namespace

std::string key_of(const options& given, const ptq::spec& spec, const ptq::model_file& model) {
  ptq::part_key key;
  key.add(specification_of(spec));
  key.add(given.format);
  for (const source& one : sources_of(model)) add_file(key, one.path);
  for (const source& one : sources_of(spec)) add_file(key, one.path);
  key.add(model.layers());
  key.add(model.bytes());
  key.add(std::uint64_t{model.other_tensors()});
  return key.text();
}

namespace {

/// What the names of all parts begin with.
std::string artifact_stem(const options& given, const ptq::spec& spec) {
  const std::string name = artifact_name(spec, given.format);
  return name.substr(0, name.rfind('.'));
}

/// As a shell takes it for one word.
std::string shell_word(const std::string& word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./=:,+@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// The command that makes a part.
std::string command_text(std::span<const std::string> command, const ptq::share& of) {
  std::string text = "ptq quantize";
  for (const std::string& word : command) text += " " + shell_word(word);
  return text + " --shard " + std::to_string(of.index) + "/" + std::to_string(of.count);
}

std::vector<std::string> command_of(const options& given) {
  std::vector<std::string> words{"-e", given.spec_file};
  words.insert(words.end(), given.overrides.begin(), given.overrides.end());
  if (!given.format.empty()) words.insert(words.end(), {"--format", given.format});
  if (!given.statistics.empty()) words.insert(words.end(), {"--statistics", given.statistics});
  return words;
}

ptq::result<ptq::part_report> read_part(const std::string& path) {
  const auto file = ptq::mapped_file::open(path);
  if (!file) return file.error();
  const auto* const text = reinterpret_cast<const char*>(file->bytes().data());
  return ptq::parse_part_report({text, file->bytes().size()}, ptq::absolute_path(path));
}

/// No part that is there may be a file that is read: it would be replaced, or `merge` would take it away.
ptq::result<void> keep_sources_from_parts(const ptq::spec& spec, const ptq::model_file& model,
                                          const std::string& artifact) {
  std::vector<std::string> parts;
  for (const std::string& name : ptq::names_in(spec.quantize.results_dir))
    if (const auto part = ptq::part_name::parse(name); part && part->artifact == artifact)
      parts.push_back(result_path(spec, name));
  if (auto kept = keep(sources_of(model), parts); !kept) return kept;
  return keep(sources_of(spec), parts);
}

/// Whether a part is there and need not be made again.
bool is_made(const std::string& folder, const ptq::part_name& name, const std::string& key) {
  const auto about = read_part(folder + "/" + name.report());
  return about && about->key == key && about->of.index == name.of.index && about->of.count == name.of.count &&
         ptq::open_safetensors(folder + "/" + name.tensors()).has_value();
}

int print_part(const options& given, const ptq::spec& spec, const ptq::part_name& name, bool was_there) {
  if (is_team()) return done;  // what comes of all of them is printed
  const std::string path = ptq::absolute_path(result_path(spec, name.tensors()));
  if (given.json) {
    print_json(
        {{"part", path}, {"index", name.of.index}, {"count", name.of.count}, {"was_there", was_there}});
    return done;
  }
  print("part " + std::to_string(name.of.index) + " of " + std::to_string(name.of.count) + ": " +
        ptq::printable(path) + (was_there ? " (was there already)" : "") +
        "\nAll parts together: ptq merge " + ptq::printable(shell_word(spec.quantize.results_dir)) + "\n");
  return done;
}

/// Those of the layers that lie at `places`, counted anew.
std::vector<ptq::activation_range> ranges_at(std::span<const ptq::activation_range> ranges,
                                             std::span<const std::size_t> places) {
  std::vector<ptq::activation_range> found;
  for (const ptq::activation_range& range : ranges) {
    const auto at = std::ranges::lower_bound(places, range.layer);
    if (at == places.end() || *at != range.layer) continue;
    found.push_back(range);
    found.back().layer = static_cast<std::size_t>(at - places.begin());
  }
  return found;
}

constexpr const char* part_form = "safetensors";  // whatever the artifact's will be

/// Quantizes what is left of a model into a part.
ptq::result<void> write_part(const options& given, const ptq::model_file& model, const ptq::plan& plan,
                             std::span<const ptq::activation_range> inputs, const ptq::part_name& name,
                             ptq::part_report& about, ptq::run_folder& run) {
  const auto path = run.path_of(name.tensors());
  if (!path) return path.error();
  ptq::quantize_report report = begin_report(plan, model, inputs);
  auto made =
      model.write(part_form, *path, plan, inputs, on_layer(plan, report), ptq::threads(given.threads));
  if (!made) return of_model(made.error(), model.path());
  if (auto written = made->commit(); !written) return written;
  about.layers = std::move(report.layers);
  if (auto written = run.write(name.report(), ptq::to_text(about)); !written) return written;
  if (is_interrupted()) return ptq::error(ptq::errc::stopped, {}, "interrupted.");
  return run.commit({{name.tensors()}, {}, name.report(), {}});
}

constexpr const char* lost_part = "the part is";  // by a run that is interrupted

}  // namespace

int quantize_share(const options& given, const ptq::spec& spec, ptq::model_file model,
                   const ptq::plan& whole) {
  const std::string& folder = spec.quantize.results_dir;
  const ptq::part_name name{artifact_stem(given, spec), *given.part};
  ptq::part_report about{name.of,
                         key_of(given, spec, model),
                         specification_of(spec),
                         command_of(given),
                         given.format,
                         whole.warnings,
                         whole.notes,
                         {},
                         {}};
  if (model.graph() != nullptr) return fail(given, model.keep_only(name.of).error(), bad_usage);
  if (const auto kept = keep_sources_from_parts(spec, model, name.artifact); !kept)
    return fail(given, kept.error(), bad_usage);
  if (const auto made = make_results_dir(folder); !made) return fail(given, made.error(), failed);
  (void)settle(folder);  // a merge that died may have parts to take away: not the one that is made now
  auto run = begin_run(given, folder, name.tensors());
  if (!run) return fail(given, run.error(), failed);
  if (is_made(folder, name, about.key)) return print_part(given, spec, name, true);
  if (is_there(folder + "/" + name.report()))
    note("part " + std::to_string(name.of.index) +
         " that is there is of another model or specification: it is "
         "replaced.");
  const auto inputs = find_inputs(spec, model, whole);
  if (!inputs) return give_up(given, *std::move(run), inputs.error(), lost_part);
  print_findings(whole, *inputs);
  const auto places = model.keep_only(name.of);
  if (!places) return give_up(given, *std::move(run), places.error(), lost_part);
  about.places = *places;
  const auto written =
      write_part(given, model, ptq::plan_for(whole, *places), ranges_at(*inputs, *places), name, about, *run);
  if (!written) {
    const ptq::error seen = run->seen_from_outside(written.error());
    return give_up(given, *std::move(run), seen, lost_part);
  }
  return print_part(given, spec, name, false);
}

namespace {

/// All parts that one artifact may be made of, and what is in the way.
struct found_parts {
  std::string folder;
  std::string artifact;                   // without its suffix
  std::size_t count = 0;                  // of the parts that are merged
  std::vector<ptq::part_name> all;        // of the artifact, of other counts too
  std::vector<ptq::run_folder> locks;     // of all of them
  std::vector<ptq::part_report> reports;  // of those that are merged, in their order

  ptq::part_name part(std::size_t index) const { return {artifact, {index, count}}; }
  std::string path(const std::string& name) const { return folder + "/" + name; }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const ptq::part_name& one : all)
      for (std::string name : {one.tensors(), one.report()})
        if (is_there(path(name))) names.push_back(std::move(name));
    return names;
  }
};

ptq::error no_parts(const std::string& folder) {
  return ptq::error(ptq::errc::no_data, ptq::absolute_path(folder),
                    "there are no parts of an artifact in this folder. `ptq quantize ... --shard i/n` makes "
                    "them, and a merge that has made its artifact takes them away.");
}

bool has_parts(const std::string& folder) {
  return std::ranges::any_of(ptq::names_in(folder), [](const std::string& name) {
    return name.ends_with(".json") && ptq::part_name::parse(name);
  });
}

/// What runs have left of parts that are there no more goes.
void settle_parts(const std::string& folder) {
  for (const std::string& name : ptq::names_in(folder))
    if (const auto part = ptq::part_name::parse(name))
      (void)ptq::run_folder::open(folder, part->tensors()).has_value();
}

/// The artifact and the number of its parts: those of which all are there, else the only ones that are.
ptq::result<void> choose(found_parts& parts) {
  std::map<std::pair<std::string, std::size_t>, std::size_t> there;
  for (const std::string& name : ptq::names_in(parts.folder))
    if (const auto part = ptq::part_name::parse(name)) {
      const auto [group, is_new] = there.try_emplace({part->artifact, part->of.count}, 0);
      if (name == part->report()) ++group->second;
    }
  const auto is_whole = [](const auto& group) { return group.second == group.first.second; };
  const auto whole = std::ranges::count_if(there, is_whole);
  if (there.empty()) return no_parts(parts.folder);
  const auto chosen = whole == 0 ? there.begin() : std::ranges::find_if(there, is_whole);
  if (whole > 1 || (whole == 0 && there.size() > 1)) {
    std::string list;
    for (const auto& [group, count] : there)
      list += (list.empty() ? "" : ", ") + std::to_string(count) + " of " + std::to_string(group.second) +
              " of " + group.first;
    return ptq::error(
        ptq::errc::invalid_value, ptq::absolute_path(parts.folder),
        "there are parts of several runs in this folder: " + list + ". Remove those that are not meant.");
  }
  std::tie(parts.artifact, parts.count) = chosen->first;
  return {};
}

/// Nobody may be at the parts, and what died there is settled.
ptq::result<void> lock(const options& given, found_parts& parts) {
  std::set<std::string> stems;
  const auto add = [&](const ptq::part_name& part) {
    if (stems.insert(part.stem()).second) parts.all.push_back(part);
  };
  for (std::size_t i = 1; i <= parts.count; ++i) add(parts.part(i));
  for (const std::string& name : ptq::names_in(parts.folder))
    if (const auto part = ptq::part_name::parse(name); part && part->artifact == parts.artifact) add(*part);
  for (const ptq::part_name& part : parts.all) {
    auto held = begin_run(given, parts.folder, part.tensors());
    if (!held) return held.error();
    parts.locks.push_back(*std::move(held));
  }
  return {};
}

/// What the parts that are there say of themselves; what it takes to make those that are not.
ptq::result<void> read(found_parts& parts) {
  std::vector<std::size_t> missing;
  for (std::size_t i = 1; i <= parts.count; ++i) {
    const ptq::part_name part = parts.part(i);
    if (!is_there(parts.path(part.report())) || !is_there(parts.path(part.tensors()))) {
      missing.push_back(i);
      continue;
    }
    auto about = read_part(parts.path(part.report()));
    if (!about) return about.error();
    parts.reports.push_back(*std::move(about));
  }
  if (parts.reports.empty()) return no_parts(parts.folder);
  const ptq::part_report& first = parts.reports.front();
  if (!missing.empty()) {
    std::string text = "of " + std::to_string(parts.count) + " parts " + std::to_string(missing.size()) +
                       (missing.size() == 1 ? " is" : " are") + " missing:";
    constexpr std::size_t most_named = 8;
    for (std::size_t i = 0; i < std::min(missing.size(), most_named); ++i)
      text += (i == 0 ? " " : ", ") + std::to_string(missing[i]);
    if (missing.size() > most_named) text += ", ...";
    return ptq::error(ptq::errc::no_data, ptq::absolute_path(parts.folder),
                      text + ". Make " + (missing.size() == 1 ? "it" : "each") + ": " +
                          command_text(first.command, {missing.front(), parts.count}));
  }
  for (const ptq::part_report& about : parts.reports) {
    const std::size_t index = static_cast<std::size_t>(&about - parts.reports.data()) + 1;
    const std::string where = ptq::absolute_path(parts.path(parts.part(index).report()));
    if (about.of.index != index || about.of.count != parts.count)
      return ptq::error(ptq::errc::wrong_format, where,
                        "this says to be part " + std::to_string(about.of.index) + " of " +
                            std::to_string(about.of.count) + ". Was it renamed?");
    if (about.key != first.key)
      return ptq::error(
          ptq::errc::wrong_model, where,
          "this part is of another model, specification or version than part 1. Make it again: " +
              command_text(first.command, about.of));
  }
  return {};
}

/// What became of each layer, in the plan of the whole model.
ptq::result<void> gather(ptq::quantize_report& report, const found_parts& parts) {
  std::size_t count = 0;
  for (const ptq::part_report& about : parts.reports) {
    for (std::size_t i = 0; i < about.layers.size(); ++i) {
      if (about.places[i] >= report.layers.size()) break;
      ptq::layer_report& layer = report.layers[about.places[i]];
      layer.weights = about.layers[i].weights;
      layer.activations = about.layers[i].activations;
      layer.lost = about.layers[i].lost;
      ++count;
    }
  }
  report.warnings = parts.reports.front().warnings;
  report.notes = parts.reports.front().notes;
  if (count == report.layers.size()) return {};
  return ptq::error(ptq::errc::wrong_format, ptq::absolute_path(parts.folder),
                    "the parts have " + ptq::counted(count, "layer") + ", and the model has " +
                        std::to_string(report.layers.size()) + ". Make the parts again.");
}

ptq::result<void> write_whole(const options& given, const ptq::spec& spec, const ptq::model_file& model,
                              const found_parts& parts, ptq::quantize_report& report, ptq::run_folder& run) {
  if (auto gathered = gather(report, parts); !gathered) return gathered;
  const auto path = run.path_of(artifact_name(spec, given.format));
  if (!path) return path.error();
  std::vector<std::string> files;
  for (std::size_t i = 1; i <= parts.count; ++i) files.push_back(parts.path(parts.part(i).tensors()));
  auto whole = ptq::open_parts(files);
  if (!whole) return whole.error();
  auto artifact =
      model.merge(given.format, *path, *std::move(whole), ptq::threads(given.threads), settings_of(given));
  if (!artifact) return artifact.error();
  if (auto written = artifact->commit(); !written) return written;
  report.bytes_after = artifact->bytes();
  note_losses(report);
  report.notes.insert(report.notes.end(), artifact->notes().begin(), artifact->notes().end());
  return commit_results(given, spec, report, run, artifact->names(), parts.files());
}

/// Makes the artifact of parts that are chosen.
int merge(options given, found_parts parts, ptq::run_folder run) {
  if (const auto held = lock(given, parts); !held) return fail(given, held.error(), failed);
  if (const auto there = read(parts); !there) return fail(given, there.error(), failed);
  const ptq::part_report& first = parts.reports.front();
  given.format = first.format;
  if (const auto known = check_format(given); !known) return fail(given, known.error(), failed);
  auto spec = ptq::parse_spec(first.specification, ptq::absolute_path(parts.path(parts.part(1).report())));
  if (!spec) return fail(given, spec.error(), failed);
  spec->quantize.results_dir = parts.folder;
  const auto model = ptq::model_file::open_for(*spec);
  if (!model) return fail(given, model.error(), failed);
  const auto plan = ptq::match_model(*spec, *model);
  if (!plan) return fail(given, plan.error(), failed);
  if (key_of(given, *spec, *model) != first.key)
    return fail(
        given,
        ptq::error(ptq::errc::wrong_model, model->path(),
                   "the model or another file that the parts were made of has changed since (its size "
                   "or time), or this is another version of ptq. Make the parts again: " +
                       command_text(first.command, first.of)),
        failed);
  const bool is_own_form = given.format.empty();
  given.format = form_of(given, *model, *plan);
  if (const auto kept = keep_sources(given, *spec, sources_of(*model)); !kept)
    return fail(given, kept.error(), bad_usage);
  if (const auto begun = say_running(run); !begun) return give_up(given, std::move(run), begun.error());
  ptq::quantize_report report = begin_report(*plan, *model, {});
  if (const auto written = write_whole(given, *spec, *model, parts, report, run); !written) {
    const ptq::error seen = run.seen_from_outside(written.error());
    return give_up(given, std::move(run), seen);
  }
  print_result(given, *spec, *model, report, {first.notes.size(), is_own_form});
  return done;
}

/// Prints what an earlier merge did.
int print_earlier(const options& given, const std::string& folder) {
  if (!given.json) {
    print("An earlier merge had made the artifact, and is ended now.\n");
    return done;
  }
  const auto report = ptq::mapped_file::open(folder + "/quantize_report.json");
  if (!report) return fail(given, report.error(), failed);
  print({reinterpret_cast<const char*>(report->bytes().data()), report->bytes().size()});
  return done;
}

}  // namespace

int merge_folder(const options& given, const std::string& folder) {
  found_parts parts;
  parts.folder = folder;
  catch_interrupts();
  const bool had_parts = has_parts(folder);
  auto run = begin_run(given, folder);
  if (!run) return fail(given, run.error(), failed);
  if (had_parts && !has_parts(folder)) {
    settle_parts(folder);
    return print_earlier(given, folder);
  }
  if (const auto chosen = choose(parts); !chosen) return fail(given, chosen.error(), failed);
  return merge(given, std::move(parts), *std::move(run));
}

int quantize_in_team(const options& given, const ptq::spec& spec, ptq::model_file model,
                     const ptq::plan& whole) {
  const std::string& folder = spec.quantize.results_dir;
  if (team_size() > ptq::most_parts)
    return fail(given,
                ptq::error(ptq::errc::invalid_value, "mpirun",
                           "a model is divided among " + std::to_string(ptq::most_parts) + " ranks at most."),
                bad_usage);
  std::optional<ptq::run_folder> run;  // the leader's
  if (team_rank() == leader) {
    if (const auto made = make_results_dir(folder); !made) return fail(given, made.error(), failed);
    auto begun = begin_run(given, folder);
    if (!begun) return fail(given, begun.error(), failed);
    run = *std::move(begun);
    if (const auto said = say_running(*run); !said) return give_up(given, *std::move(run), said.error());
  }
  options mine = given;
  mine.part = ptq::share{team_rank() + 1, team_size()};
  auto met = meet_team();
  int code = met ? quantize_share(mine, spec, std::move(model), whole) : fail(given, met.error(), failed);
  if (code == done && !(met = meet_team())) code = fail(given, met.error(), failed);
  if (team_rank() != leader) return code;
  if (code != done)
    return give_up(given, *std::move(run), ptq::error(ptq::errc::stopped, {}, team_failure()));
  found_parts parts;
  parts.folder = folder;
  parts.artifact = artifact_stem(given, spec);
  parts.count = team_size();
  return merge(given, std::move(parts), *std::move(run));
}

}  // namespace cli
