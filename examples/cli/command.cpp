// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "output.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats.hpp"
#include "ptq/formats/c_header/names.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/table.hpp"
#include "sources.hpp"
#include "team.hpp"
#include "terminal.hpp"

namespace cli {

ptq::error out_of_memory() {
  return ptq::error(ptq::errc::unsupported, {}, "there is not enough memory for this model.");
}

void print_error(const options& given, const ptq::error& error) {
  say("error", error.what);
  if (!given.json) return;
  const nlohmann::json report = {{"error", {{"where", error.where}, {"message", error.what}}}};
  print_json(report);
}

int fail(const options& given, const ptq::error& error, exit_code code) {
  if (is_team())
    fail_team(error, code);
  else
    print_error(given, error);
  return code;
}

int warn(const options& given, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) say("warning", warning);
  if (!given.strict || warnings.empty()) return done;
  return fail(given,
              ptq::error(ptq::errc::invalid_value, "--strict",
                         ptq::counted(warnings.size(), "warning") + ". Warnings are errors here."),
              bad_usage);
}

void note(std::string_view text) {
  say("note", text);
}

void print_notes(std::span<const std::string> notes) {
  for (const std::string& text : notes) note(text);
}

ptq::result<void> require(const ptq::spec& spec, const std::string& field) {
  const std::string& value = field == "model_path" ? spec.quantize.model_path : spec.quantize.results_dir;
  if (!value.empty()) return {};
  return ptq::error(ptq::errc::missing_value, spec.file,
                    "quantize." + field + " is not given. Write it into the file, or add an argument: " +
                        field + "=" + (field == "model_path" ? "model.safetensors" : "FOLDER"));
}

ptq::result<void> make_results_dir(const std::string& path) {
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (!problem) return {};
  return ptq::error(
      ptq::errc::cannot_write, ptq::absolute_path(path),
      "results_dir cannot be made: " + problem.message() + ". Give another one: results_dir=DIR.");
}

ptq::result<ptq::run_folder> begin_run(const options& given, const std::string& folder,
                                       const std::string& file) {
  constexpr std::chrono::milliseconds pause(50);
  bool is_told = false;
  for (;;) {
    auto run = ptq::run_folder::open(folder, file);
    if (run || run.error().code != ptq::errc::in_use) return run;
    if (!given.wait) {
      ptq::error used = run.error();
      used.what += " --wait waits for it." + launcher_hint();
      return used;
    }
    if (is_interrupted()) end_by_signal();
    if (!std::exchange(is_told, true)) note(run.error().what + " Waiting.");
    std::this_thread::sleep_for(pause);
  }
}

bool settle(const std::string& folder) {
  return !is_there(ptq::run_folder::own_path(folder)) || ptq::run_folder::open(folder).has_value();
}

int give_up(const options& given, std::optional<ptq::run_folder> run, const ptq::error& error,
            const std::string& lost) {
  if (!is_interrupted()) return fail(given, error, failed);
  say("interrupted", lost + " not written");
  run.reset();
  end_by_signal();
  return failed;
}

std::string result_path(const ptq::spec& spec, const std::string& name) {
  const std::string& folder = spec.quantize.results_dir;
  return folder + (folder.ends_with('/') ? "" : "/") + name;
}

std::string artifact_name(const ptq::spec& spec, const std::string& format) {
  return ptq::model_file::artifact_file_name(spec.quantize.model_path, format, spec.quantize.backend);
}

std::string artifact_path(const ptq::spec& spec, const std::string& format) {
  return result_path(spec, artifact_name(spec, format));
}

std::string format_names() {
  std::string all;
  for (const std::string_view name : ptq::model_file::artifact_names)
    all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

namespace {

constexpr std::string_view layouts[] = {"as-is", "ohwi"};

ptq::result<void> check_settings(const options& given) {
  if (given.network.empty() && given.layout.empty()) return {};
  const std::string option = given.network.empty() ? "--layout" : "--name";
  if (!ptq::model_file::has_settings(given.format))
    return ptq::error(ptq::errc::invalid_value, option,
                      "there is nothing to give it to: it goes with --format c-header.");
  if (given.part)
    return ptq::error(
        ptq::errc::invalid_value, option,
        "parts do not keep it. Quantize shares without --format, and give it to `ptq export` of "
        "what `ptq merge` makes of them.");
  if (!given.network.empty() && !ptq::is_c_prefix(given.network))
    return ptq::error(ptq::errc::invalid_value, "--name",
                      "\"" + ptq::printable(given.network) +
                          "\" does not begin names of C: letters, digits and single underscores, a letter "
                          "first and no underscore last.");
  if (given.layout.empty() || std::ranges::count(layouts, given.layout) > 0) return {};
  return ptq::error(ptq::errc::unknown_word, "--layout",
                    "there is no layout \"" + ptq::printable(given.layout) + "\". There are: as-is, ohwi.",
                    ptq::nearest_word(given.layout, std::span(layouts)));
}

}  // namespace

ptq::result<void> check_format(const options& given) {
  constexpr auto& names = ptq::model_file::artifact_names;
  const std::string& format = given.format;
  if (format.empty() || std::ranges::count(names, format) > 0) return check_settings(given);
  return ptq::error(
      ptq::errc::unknown_word, "--format",
      "there is no format \"" + ptq::printable(format) + "\". There are: " + format_names() + ".",
      ptq::nearest_word(format, std::span(names)));
}

ptq::form_settings settings_of(const options& given) {
  ptq::form_settings settings;
  if (!given.network.empty()) settings.network = given.network;
  settings.channels_last = given.layout == "ohwi";
  return settings;
}

std::string json_text(const nlohmann::json& value) {
  return ptq::dump_json_lines(value);
}

}  // namespace cli
