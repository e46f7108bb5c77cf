// SPDX-License-Identifier: Apache-2.0
// Codes and scales go to memory that can be written, and lives on.
//
// BAD CONSTANT_CODES: contiguous<
// BAD CODES_OF_ANOTHER_TYPE: contiguous<
// BAD TEMPORARY_CODES: contiguous<
// BAD CONSTANT_SCALES: contiguous<
// BAD CODES_WITH_GAPS: contiguous<
#include <cstdint>
#include <vector>

#include "ptq/core.hpp"

using values = const float (&)[2][4];

#ifdef CONSTANT_CODES
ptq::status quantize(values v, const std::vector<std::int8_t>& codes, std::vector<float>& scales) {
#elif defined(CODES_OF_ANOTHER_TYPE)
ptq::status quantize(values v, std::vector<std::uint8_t>& codes, std::vector<float>& scales) {
#elif defined(CONSTANT_SCALES)
ptq::status quantize(values v, std::vector<std::int8_t>& codes, const std::vector<float>& scales) {
#elif defined(CODES_WITH_GAPS)
ptq::status quantize(values v, ptq::tensor_view<std::int8_t> codes, std::vector<float>& scales) {
#else
ptq::status quantize(values v, std::vector<std::int8_t>& codes, std::vector<float>& scales) {
#endif
#ifdef TEMPORARY_CODES
  return ptq::quantize<ptq::int8, ptq::torchao>(v, std::vector<std::int8_t>(codes), scales);
#else
  return ptq::quantize<ptq::int8, ptq::torchao>(v, codes, scales);
#endif
}
