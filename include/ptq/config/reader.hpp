// SPDX-License-Identifier: Apache-2.0
/// @file reader.hpp Makes a specification of a document.
#ifndef PTQ_CONFIG_READER_HPP
#define PTQ_CONFIG_READER_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ptq/config/interpolate.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/config/tree.hpp"
#include "ptq/config/validate.hpp"
#include "ptq/config/words.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/letter_case.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1::detail {

/// The keys of the section quantize.
inline constexpr std::string_view quantize_keys[] = {
    "backend", "mode",       "algorithm",  "default_layer_dtype", "default_activation_dtype",
    "layers",  "skip_names", "model_path", "results_dir"};
/// Those that no other place has.
inline constexpr auto own_quantize_keys = std::span(quantize_keys).first<7>();

/// Reads the sections that are ours. The first error wins; after it, reading goes on without effect.
class spec_reader {
 public:
  /// @param file    as errors show it
  /// @param created receives what is read
  spec_reader(const tree& root, std::string_view file, const spec_words& words, spec& created)
      : root_(root), file_(file), words_(words), spec_(created) {}

  /// What arguments can neither mend nor hide: the file is no map of sections, or lacks the section quantize.
  result<void> check_sections() {
    const tree* section = root_.member("quantize");
    if (!root_.is_map())
      fail(errc::wrong_type, root_, "",
           "an experiment file is a map of sections, this is " + found_text(root_) + ".");
    else if (!section)
      refuse_lack_of_section();
    else if (!section->is_null() && !is_interpolated(*section))
      expect_map(*section, "quantize");
    return outcome_;
  }

  /// Everything; `check_sections` has found nothing.
  result<void> read() {
    check_keys(root_, "");
    read_quantize();
    read_calibration_data();
    read_evaluation_data();
    read_ptq();
    if (!outcome_) return outcome_;
    if (const auto checked = validate(spec_, words_); !checked) return located(checked.error());
    return {};
  }

 private:
  using word_span = std::span<const std::string_view>;

  /// The keys of a map. Unused ones are TAO's and change nothing here.
  struct key_set {
    word_span allowed;
    word_span unused{};
  };

  static constexpr std::string_view unused_quantize_keys[] = {"backend_kwargs", "device"};
  static constexpr std::string_view rule_keys[] = {"module_name", "weights", "activations"};
  static constexpr std::string_view slot_keys[] = {"dtype", "quant_axis"};
  static constexpr std::string_view unused_slot_keys[] = {"observer_or_fake_quant",
                                                          "observer_or_fake_quant_kwargs"};
  static constexpr std::string_view data_keys[] = {"inputs",      "activations", "images_dir", "batch_size",
                                                   "max_samples", "scale",       "mean",       "std"};
  static constexpr auto source_keys = std::span(data_keys).first<3>();
  static constexpr std::string_view unused_data_keys[] = {
      "annotation_file", "annotations", "augmentation", "classes",        "classmap",      "data_path",
      "data_root",       "data_type",   "dataset",      "drop_last",      "img_size",      "image_size",
      "input_size",      "json_file",   "names",        "nolabel_folder", "normalization", "num_classes",
      "num_workers",     "pin_memory",  "pipeline",     "root_dir",       "sampler",       "shuffle",
      "split",           "transforms",  "type",         "workers"};
  static constexpr std::string_view answer_keys[] = {"labels", "task", "class_axis"};
  static constexpr std::string_view ptq_keys[] = {"module_types", "calibration", "data", "checkpoint"};
  static constexpr std::string_view calibration_keys[] = {"algorithm", "percentile", "bins", "statistics"};
  static constexpr std::string_view layout_keys[] = {"batch_axis"};
  static constexpr std::string_view checkpoint_keys[] = {"key", "strip_prefix"};

  // Sections

  /// Its keys may stand at top level, or its name may be misspelt.
  void refuse_lack_of_section() {
    static constexpr std::string_view name[] = {"quantize"};
    for (const tree& section : root_.members) {
      if (contains(own_quantize_keys, section.key))
        return fail_at(
            errc::missing_value, section.key_at, section.key,
            "there is no section quantize, but this key of it stands at top level. Write quantize: "
            "and indent its keys, and what belongs to them, below it.");
      if (const std::string_view nearest = nearest_word(section.key, name); !nearest.empty())
        return fail_at(errc::missing_value, section.key_at, section.key, "there is no section quantize.",
                       nearest);
    }
    fail(errc::missing_value, root_, "quantize", "there is no section quantize.");
  }

