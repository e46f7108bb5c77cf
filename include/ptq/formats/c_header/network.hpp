// SPDX-License-Identifier: Apache-2.0
/// @file network.hpp What a C header says of an artifact, whatever format that has: its quantized layers, and
/// what between them decides integers.
#ifndef PTQ_FORMATS_C_HEADER_NETWORK_HPP
#define PTQ_FORMATS_C_HEADER_NETWORK_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/file/mapped_file.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"

namespace ptq::inline v0_1 {

/// What becomes of a layer's output.
struct c_output {
  enum class kind : std::uint8_t {
    unknown,  ///< `reason` says why
    codes,    ///< int8, with the scale of the QuantizeLinear that it reaches
    numbers,  ///< nothing behind it is quantized: it stays what the sums stand for
  };
  kind becomes = kind::unknown;
  float scale = 0;                 ///< of codes
  std::optional<float> low, high;  ///< what Relu and Clip leave of it
  std::string reason;
};

/// A convolution's attributes, in the order of its spatial axes.
struct c_window {
  std::vector<std::int64_t> strides, pads, dilations;  ///< pads: all begins, then all ends
  std::string automatic{};                             ///< how pads depend on the image: SAME_UPPER
};

/// A layer whose weight is codes. Views look into what `c_network::owner` keeps.
struct c_layer {
  std::string name;
  std::string class_name;
  std::string tensor;  ///< the source's name for the weight
  artifact_weights weights;
  const dtype_row* dtype = nullptr;          ///< of the weights
  std::optional<std::size_t> output_axis{};  ///< of the weight, as it is stored
  std::optional<std::size_t> groups{};       ///< of a convolution, where the source tells
  bool is_brought = false;                   ///< by nodes that give it another shape than the stored one
  std::size_t flattened = 0;                 ///< the channels of the images that were flattened to its input
  std::vector<double> bias{};                ///< one for each output channel; empty: none
  std::optional<float> input_scale{};        ///< of an int8 input
  std::string input_dtype{};                 ///< where it is quantized
  std::string no_integers{};                 ///< why it is not computed in integers, where the source tells
  c_output output{};
  std::optional<c_window> window{};

  std::size_t rank() const noexcept { return weights.shape.rank; }
  bool is_convolution() const { return class_name.starts_with("Conv") && rank() >= 3; }
  bool is_transposed() const { return class_name.starts_with("ConvTranspose"); }

  /// Where the source tells.
  std::optional<std::size_t> output_channels() const {
    if (!output_axis || (is_transposed() && !groups)) return {};
    return weights.shape[*output_axis] * (is_transposed() ? *groups : 1);
  }
};

/// Move-only.
struct c_network {
  std::vector<c_layer> layers;
  std::vector<std::string> left_out;  ///< names of other tensors of floats
  std::string graph_note;             ///< what no layer says: where there is no graph

  std::shared_ptr<const void> owner;   ///< of everything that the views look into
  std::span<const mapped_file> files;  ///< the owner's
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_NETWORK_HPP
