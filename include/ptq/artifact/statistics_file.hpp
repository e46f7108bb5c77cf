// SPDX-License-Identifier: Apache-2.0
/// @file statistics_file.hpp Calibration statistics in a file (`.ptqcal`): a safetensors file that says
/// nothing but which values were seen, so that equal values give equal bytes.
///
/// For each layer `<name>.counts` U64 [4096], `<name>.absmax` F32 [] and `<name>.count` U64 []; under the
/// metadata key `ptq_statistics` the JSON object {"exponents": {layer: exponent of the histogram}, "model":
/// model_hash, "version": 1}.
#ifndef PTQ_ARTIFACT_STATISTICS_FILE_HPP
#define PTQ_ARTIFACT_STATISTICS_FILE_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/calibration/statistics.hpp"
#include "ptq/error.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/model_hash.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// What a `.ptqcal` file holds.
struct stored_statistics {
  std::string model;  ///< the `model_hash` of the model that was calibrated
  layer_statistics layers;
};

namespace detail {

inline constexpr const char* statistics_key = "ptq_statistics";
inline constexpr int statistics_version = 1;
inline constexpr std::size_t statistics_bins = 4096;

/// A part of a layer's statistics: how it is named and stored. No suffix ends in another one, so that layers
/// may have any names.
struct statistics_part {
  const char* suffix;
  element_type type;
  bool is_per_bin;

  std::string name(std::string_view layer) const { return std::string(layer) + suffix; }
  std::vector<std::size_t> shape() const {
    return is_per_bin ? std::vector<std::size_t>{statistics_bins} : std::vector<std::size_t>{};
  }
  std::string text() const { return std::string(safetensors_word(type)) + " " + extents_text(shape()); }
};

inline constexpr statistics_part counts_part{".counts", element_type::uint64, true};
inline constexpr statistics_part absmax_part{".absmax", element_type::float32, false};
inline constexpr statistics_part count_part{".count", element_type::uint64, false};

/// @param look what the file looks like instead; nothing if that is not known
inline error not_statistics(std::string_view where, std::string_view look) {
  return error(errc::wrong_format, where,
               "this is not a file of statistics (.ptqcal)" +
                   (look.empty() ? "" : ": it looks like " + std::string(look)) +
                   ". `ptq calibrate` and `ptq merge` write such files.");
}

/// Puts the statistics in a safetensors file together.
class statistics_reader {
 public:
  statistics_reader(const safetensors_content& content, std::string where)
      : content_(content), where_(std::move(where)) {
    for (const stored_tensor& tensor : content_.tensors) tensors_.emplace(tensor.name, &tensor);
  }

  result<stored_statistics> read() const {
    const auto text = content_.metadata.find(statistics_key);
    if (text == content_.metadata.end())
      return not_statistics(
          where_, "a safetensors file without the metadata key \"" + std::string(statistics_key) + "\"");
    const auto about = parse_json(text->second, where_ + ": " + statistics_key);
    if (!about) return about.error();
    if (auto known = check_description(*about); !known) return known.error();
    stored_statistics stored{(*about)["model"].get<std::string>(), {}};
    for (const auto& [layer, exponent] : (*about)["exponents"].items()) {
      if (!exponent.is_number_integer())
        return foreign("the exponent of layer \"" + layer + "\" is not a whole number.");
      auto& seen = stored.layers[layer];
      seen.magnitudes.exponent = exponent.get<int>();
      if (auto done = read_layer(layer, seen); !done) return done.error();
    }
    if (tensors_.size() != 3 * stored.layers.size())
      return foreign("it holds other tensors than counts, absmax and count of each layer.");
    return stored;
  }

 private:
  error foreign(const std::string& text) const {
    return error(errc::wrong_format, where_, text + " Is this a file that `ptq calibrate` wrote?");
  }