  void read_quantize() {
    const tree& section = *root_.member("quantize");
    if (section.is_null()) return fail(errc::missing_value, section, "quantize", "the section is empty.");
    const tree& config = resolved(section, "quantize");
    quantize_config& out = spec_.quantize;
    each_member(config, "quantize", {quantize_keys, unused_quantize_keys},
                [&](const tree& value, const std::string& path) {
                  if (value.key == "backend") read_text(value, path, out.backend);
                  if (value.key == "mode") read_lower(value, path, out.mode);
                  if (value.key == "algorithm" && !value.is_null())
                    read_algorithm(value, path, out.algorithm);
                  if (value.key == "default_layer_dtype")
                    read_default_dtype(value, path, "weights", out.default_layer_dtype);
                  if (value.key == "default_activation_dtype")
                    read_default_dtype(value, path, "activations", out.default_activation_dtype);
                  if (value.key == "layers") read_rules(value, path);
                  if (value.key == "skip_names") read_skips(value, path);
                  if (value.key == "model_path") read_text(value, path, out.model_path);
                  if (value.key == "results_dir") read_text(value, path, out.results_dir);
                });
    const tree* top = root_.member("results_dir");
    if (!out.results_dir.empty() || !top || !outcome_) return;
    read_text(resolved(*top, "results_dir"), "results_dir", out.results_dir);
    if (!out.results_dir.empty()) out.results_dir += "/quantize";
  }

  void read_rules(const tree& list, const std::string& path) {
    each_item(list, path, [&](const tree& item, const std::string& at) {
      rule_config& rule = spec_.quantize.layers.emplace_back();
      each_member(item, at, {rule_keys}, [&](const tree& value, const std::string& field) {
        if (value.key == "module_name") read_pattern(value, field, rule.module_name);
        if (value.key == "weights") read_slot(value, field, rule.weights);
        if (value.key == "activations") read_slot(value, field, rule.activations);
      });
      if (item.is_map() && !item.member("module_name"))
        fail(errc::missing_value, item, at + ".module_name",
             "is missing: name a layer, a pattern or a class.");
      if (rule.activations && rule.activations->quant_axis.kind == axis_choice::kind_type::axis)
        warn(at + ".activations.quant_axis is ignored: activations have one scale per tensor.");
    });
  }

  void read_slot(const tree& map, const std::string& path, std::optional<slot_config>& out) {
    if (map.is_null()) return;
    if (map.is_word())
      return fail(errc::wrong_type, map, path,
                  "expected a map, found " + found_text(map) + ": write {dtype: " + map.word + "}.");
    slot_config& slot = out.emplace();
    each_member(map, path, {slot_keys, unused_slot_keys}, [&](const tree& value, const std::string& field) {
      if (value.key == "dtype") read_dtype(value, field, slot.dtype);
      if (value.key == "quant_axis") read_axis(value, field, slot.quant_axis);
    });
  }

  void read_skips(const tree& list, const std::string& path) {
    each_item(list, path, [&](const tree& item, const std::string& at) {
      read_pattern(item, at, spec_.quantize.skip_names.emplace_back());
    });
  }

  void read_calibration_data() {
    const tree* dataset = root_.member("dataset");
    static constexpr std::string_view name[] = {"quant_calibration_dataset"};
    const tree* section = dataset ? dataset->member(name[0]) : nullptr;
    if (dataset && !section) warn_of_near_keys(*dataset, "dataset", name);
    if (!section) return;
    const std::string path = "dataset.quant_calibration_dataset";
    const tree& data = resolved(*section, path);
    if (data.is_null()) return;
    data_config& out = spec_.calibration_data.emplace();
    read_normalization(data, path, out);
    tree rest = data;
    const auto is_used = [&](const tree& m) { return path + "." + m.key == out.normalized_by; };
    rest.members.erase(std::remove_if(rest.members.begin(), rest.members.end(), is_used), rest.members.end());
    each_member(rest, path, {data_keys, unused_data_keys},
                [&](const tree& value, const std::string& field) { read_data(value, field, out); });
    if (!out.inputs.empty() || !out.activations.empty() || !out.images_dir.empty()) return;
    warn(path +
         " names no data, so it is not used: inputs (a file, or a map of graph inputs to files), activations "
         "(a "
         "file) or images_dir (a folder) are missing.");
    spec_.calibration_data.reset();
  }

