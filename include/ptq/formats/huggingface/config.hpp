// SPDX-License-Identifier: Apache-2.0
/// @file config.hpp The config.json of a model, by which loaders build it.
#ifndef PTQ_FORMATS_HUGGINGFACE_CONFIG_HPP
#define PTQ_FORMATS_HUGGINGFACE_CONFIG_HPP

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/huggingface/folder.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Members keep their order.
using ordered_json = nlohmann::ordered_json;

/// Of a model, as if it was not quantized.
///
/// @param is_own whether ptq has quantized it
/// @return cannot_open, syntax, wrong_type; unsupported: it says that someone else has quantized the model
inline result<ordered_json> read_huggingface_config(const std::string& folder, bool is_own = false) {
  const std::string path = folder + "/" + std::string(huggingface_config);
  const std::string where = absolute_path(path);
  const auto file = mapped_file::open(path);
  if (!file) return file.error();
  const auto* const text = static_cast<const char*>(static_cast<const void*>(file->bytes().data()));
  auto config = detail::parse_json<ordered_json>({text, file->bytes().size()}, where);
  if (!config) return config.error();
  if (!config->is_object())
    return error(errc::wrong_type, where, "this is not a JSON object. Get the file again.");
  const auto quantized = config->find("quantization_config");
  if (quantized == config->end()) return config;
  if (!is_own && !quantized->is_null())
    return error(
        errc::unsupported, where + ": quantization_config",
        "this model is quantized already. Give the float model that it was made from as model_path.");
  config->erase(quantized);
  return config;
}

/// Whether loaders can build a model by a config.json: other programs call files so, too.
inline bool names_model(const ordered_json& config) {
  return config.contains("model_type") || config.contains("architectures");
}

/// Indented as Hugging Face's libraries do, with a line break.
inline std::string config_text(const ordered_json& value) {
  return value.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_HUGGINGFACE_CONFIG_HPP