  result<void> check_description(const nlohmann::json& about) const {
    const auto has = [&](const char* key, auto test) { return about.contains(key) && test(about[key]); };
    if (!has("version", [](const auto& version) { return version.is_number_integer(); }) ||
        !has("model", [](const auto& model) { return model.is_string(); }) ||
        !has("exponents", [](const auto& exponents) { return exponents.is_object(); }))
      return foreign(std::string(statistics_key) +
                     " is not {\"exponents\": {..}, \"model\": \"..\", \"version\": 1}.");
    if (about["version"] != statistics_version)
      return error(errc::unsupported, where_,
                   "it has version " + about["version"].dump() +
                       " of the format; this program knows version " + std::to_string(statistics_version) +
                       ". Calibrate again, or use the program that wrote it.");
    return {};
  }

  result<void> read_layer(const std::string& layer, statistics<>& seen) const {
    if (auto done = read_part(layer, counts_part, seen.magnitudes.counts.data()); !done) return done;
    if (auto done = read_part(layer, absmax_part, &seen.absmax); !done) return done;
    if (auto done = read_part(layer, count_part, &seen.count); !done) return done;
    if (seen.is_consistent()) return {};
    return error(errc::invalid_value, where_,
                 "the statistics of layer \"" + layer +
                     "\" contradict each other. The file is damaged: calibrate again.");
  }

  result<void> read_part(const std::string& layer, const statistics_part& part, void* out) const {
    const std::string name = part.name(layer);
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      return error(errc::tensor_not_found, where_, "tensor \"" + name + "\" is missing.");
    const stored_tensor& tensor = *found->second;
    if (tensor.type != part.type || tensor.shape != part.shape())
      return foreign("tensor \"" + name + "\" is " + tensor.type_name + " " + extents_text(tensor.shape) +
                     ", not " + part.text() + ".");
    std::memcpy(out, tensor.data.data(), tensor.data.size());
    return {};
  }

  const safetensors_content& content_;
  std::string where_;
  std::map<std::string, const stored_tensor*, std::less<>> tensors_;
};

}  // namespace detail

/// By what a file says about itself.
inline bool is_statistics(const metadata_map& metadata) {
  return metadata.contains(detail::statistics_key);
}

/// Writes statistics. The file appears whole or not at all.
///
/// @param model the `model_hash` of the layers
/// @return as `safetensors_writer`; invalid_value if a layer has seen more values (2^50) than a search can
///         take
inline result<void> write_statistics(const std::string& path, const layer_statistics& layers,
                                     std::string_view model) {
  nlohmann::json about{
      {"version", detail::statistics_version}, {"model", model}, {"exponents", nlohmann::json::object()}};
  std::vector<tensor_declaration> tensors;
  for (const auto& [name, seen] : layers) {
    if (!seen.is_consistent())
      return error(errc::invalid_value, absolute_path(path),
                   "layer \"" + name + "\" has seen " + std::to_string(seen.count) +
                       " values; at most 2^50 can be kept. Merge fewer files.");
    about["exponents"][name] = seen.magnitudes.exponent;
    for (const auto* part : {&detail::counts_part, &detail::absmax_part, &detail::count_part})
      tensors.push_back({part->name(name), part->type, part->shape()});
  }
  auto file = safetensors_writer::create(path, std::move(tensors),
                                         {{detail::statistics_key, detail::dump_json(about)}});
  if (!file) return file.error();
  for (const auto& [name, seen] : layers) {
    const auto write = [&, &layer = name](const detail::statistics_part& part, const auto& values) {
      return file->write(part.name(layer), std::as_bytes(std::span(values)));
    };
    if (auto done = write(detail::counts_part, seen.magnitudes.counts); !done) return done;
    if (auto done = write(detail::absmax_part, std::span(&seen.absmax, 1)); !done) return done;
    if (auto done = write(detail::count_part, std::span(&seen.count, 1)); !done) return done;
  }
  return file->commit();
}