  /// Whether a member of a section of data would name some, and does not. TAO's files have "???" where
  /// something is to be filled in, which only those must who need it.
  static bool is_blank_source(const tree& member) {
    return contains(source_keys, member.key) &&
           (member.is_null() || (member.is_word() && (member.word.empty() || member.word == "???")));
  }

  /// TAO keeps other things in this section, too. It is data of ours only if it names inputs.
  void read_evaluation_data() {
    static constexpr std::string_view telling[] = {"inputs",      "activations", "batch_size", "labels",
                                                   "max_samples", "scale",       "images_dir", "class_axis"};
    const tree* section = root_.member("evaluate");
    if (section) warn_of_near_keys(*section, "evaluate", telling);
    const auto names_data = [](const tree& m) { return contains(source_keys, m.key) && !is_blank_source(m); };
    if (!section || std::none_of(section->members.begin(), section->members.end(), names_data)) return;
    tree ours = *section;
    const auto is_foreign = [](const tree& m) {
      return !contains(answer_keys, m.key) && !contains(data_keys, m.key);
    };
    ours.members.erase(std::remove_if(ours.members.begin(), ours.members.end(), is_foreign),
                       ours.members.end());
    data_config& out = spec_.evaluation_data.emplace();
    read_normalization(*section, "evaluate", out);
    each_member(ours, "evaluate", {}, [&](const tree& value, const std::string& field) {
      if (value.key == "labels") read_text(value, field, out.labels);
      if (value.key == "task")
        read_for_outputs(value, field, out.task, [&](const tree& word, const std::string& at, auto& task) {
          read_lower(word, at, task);
        });
      if (value.key == "class_axis")
        read_for_outputs(value, field, out.class_axis,
                         [&](const tree& number, const std::string& at, auto& axis) {
                           read_parsed(number, at, "an axis (0, 1, -1, ...)", axis);
                         });
      read_data(value, field, out);
    });
  }

  /// One value for all outputs, or a map of outputs to values.
  template <class Map, class Read>
  void read_for_outputs(const tree& value, const std::string& path, Map& out, Read&& read) {
    if (value.is_null()) return;
    if (!value.is_map()) return read(value, path, out[""]);
    spec_.places[path] = position_of(value.at);
    each_member(value, path, {},
                [&](const tree& one, const std::string& field) { read(one, field, out[one.key]); });
  }

  void read_data(const tree& value, const std::string& path, data_config& out) {
    if (is_blank_source(value)) return;
    if (value.key == "inputs") read_inputs(value, path, out);
    if (value.key == "activations") read_text(value, path, out.activations);
    if (value.key == "images_dir") read_text(value, path, out.images_dir, "a folder");
    if (value.key == "batch_size") read_count(value, path, out.batch_size);
    if (value.key == "max_samples" && !value.is_null() && !(value.is_word() && value.word == "all"))
      read_count(value, path, out.max_samples.emplace());
    if (value.key == "scale") read_channels(value, path, out.scale);
    if (value.key == "mean") read_channels(value, path, out.mean);
    if (value.key == "std") read_channels(value, path, out.std);
  }

  void read_inputs(const tree& value, const std::string& path, data_config& out) {
    if (value.is_null()) return;
    if (!value.is_map()) return read_text(value, path, out.inputs[""], "a file or a map");
    spec_.places[path] = position_of(value.at);
    each_member(value, path, {}, [&](const tree& file, const std::string& field) {
      read_text(file, field, out.inputs[file.key]);
    });
  }

  /// What TAO does to pixels, where nothing of ours says it: a section beside images_dir, or one that all of
  /// its data share.
  void read_normalization(const tree& data, const std::string& path, data_config& out) {
    const tree* const images = data.member("images_dir");
    if (!images || is_blank_source(*images)) return;
    for (const char* ours : {"inputs", "activations", "scale", "mean", "std"})
      if (const tree* const member = data.member(ours); member && !is_blank_source(*member)) return;
    const tree* const dataset = root_.member("dataset");
    for (const char* name : {"augmentation", "normalization"}) {
      if (read_normalization(data.member(name), path + "." + name, out)) return;
      if (dataset != nullptr &&
          read_normalization(dataset->member(name), std::string("dataset.") + name, out))
        return;
    }
  }

