// SPDX-License-Identifier: Apache-2.0
/// @file fusions.hpp Where ONNX Runtime's optimizer makes another number of a quantized layer than the graph
/// says. The writer keeps such a layer apart from its neighbours. Seen in version 1.32.
#ifndef PTQ_IO_ONNX_FUSIONS_HPP
#define PTQ_IO_ONNX_FUSIONS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"
#include "ptq/io/onnx/trace.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Whether DequantizeLinear and the layer behind it become MatMulNBits, which rounds the float input to 8
/// bits. With a scale per column it does not, where the axis is counted from the end.
inline bool fuses_with_float_input(const onnx_node& node, const onnx_tensor& weight, granularity grain,
                                   bool is_carried) {
  return (node.op_type == "MatMul" || node.op_type == "Gemm") &&
         (is_carried || (weight.dims.size() == 2 && !grain.is_per_channel()));
}

/// Operators whose float weights and biases are quantized too, where their inputs and outputs are. A MatMul
/// is one with the Add behind it.
inline bool is_quantized_by_neighbours(const onnx_node& node) {
  return node.op_type == "Conv" || node.op_type == "ConvTranspose" || node.op_type == "Gemm" ||
         node.op_type == "MatMul";
}

/// The constant that a layer adds to its products; null if there is none.
inline const onnx_tensor* bias_of(const onnx_graph& graph, const onnx_links& links, onnx_tracer& tracer,
                                  const onnx_node& node) {
  if (node.op_type != "MatMul") return tracer.trace(node.input(2)).tensor;
  const auto uses = links.uses.find(node.outputs.front());
  if (uses == links.uses.end()) return nullptr;
  for (const onnx_use& use : uses->second) {
    const onnx_node& next = graph.nodes[use.node];
    if (next.op_type == "Add" && use.slot <= 1)
      if (const onnx_tensor* const found = tracer.trace(next.input(1 - use.slot)).tensor) return found;
  }
  return nullptr;
}

/// The largest magnitude of each channel of a float32 tensor, as bits: they compare as the values do.
inline std::vector<std::uint32_t> magnitudes_of(const onnx_tensor& tensor, granularity grain) {
  const std::size_t channels = grain.is_per_channel() ? tensor.dims[grain.axis] : 1;
  std::size_t inner = tensor.size();
  if (grain.is_per_channel()) {
    inner = 1;
    for (std::size_t axis = grain.axis + 1; axis < tensor.dims.size(); ++axis) inner *= tensor.dims[axis];
  }
  std::vector<std::uint32_t> largest(channels);
  for (std::size_t i = 0; i < tensor.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + i * sizeof bits, sizeof bits);
    std::uint32_t& known = largest[i / inner % channels];
    known = (std::max)(known, bits & 0x7fffffffU);
  }
  return largest;
}

/// Whether a bias may not fit int32 with the scale input scale x weight scale, with which it is quantized:
/// channels whose weights are all but zero have such scales. Powers of two decide, on the safe side.
///
/// @param input_scale as bits
/// @param code_bits   the binary logarithm of the largest code, rounded up
inline bool overflows_int32(const onnx_tensor& bias, const onnx_tensor& weight, granularity grain,
                            std::uint32_t input_scale, int code_bits) {
  if (bias.type != onnx_type::float32 || weight.type != onnx_type::float32) return false;
  const auto exponent = [](std::uint32_t magnitude) { return static_cast<int>(magnitude >> 23); };
  std::uint32_t least = 0x7f800000U;
  for (const std::uint32_t channel : magnitudes_of(weight, grain))
    if (channel != 0) least = (std::min)(least, channel);  // zeros have the scale 1
  constexpr int bias_of_exponents = 127;
  return exponent(magnitudes_of(bias, per_tensor()).front()) + 1 - exponent(input_scale) - exponent(least) +
             bias_of_exponents + code_bits >=
         31;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_FUSIONS_HPP
