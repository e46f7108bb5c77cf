// SPDX-License-Identifier: Apache-2.0
/// @file code_names.hpp What artifacts call the codes and scales of a tensor.
#ifndef PTQ_FORMATS_ONNX_CODE_NAMES_HPP
#define PTQ_FORMATS_ONNX_CODE_NAMES_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view codes_suffix = "_quantized";

}  // namespace detail

/// "w" -> "w_quantized". Where that is taken the writer adds a number: "w_quantized_2".
inline std::string codes_name(std::string_view tensor) {
  return std::string(tensor) + std::string(detail::codes_suffix);
}

/// "w" -> "w_scale", likewise.
inline std::string scale_name(std::string_view tensor) {
  return std::string(tensor) + "_scale";
}

/// The tensor whose codes are called so, a number behind the suffix or not; the name itself where no tensor's
/// are.
inline std::string_view tensor_of_codes(std::string_view codes) noexcept {
  const std::size_t end = codes.rfind(detail::codes_suffix);
  if (end == std::string_view::npos) return codes;
  const std::string_view number = codes.substr(end + detail::codes_suffix.size());
  const bool is_number = number.size() > 1 && number.front() == '_' &&
                         number.find_first_not_of("0123456789", 1) == std::string_view::npos;
  return number.empty() || is_number ? codes.substr(0, end) : codes;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_CODE_NAMES_HPP