  /// Its means and deviations are those of pixels from 0 to 1, or from 0 to 255 if some exceed 1.
  ///
  /// @return whether the section has any
  bool read_normalization(const tree* section, const std::string& path, data_config& out) {
    if (!section) return false;
    bool is_large = false;
    for (const tree& value : section->members) {
      const bool is_mean = value.key == "mean" || value.key == "input_mean";
      if ((!is_mean && value.key != "std" && value.key != "input_std") || value.is_null()) continue;
      channel_values& numbers = is_mean ? out.mean : out.std;
      const std::string field = path + "." + value.key;
      read_channels(resolved(value, field), field, numbers);
      is_large = is_large || std::any_of(numbers.begin(), numbers.end(), [](double x) { return x > 1; });
      out.normalized_by = path;
    }
    if (!out.normalized_by.empty() && !is_large) out.scale = {1.0 / 255};
    return !out.normalized_by.empty();
  }

  void read_ptq() {
    const tree* section = root_.member("ptq");
    if (!section || section->is_null()) return;
    const tree& settings = resolved(*section, "ptq");
    each_member(settings, "ptq", {ptq_keys}, [&](const tree& value, const std::string& path) {
      if (value.key == "module_types") read_module_types(value, path);
      if (value.key == "calibration") read_calibration(value, path);
      if (value.key == "data") read_layout(value, path);
      if (value.key == "checkpoint") read_checkpoint(value, path);
    });
  }

  void read_module_types(const tree& value, const std::string& path) {
    if (!value.is_map()) return read_text(value, path, spec_.ptq.module_types_file, "a file or a map");
    each_member(value, path, {}, [&](const tree& name, const std::string& field) {
      read_text(name, field, spec_.ptq.module_types[name.key]);
    });
  }

  void read_calibration(const tree& map, const std::string& path) {
    if (map.is_null()) return;
    calibration_config& out = spec_.ptq.calibration;
    each_member(map, path, {calibration_keys}, [&](const tree& value, const std::string& field) {
      if (value.is_null()) return;
      if (value.key == "algorithm") read_algorithm(value, field, out.algorithm.emplace());
      if (value.key == "percentile") read_number(value, field, out.percentile);
      if (value.key == "bins") read_count(value, field, out.bins.emplace());
      if (value.key == "statistics") read_text(value, field, out.statistics);
    });
  }

  void read_layout(const tree& map, const std::string& path) {
    if (map.is_null()) return;
    each_member(map, path, {layout_keys}, [&](const tree& value, const std::string& field) {
      if (value.is_null()) return;
      each_member(value, field, {}, [&](const tree& axis, const std::string& at) {
        auto& out = spec_.ptq.data.batch_axis[axis.key];
        spec_.places[at] = position_of(axis.at);
        if (axis.is_null() || (axis.is_word() && axis.word == "none")) return;
        read_parsed(axis, at, "an axis (0, 1, ...) or none", out.emplace());
      });
    });
  }

  void read_checkpoint(const tree& map, const std::string& path) {
    if (map.is_null()) return;
    each_member(map, path, {checkpoint_keys}, [&](const tree& value, const std::string& field) {
      if (value.key == "key") read_text(value, field, spec_.ptq.checkpoint.key, "the key of a dict");
      if (value.key == "strip_prefix") read_words(value, field, spec_.ptq.checkpoint.strip_prefix);
    });
  }

  // Values

  /// Any word, numbers included; nothing is the empty text.
  void read_text(const tree& value, const std::string& path, std::string& out,
                 std::string_view expected = "a word") {
    out.clear();
    if (value.is_null()) return;
    if (!value.is_word())
      return fail(errc::wrong_type, value, path,
                  "expected " + std::string(expected) + ", found " + found_text(value) + ".");
    if (value.word == "???")
      return fail(errc::missing_value, value, path,
                  "the mandatory value is missing: \"???\" stands in its place.");
    spec_.places[path] = position_of(value.at);
    out = value.word;
  }

  /// A word or a list of words; empty ones are left out.
  void read_words(const tree& value, const std::string& path, std::vector<std::string>& out) {
    out.clear();
    const auto add = [&](const tree& word, const std::string& at) {
      read_text(word, at, out.emplace_back(), "a word");
      if (out.back().empty()) out.pop_back();
    };
    if (!value.is_list()) return add(value, path);
    each_item(value, path, add);
  }

