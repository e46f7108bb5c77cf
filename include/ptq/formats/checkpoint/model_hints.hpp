// SPDX-License-Identifier: Apache-2.0
/// @file model_hints.hpp What a config.json beside a checkpoint, as Hugging Face's transformers writes it,
/// says of its layers. Only what follows for certain is taken; the rest is inferred as ever.
#ifndef PTQ_FORMATS_CHECKPOINT_MODEL_HINTS_HPP
#define PTQ_FORMATS_CHECKPOINT_MODEL_HINTS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A whole number of a configuration; nothing where it has none.
inline std::optional<std::size_t> config_number(const nlohmann::json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_number_unsigned()) return {};
  return static_cast<std::size_t>(found->get<std::uint64_t>());
}

/// The shape of the table of words; without axes where it is not known. Where the vocabulary is a multiple of
/// the width, other matrices may have it.
inline tensor_shape word_table(const nlohmann::json& config) {
  const auto words = config_number(config, "vocab_size");
  for (const char* const key : {"hidden_size", "n_embd", "d_model", "dim"})
    if (const auto width = config_number(config, key))
      return words && *width > 1 && *words > *width && *words % *width != 0 ? tensor_shape{*words, *width}
                                                                            : tensor_shape{};
  return {};
}

}  // namespace detail

/// @param text of a config.json
/// @return none of what is no JSON, or says nothing of use
inline model_hints model_hints_of(std::string_view text) {
  model_hints hints;
  const auto config = detail::parse_json(text, "config.json");
  if (!config || !config->is_object()) return hints;
  if (const auto type = config->find("model_type"); type != config->end() && type->is_string()) {
    constexpr std::string_view in_out[] = {"gpt2", "openai-gpt", "imagegpt"};
    hints.keeps_in_out = std::find(std::begin(in_out), std::end(in_out),
                                   type->get_ref<const std::string&>()) != std::end(in_out);
  }
  hints.word_table = detail::word_table(*config);
  const auto inner = config->find("text_config");  // of models that look, too
  if (hints.word_table.rank == 0 && inner != config->end() && inner->is_object())
    hints.word_table = detail::word_table(*inner);
  return hints;
}

/// Of the config.json beside a checkpoint.
///
/// @param path of the checkpoint, or of its folder
inline model_hints read_model_hints(const std::string& path) {
  const auto file = mapped_file::open((is_folder(path) ? path : folder_of(path)) + "/config.json");
  if (!file) return {};
  const auto* const text = static_cast<const char*>(static_cast<const void*>(file->bytes().data()));
  return model_hints_of({text, file->bytes().size()});
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_MODEL_HINTS_HPP