/// Reads statistics of whatever model.
///
/// @return as `mapped_file::open` and `parse_safetensors`; wrong_format, syntax, unsupported (another
///         version), tensor_not_found, invalid_value (the numbers contradict each other)
inline result<stored_statistics> read_statistics(const std::string& path) {
  const std::string where = absolute_path(path);
  const auto file = mapped_file::open(path);
  if (!file && file.error().code == errc::wrong_format)
    return detail::not_statistics(where, kind_of_file(path, {}));
  if (!file) return file.error();
  const auto content = parse_safetensors(file->bytes(), where);
  if (!content && kind_of_file(path, file->bytes()) != "a safetensors file")
    return detail::not_statistics(where, kind_of_file(path, file->bytes()));
  if (!content) return content.error();
  return detail::statistics_reader(*content, where).read();
}

/// Reads statistics of one model.
///
/// @param model the `model_hash` of its layers
/// @return as above; wrong_model if they were collected with another one
inline result<layer_statistics> read_statistics(const std::string& path, std::string_view model) {
  auto stored = read_statistics(path);
  if (!stored) return stored.error();
  if (stored->model != model)
    return error(errc::wrong_model, absolute_path(path),
                 "these statistics belong to another model (hash " + stored->model + ", not " +
                     std::string(model) + "): names or weights of its layers differ. Calibrate this one.");
  return std::move(stored->layers);
}

/// Reads the statistics of the layers whose activations a plan quantizes: no data are needed then.
///
/// @param layers those that the plan was made for; the file may have one of them under an alias
/// @return as above; tensor_not_found: the file lacks such a layer
inline result<calibration> read_calibration(const std::string& path, std::span<const layer> layers,
                                            const plan& planned) {
  auto stored = read_statistics(path, model_hash(layers));
  if (!stored) return stored.error();
  for (const layer& wanted : layers)
    for (const std::string& alias : wanted.aliases)
      if (!stored->contains(wanted.name))
        if (auto seen = stored->extract(alias); !seen.empty()) {
          seen.key() = wanted.name;
          stored->insert(std::move(seen));
        }
  calibration read(planned);
  for (const auto& [name, seen] : read.collected())
    if (!stored->contains(name))
      return error(errc::tensor_not_found, absolute_path(path),
                   "it has no statistics of layer \"" + name +
                       "\", whose activations are to be quantized. Calibrate again with this "
                       "specification.");
  read.merge(*stored);
  return read;
}

namespace detail {

/// Runs whose layers differ add up to what no single run would give.
inline result<void> expect_same_layers(const layer_statistics& a, const std::string& path_a,
                                       const layer_statistics& b, const std::string& path_b) {
  const auto expect = [](const layer_statistics& all, const std::string& path, const layer_statistics& part,
                         const std::string& part_path) -> result<void> {
    for (const auto& [layer, seen] : all)
      if (!part.contains(layer))
        return error(errc::wrong_model, absolute_path(part_path),
                     "there are no statistics of layer \"" + layer + "\", which " + absolute_path(path) +
                         " has. Calibrate all parts by the same rules.");
    return {};
  };
  if (auto has_all = expect(a, path_a, b, path_b); !has_all) return has_all;
  return expect(b, path_b, a, path_a);
}

}  // namespace detail

/// Reads the files of partial runs as one: what a single run over all values would have written.
///
/// @return as `read_statistics`; no_data without any file; wrong_model if they are not all of one model, or
///         of other layers of it
inline result<stored_statistics> merge_statistics(std::span<const std::string> paths) {
  if (paths.empty()) return error(errc::no_data, {}, "there are no statistics to merge.");
  auto merged = read_statistics(paths.front());
  if (!merged) return merged;
  for (const std::string& path : paths.subspan(1)) {
    const auto part = read_statistics(path, merged->model);
    if (!part) return part.error();
    if (auto same = detail::expect_same_layers(merged->layers, paths.front(), *part, path); !same)
      return same.error();
    for (const auto& [layer, seen] : *part) merged->layers[layer].merge(seen);
  }
  return merged;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ARTIFACT_STATISTICS_FILE_HPP
