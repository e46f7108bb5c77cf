// SPDX-License-Identifier: Apache-2.0
/// @file error.hpp What can go wrong, as a code and a place. The core returns `status`; hosted code adds
/// words (result.hpp).
#ifndef PTQ_ERROR_HPP
#define PTQ_ERROR_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// Every way in which a call into ptq can fail.
enum class errc : unsigned char {
  ok = 0,

  // tensors
  wrong_rank,         ///< the tensor's rank is not the one asked for, or above `max_rank`; `at` is that rank
  axis_out_of_range,  ///< `status::at` is the axis
  size_mismatch,      ///< a buffer has another length than the shape says; `at` is the length wanted
  not_finite,         ///< NaN or infinity in the data; `at` is its row-major index
  no_data,            ///< nothing was seen, so there is no range
  stopped,            ///< the sink asked to stop

  // specification
  syntax,  ///< the text is not YAML or JSON
  unknown_key,
  unknown_word,  ///< a word that is not among the allowed ones
  wrong_type,
  missing_value,
  invalid_value,
  wrong_pair,  ///< backend and mode do not belong together
  duplicate_key,
  unsupported,  ///< valid, but not something ptq can do

  // files
  cannot_open,
  cannot_read,
  cannot_write,
  in_use,  ///< another run writes there
  wrong_format,
  wrong_model,  ///< statistics that were collected with another model

  // safetensors: the reference reader's names
  header_too_small,
  header_too_large,
  invalid_header_length,
  invalid_header,
  invalid_header_deserialization,
  invalid_offset,
  validation_overflow,
  misaligned_slice,
  tensor_invalid_info,
  metadata_incomplete_buffer,
  tensor_not_found,
};

/// The outcome of a core call: a code, and where it happened (an index, an axis or a length, as the code
/// says). Trivial and constexpr, so firmware can return it in two registers. Converts to true when all went
/// well.
struct [[nodiscard]] status {
  errc code = errc::ok;
  std::size_t at = 0;

  constexpr explicit operator bool() const noexcept { return code == errc::ok; }
  friend constexpr bool operator==(const status&, const status&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ERROR_HPP
