// SPDX-License-Identifier: Apache-2.0
// ptq for Python's ctypes: row-major matrices of float32, dtypes and backends by their words. A function that
// returns anything but 0 did nothing.
#include <cstddef>
#include <span>

#include "ptq/ptq.hpp"

namespace {

constexpr int refused = 1;

std::span<std::byte> bytes_at(void* codes, std::size_t count, const ptq::dtype_row& dtype) {
  return {static_cast<std::byte*>(codes), count * dtype.code_size};
}

}  // namespace

extern "C" {

/// One scale a row.
int ptq_peer_quantize(const char* dtype, const char* backend, const float* values, std::size_t rows,
                      std::size_t columns, void* codes, float* scales) {
  const ptq::quantizer* const how = ptq::find_quantizer(dtype, backend);
  if (how == nullptr) return refused;
  const ptq::tensor_view<const float> view(values, {rows, columns});
  const std::span<float> found(scales, rows);
  return ptq::quantize(view, *how, bytes_at(codes, view.size(), how->dtype()), found, ptq::per_channel(0))
             ? 0
             : refused;
}

/// One scale for all.
int ptq_peer_quantize_by(const char* dtype, const char* backend, const float* values, std::size_t rows,
                         std::size_t columns, void* codes, const float* scale) {
  const ptq::quantizer* const how = ptq::find_quantizer(dtype, backend);
  if (how == nullptr) return refused;
  const ptq::tensor_view<const float> view(values, {rows, columns});
  const std::span<const float> given(scale, 1);
  return ptq::quantize_by(view, *how, given, bytes_at(codes, view.size(), how->dtype())) ? 0 : refused;
}

/// One scale for all.
int ptq_peer_dequantize(const char* dtype, const void* codes, const float* scale, std::size_t rows,
                        std::size_t columns, float* values) {
  const ptq::dtype_row* const row = ptq::find_dtype_row(dtype);
  if (row == nullptr) return refused;
  const ptq::tensor_view<float> view(values, {rows, columns});
  const std::span bytes(static_cast<const std::byte*>(codes), view.size() * row->code_size);
  return ptq::dequantize(*row, bytes, std::span<const float>(scale, 1), ptq::per_tensor(), view) ? 0
                                                                                                 : refused;
}

}  // extern "C"
