// SPDX-License-Identifier: Apache-2.0
/// @file fusions.hpp Where ONNX Runtime's optimizer makes another number of a quantized layer than the graph
/// says. The writer keeps such a layer apart from its neighbours. Seen in version 1.32.
#ifndef PTQ_FORMATS_ONNX_FUSIONS_HPP
#define PTQ_FORMATS_ONNX_FUSIONS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/formats/onnx/constants.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Whether DequantizeLinear and the layer behind it become MatMulNBits, which rounds the float input to 8
/// bits. With a scale per column it does not, where the axis is counted from the end.
inline bool fuses_with_float_input(const onnx_node& node, const onnx_tensor& weight, granularity grain,
                                   bool is_carried) {
  return (node.op_type == "MatMul" || node.op_type == "Gemm") &&
         (is_carried || (weight.dims.size() == 2 && !grain.is_per_channel()));
}

/// Whether ONNX Runtime moves the DequantizeLinear of a layer's input behind the layer, as it does for
/// MaxPool. From operator set 21 on it gives the new QuantizeLinear the type of int8 codes twice, changes one
/// of them to uint8, and refuses to load what it made.
inline bool moves_behind(const onnx_node& node, element_type codes, std::int64_t opset) {
  return node.op_type == "MaxPool" && codes == element_type::int8 && opset >= 21;
}

/// Operators whose float weights and biases are quantized too, where their inputs and outputs are. A MatMul
/// is one with the Add behind it.
inline bool is_quantized_by_neighbours(const onnx_node& node) {
  return node.op_type == "Conv" || node.op_type == "ConvTranspose" || node.op_type == "Gemm" ||
         node.op_type == "MatMul";
}

/// What a layer adds to its products, if that does not vary: a constant, or computed from some, which ONNX
/// Runtime does first. Empty if there is nothing.
inline std::string_view bias_of(const onnx_graph& graph, const onnx_links& links,
                                const onnx_constants& constants, const onnx_node& node) {
  const auto fixed = [&](std::string_view name) { return constants.holds(name) ? name : std::string_view(); };
  if (node.op_type != "MatMul") return fixed(node.input(2));
  for (const onnx_use& use : links.uses(node.outputs.front())) {
    const onnx_node& next = graph.nodes[use.node];
    if (next.op_type == "Add" && use.slot <= 1)
      if (const std::string_view found = fixed(next.input(1 - use.slot)); !found.empty()) return found;
  }
  return {};
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

/// Whether a bias of an int8 layer may be another one as int32 with the scale input scale x weight scale,
/// with which it is quantized: channels whose weights are all but zero have scales that are too small for it,
/// and those of zeros have the scale 1, which is no measure. Powers of two decide, on the safe side.
///
/// @param bias        of float32, as the weight
/// @param input_scale as bits
inline bool is_lost_in_int32(const onnx_tensor& bias, const onnx_tensor& weight, granularity grain,
                             std::uint32_t input_scale) {
  const std::uint32_t largest = magnitudes_of(bias, per_tensor()).front();
  const auto channels = magnitudes_of(weight, grain);
  const std::uint32_t least = *std::min_element(channels.begin(), channels.end());
  if (largest == 0 || least == 0) return largest != 0;
  const auto exponent = [](std::uint32_t magnitude) { return static_cast<int>(magnitude >> 23); };
  constexpr int bias_of_exponents = 127;
  constexpr int code_bits = 7;  // the binary logarithm of the largest code, rounded up
  return exponent(largest) + 1 - exponent(input_scale) - exponent(least) + bias_of_exponents + code_bits >=
         31;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_FUSIONS_HPP
