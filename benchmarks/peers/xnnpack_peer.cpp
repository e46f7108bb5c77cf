// SPDX-License-Identifier: Apache-2.0
// XNNPACK's conversions for peers.py: an operator is made for its arrays once, and runs on the caller's
// thread as often as wanted. They are kept to the end of the program.
#include <xnnpack.h>

#include <cstddef>
#include <cstdint>
#include <limits>

extern "C" {

/// Codes of values by one scale, by its reciprocal. Nothing where XNNPACK refuses.
xnn_operator_t xnnpack_peer_quantize(const float* values, std::size_t n, float scale, std::int8_t* codes) {
  using code = std::numeric_limits<std::int8_t>;
  xnn_operator_t made = nullptr;
  if (xnn_initialize(nullptr) != xnn_status_success ||
      xnn_create_convert_nc_f32_qs8(n, n, n, scale, 0, code::min(), code::max(), 0, &made) !=
          xnn_status_success ||
      xnn_setup_convert_nc_f32_qs8(made, 1, values, codes, nullptr) != xnn_status_success)
    return nullptr;
  return made;
}

/// Values of codes. Nothing where XNNPACK refuses.
xnn_operator_t xnnpack_peer_dequantize(const std::int8_t* codes, std::size_t n, float scale, float* values) {
  xnn_operator_t made = nullptr;
  if (xnn_initialize(nullptr) != xnn_status_success ||
      xnn_create_convert_nc_qs8_f32(n, n, n, scale, 0, 0, &made) != xnn_status_success ||
      xnn_setup_convert_nc_qs8_f32(made, 1, codes, values, nullptr) != xnn_status_success)
    return nullptr;
  return made;
}

int xnnpack_peer_run(xnn_operator_t made) {
  return xnn_run_operator(made, nullptr) == xnn_status_success ? 0 : 1;
}

}  // extern "C"
