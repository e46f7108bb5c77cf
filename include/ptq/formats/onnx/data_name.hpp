// SPDX-License-Identifier: Apache-2.0
/// @file data_name.hpp How the file with external data of a written model is called.
#ifndef PTQ_FORMATS_ONNX_DATA_NAME_HPP
#define PTQ_FORMATS_ONNX_DATA_NAME_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ptq/text/printable.hpp"
#include "ptq/text/word_hash.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view onnx_suffix = ".onnx";
inline constexpr std::string_view onnx_data_suffix = ".onnx.data";

inline std::string_view onnx_stem(std::string_view model) {
  if (model.ends_with(onnx_suffix)) model.remove_suffix(onnx_suffix.size());
  return model;
}

}  // namespace detail

/// "q.onnx" -> "q.0123456789abcdef.onnx.data". Other data have another name, so that no older model file ever
/// points to them; the same data have the same.
///
/// @param model   name of the model file, without its folder
/// @param content a hash of the data
inline std::string onnx_data_name(std::string_view model, std::uint64_t content) {
  return std::string(detail::onnx_stem(model)) + "." + detail::hex_digits(content, 16) +
         std::string(detail::onnx_data_suffix);
}

/// Whether a file is named as the data of a model file are, or as they once were: "q.onnx.data".
inline bool is_onnx_data_name(std::string_view model, std::string_view name) {
  const std::string_view stem = detail::onnx_stem(model);
  constexpr std::size_t digits = 16;
  if (!name.starts_with(stem) || !name.substr(stem.size()).ends_with(detail::onnx_data_suffix)) return false;
  const std::string_view between =
      name.substr(stem.size(), name.size() - stem.size() - detail::onnx_data_suffix.size());
  if (between.empty()) return true;
  return between.size() == 1 + digits && between.front() == '.' &&
         between.find_first_not_of("0123456789abcdef", 1) == std::string_view::npos;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_DATA_NAME_HPP