  /// A pattern in brackets that is not in quotes is a list.
  void read_pattern(const tree& value, const std::string& path, std::string& out) {
    if (value.is_list())
      return fail(errc::wrong_type, value, path,
                  "expected a word, found a list. A pattern that starts with \"[\" must be in quotes.");
    read_text(value, path, out);
  }

  void read_lower(const tree& value, const std::string& path, std::string& out) {
    read_text(value, path, out);
    out = lower_cased(out);
  }

  void read_dtype(const tree& value, const std::string& path, std::string& out) {
    read_text(value, path, out);
    std::string word = lower_cased(out);
    if (word == "float8_e4m3fn" || word == "float8_e5m2") word.replace(0, 5, "fp");
    if (contains(words_.dtypes, word)) out = std::move(word);
  }

  void read_algorithm(const tree& value, const std::string& path, std::string& out) {
    read_lower(value, path, out);
    if (out == "max" && !contains(words_.calibrators, out)) out = "minmax";
  }

  void read_default_dtype(const tree& value, const std::string& path, std::string_view slot,
                          std::string& out) {
    if (value.is_null()) return;
    read_dtype(value, path, out);
    if (out == "native" || !contains(words_.dtypes, out)) return;
    warn(path + ": " + out +
         " is ignored, as TAO documents. Write a rule instead: layers: [{module_name: \"*\", " +
         std::string(slot) + ": {dtype: " + out + "}}].");
  }

  void read_axis(const tree& value, const std::string& path, axis_choice& out) {
    out.kind = axis_choice::kind_type::per_tensor;
    if (value.is_null()) return;
    out.kind = axis_choice::kind_type::axis;
    if (value.is_word() && value.word.starts_with('-') &&
        value.word.find_first_not_of("0123456789", 1) == std::string::npos)
      return fail(errc::invalid_value, value, path, "is " + value.word + ", but axes count from 0.");
    read_parsed(value, path, "an axis (0, 1, ...) or null", out.axis);
  }

  void read_count(const tree& value, const std::string& path, std::size_t& out) {
    read_parsed(value, path, "a whole number", out);
  }

  void read_number(const tree& value, const std::string& path, double& out) {
    read_parsed(value, path, "a number", out);
  }

  void read_channels(const tree& value, const std::string& path, channel_values& out) {
    out.clear();
    if (!value.is_list()) return read_number(value, path, out.emplace_back());
    each_item(value, path,
              [&](const tree& item, const std::string& at) { read_number(item, at, out.emplace_back()); });
  }

  template <class Number>
  void read_parsed(const tree& value, const std::string& path, std::string_view expected, Number& out) {
    std::string text;
    if (value.is_word()) read_text(value, path, text);
    const char* first = text.data() + (text.starts_with('+') ? 1 : 0);
    const auto [end, failure] = std::from_chars(first, text.data() + text.size(), out);
    if (failure == std::errc() && end == text.data() + text.size()) return;
    fail(errc::wrong_type, value, path,
         "expected " + std::string(expected) + ", found " + found_text(value) + ".");
  }

  // Structure

  bool expect_map(const tree& map, const std::string& path) {
    if (!map.is_map()) fail(errc::wrong_type, map, path, "expected a map, found " + found_text(map) + ".");
    return map.is_map();
  }

  static bool is_interpolated(const tree& part) noexcept {
    return part.is_word() && part.word.find("${") != std::string::npos;
  }

  /// @param prefix of the paths of the keys
  void check_keys(const tree& map, const std::string& prefix) {
    std::set<std::string_view> seen;
    for (const tree& member : map.members) {
      if (member.key == "<<")
        return fail_at(errc::unsupported, member.key_at, prefix + member.key,
                       "merging maps is not supported: write the keys out.");
      if (!seen.insert(member.key).second)
        return fail_at(errc::duplicate_key, member.key_at, prefix + member.key, "the key is there twice.");
    }
  }

