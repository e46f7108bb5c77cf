// SPDX-License-Identifier: Apache-2.0
// Small parsers of text; the first byte chooses: arguments, patterns, the index of a sharded checkpoint, a
// config.json, classes of layers.
#include "ptq/config/to_yaml.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/formats/checkpoint/model_hints.hpp"
#include "ptq/formats/compressed_tensors/config.hpp"
#include "ptq/formats/modelopt_hf/config.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/model/match.hpp"
#include "target.hpp"

namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// What is taken survives being written and read.
void assign(const std::string& text) {
  const std::vector<std::string> arguments = lines_of(text);
  const auto made =
      ptq::parse_spec("quantize:\n  layers: [{module_name: a, weights: {dtype: int8}}]\n  skip_names: [b]\n",
                      "spec.yaml", arguments);
  if (!fuzz::succeeded(made) || !made->ptq.module_types_file.empty()) return;
  const auto again = ptq::parse_spec(ptq::to_yaml(*made), "experiment.yaml");
  fuzz::require(again.has_value(), "what is written can be read");
  fuzz::require(again->quantize == made->quantize && again->ptq == made->ptq &&
                    again->calibration_data == made->calibration_data &&
                    again->evaluation_data == made->evaluation_data,
                "what is written is what was read");
}

/// Python's fnmatch, of a "*" at a time: slow and plain.
bool takes(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*')
    return takes(pattern.substr(1), name) || (!name.empty() && takes(pattern, name.substr(1)));
  if (name.empty()) return false;
  return (pattern.front() == '?' || pattern.front() == name.front()) &&
         takes(pattern.substr(1), name.substr(1));
}

bool is_plain(std::string_view text) {
  return text.find('[') == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Patterns in the first lines, names in the last ones. However they are matched, the answer is one.
void match(const std::string& text) {
  const std::vector<std::string> lines = lines_of(text);
  const std::size_t half = lines.size() / 2;
  ptq::detail::pattern_set set;
  for (std::size_t i = 0; i < half; ++i) set.add(lines[i]);
  std::vector<ptq::layer> layers;
  for (std::size_t i = half; i < lines.size(); ++i) {
    const std::vector<std::size_t> found = set.find({ptq::detail::lettered_word(lines[i])});
    std::vector<std::size_t> expected;
    for (std::size_t p = 0; p < half; ++p) {
      const bool is_hit = ptq::matches(lines[p], lines[i]);
      if (is_hit) expected.push_back(p);
      if (lines[p].size() < 12 && lines[i].size() < 12 && is_plain(lines[p]) && is_plain(lines[i]))
        fuzz::require(is_hit == takes(lines[p], lines[i]), "patterns are fnmatch's");
    }
    fuzz::require(found == expected, "a set of patterns matches as each of them");
    layers.emplace_back().name = lines[i];
  }
  ptq::spec wanted;
  for (std::size_t i = 0; i < half; ++i) {
    wanted.quantize.layers.push_back({lines[i], ptq::slot_config{"int8", {}}, {}});
    const auto meant = ptq::detail::pattern_of_regular_expression(lines[i]);
    if (meant) fuzz::look_at(ptq::matches(*meant, lines.back()));
  }
  fuzz::require(ptq::match(wanted, layers).layers.size() == layers.size(), "every layer is planned");
}

void open_index(const std::string& text) {
  const std::string path = fuzz::folder() + "/model.safetensors.index.json";
  write_file(path, text);
  static_cast<void>(fuzz::succeeded(ptq::open_safetensors(path)));
}

/// As it is read for what is written beside it.
void read_config(const std::string& text) {
  write_file(fuzz::folder() + "/config.json", text);
  const auto config = ptq::read_huggingface_config(fuzz::folder());
  if (!fuzz::succeeded(config)) return;
  const std::vector<ptq::layer_scheme> layers(1);
  fuzz::look_at(ptq::config_text(ptq::compressed_tensors_config(*config, layers)).size());
  fuzz::look_at(ptq::config_text(ptq::hf_quant_config(*config, layers)).size());
}

void read_classes(const std::string& text) {
  ptq::spec wanted;
  wanted.ptq.module_types_file = fuzz::folder() + "/module_types.json";
  write_file(wanted.ptq.module_types_file, text);
  static_cast<void>(fuzz::succeeded(ptq::detail::read_module_types(wanted)));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text = fuzz::text_of(data + 1, size - 1);
  switch (data[0]) {
    case 'a':
      assign(text);
      break;
    case 'p':
      match(text);
      break;
    case 'i':
      open_index(text);
      break;
    case 'c':
      fuzz::look_at(ptq::model_hints_of(text).empty());
      break;
    case 'h':
      read_config(text);
      break;
    case 't':
      read_classes(text);
      break;
    default:
      break;
  }
  return 0;
}
