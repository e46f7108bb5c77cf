// SPDX-License-Identifier: Apache-2.0
// What one writes with Eigen, for peers.py: expressions that it makes vectors of, for the machine at hand.
#include <Eigen/Core>
#include <cstddef>
#include <cstdint>

namespace {

constexpr float lowest = -128.0F;
constexpr float largest = 127.0F;

template <class T>
auto array_at(T* first, std::size_t n) {
  return Eigen::Map<Eigen::ArrayX<T>>(first, static_cast<Eigen::Index>(n));
}
template <class T>
auto array_at(const T* first, std::size_t n) {
  return Eigen::Map<const Eigen::ArrayX<T>>(first, static_cast<Eigen::Index>(n));
}

}  // namespace

extern "C" {

/// Codes of values by one scale.
int eigen_peer_quantize(const float* values, std::size_t n, float scale, std::int8_t* codes) {
  array_at(codes, n) =
      (array_at(values, n) / scale).rint().max(lowest).min(largest).template cast<std::int8_t>();
  return 0;
}

/// The same by its reciprocal.
int eigen_peer_quantize_by_reciprocal(const float* values, std::size_t n, float scale, std::int8_t* codes) {
  array_at(codes, n) =
      (array_at(values, n) * (1 / scale)).rint().max(lowest).min(largest).template cast<std::int8_t>();
  return 0;
}

/// Values of codes.
int eigen_peer_dequantize(const std::int8_t* codes, std::size_t n, float scale, float* values) {
  array_at(values, n) = array_at(codes, n).template cast<float>() * scale;
  return 0;
}

}  // extern "C"