  /// The allowed key that somebody meant: one that other tools and versions name otherwise, or that is spelt
  /// alike.
  static std::string_view meant_key(std::string_view key, word_span allowed) {
    struct other_name {
      std::string_view theirs;
      std::string_view ours;
    };
    static constexpr other_name others[] = {{"skip_layers", "skip_names"},
                                            {"skip_modules", "skip_names"},
                                            {"exclude", "skip_names"},
                                            {"exclude_layers", "skip_names"},
                                            {"exclude_modules", "skip_names"},
                                            {"ignore", "skip_names"},
                                            {"name", "module_name"},
                                            {"pattern", "module_name"},
                                            {"targets", "module_name"},
                                            {"layer_name", "module_name"},
                                            {"module_type", "module_name"},
                                            {"axis", "quant_axis"},
                                            {"ch_axis", "quant_axis"},
                                            {"data_type", "dtype"},
                                            {"precision", "dtype"},
                                            {"num_bits", "dtype"},
                                            {"format", "dtype"},
                                            {"method", "algorithm"},
                                            {"calibration_method", "algorithm"},
                                            {"calibrator", "algorithm"},
                                            {"checkpoint", "model_path"},
                                            {"onnx_file", "model_path"},
                                            {"output_dir", "results_dir"},
                                            {"rules", "layers"}};
    for (const auto& [theirs, ours] : others)
      if (key == theirs && contains(allowed, ours)) return ours;
    return nearest_word(key, allowed);
  }

  /// Calls f(value, path) for each member of a map. An empty set of keys allows any.
  template <class F>
  void each_member(const tree& map, const std::string& path, const key_set& keys, F&& f) {
    if (!expect_map(map, path)) return;
    check_keys(map, path + ".");
    for (const tree& member : map.members) {
      const std::string field = path + "." + member.key;
      if (keys.allowed.empty() || contains(keys.allowed, member.key))
        f(resolved(member, field), field);
      else if (!contains(keys.unused, member.key))
        fail_at(errc::unknown_key, member.key_at, field, "unknown key. " + allowed_text(keys.allowed),
                meant_key(member.key, keys.allowed));
      else if (!member.word.empty() || !member.members.empty())
        warn(field + " has no effect: ptq has no use for it.");
    }
  }

  template <class F>
  void each_item(const tree& list, const std::string& path, F&& f) {
    if (list.is_null()) return;
    if (!list.is_list())
      return fail(errc::wrong_type, list, path, "expected a list, found " + found_text(list) + ".");
    for (std::size_t i = 0; i < list.members.size(); ++i) {
      const std::string at = path + "[" + std::to_string(i) + "]";
      f(resolved(list.members[i], at), at);
    }
  }

  /// A part of the document, or what stands in its place if it is a word with `${...}`.
  const tree& resolved(const tree& part, const std::string& path) {
    if (!is_interpolated(part)) return part;
    tree& copy = replaced_.emplace_back(part);
    if (auto done = interpolator_.replace(copy); !done)
      fail(done.error().code, part, path, done.error().what);
    return copy;
  }

  // Messages

  /// A word itself, which may be a number; of all else what it is.
  static std::string found_text(const tree& value) {
    return value.is_word() ? in_quotes(value.word) : std::string(name_of(value.kind));
  }

  /// In a section that is TAO's, too: keys that are neither ours nor far from it.
  void warn_of_near_keys(const tree& section, const std::string& path, word_span ours) {
    for (const tree& member : section.members) {
      const std::string_view nearest = nearest_word(member.key, ours);
      if (nearest.empty() || nearest == member.key) continue;
      warn(path + "." + member.key + " has no effect. Did you mean " + in_quotes(nearest) + "?");
    }
  }

  void warn(std::string text) { spec_.warnings.push_back(std::move(text)); }

  void fail(errc code, const tree& value, std::string_view path, std::string_view text) {
    fail_at(code, value.at, path, text);
  }

  void fail_at(errc code, const place& at, std::string_view path, std::string_view text,
               std::string_view nearest = {}) {
    if (outcome_) outcome_ = error(code, path, text, nearest).in(location_of(at));
  }

  /// A broken rule, at the place of its field or of the nearest part around it.
  error located(const error& broken) const {
    const tree* at = &root_;
    for (const std::string& step : steps_of(broken.where).value_or(std::vector<std::string>{})) {
      const tree* inner = follow(*at, step);
      if (!inner) break;
      at = inner;
    }
    return broken.in(location_of(at->at));
  }

  static std::string position_of(const place& at) {
    if (at.argument > 0) return "argument " + std::to_string(at.argument);
    return std::to_string(at.line) + ":" + std::to_string(at.column);
  }

  std::string location_of(const place& at) const {
    return at.argument > 0 ? position_of(at) : std::string(file_) + ":" + position_of(at);
  }

  const tree& root_;
  std::string_view file_;
  const spec_words& words_;
  spec& spec_;
  interpolator interpolator_{root_};
  std::deque<tree> replaced_;  // what `resolved` hands out
  result<void> outcome_;
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CONFIG_READER_HPP
