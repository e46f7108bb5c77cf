// SPDX-License-Identifier: Apache-2.0
/// @file contents.hpp What a model file holds, float or quantized, whatever its format.
#ifndef PTQ_FORMATS_CONTENTS_HPP
#define PTQ_FORMATS_CONTENTS_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// A tensor as the file stores it.
struct listed_tensor {
  std::string name;
  std::string type;  ///< as the format calls it
  std::vector<std::size_t> shape;
  std::size_t bytes = 0;
};

/// How the input of a layer is quantized.
struct listed_input {
  std::string dtype;
  float scale = 0;
  std::optional<float> amax;  ///< where the format stores it
};

/// A layer, and what of it is quantized.
struct listed_layer {
  std::string name;
  std::string class_name;
  bool inferred = false;
  layer_origin origin;
  std::optional<tensor_shape> shape;        ///< of the weight
  std::optional<artifact_weights> weights;  ///< where they are quantized
  std::optional<listed_input> input;        ///< where it is quantized
};

/// A tensor of the model that the file stands for: a quantized weight is one, codes and scales together,
/// under the name that it had as floats.
struct model_tensor {
  std::string name;
  std::string title;  ///< the layer's name, if it is a layer's weight; else its own
  std::string type;   ///< as the format calls it; of quantized weights the dtype
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;  ///< as they are stored: codes of quantized weights; `view` has the order
  any_view view;
  std::optional<artifact_weights> weights;  ///< codes and scales, where it is quantized
  std::uint64_t copy = 0;                   ///< bytes of the floats that stay beside them

  /// Of all that is stored for it.
  std::uint64_t bytes() const noexcept {
    const std::size_t own =
        view.strides == row_major(view.shape) ? data.size() : view.size() * size_of(view.type);
    return own + (weights ? weights->scales.size_bytes() : 0) + copy;
  }
};

/// An input or output of a graph, in words: "float32[batch, 1, 28, 28]".
struct listed_value {
  std::string name;
  std::string type;
};

/// Move-only. All views look into what it keeps open.
struct model_contents {
  std::string headline;  ///< what kind of file it is, and who made it; empty for a plain checkpoint
  std::vector<std::pair<std::string, std::variant<std::int64_t, std::string>>> facts;  ///< for machines
  std::optional<metadata_map> metadata;              ///< where the format has it
  std::optional<std::vector<listed_value>> inputs;   ///< where there is a graph
  std::optional<std::vector<listed_value>> outputs;  ///< likewise
  std::vector<listed_layer> layers;
  std::vector<listed_tensor> stored;
  std::vector<model_tensor> tensors;
  std::vector<std::string> notes;

  std::shared_ptr<const void> owner;   ///< of everything that the views look into
  std::span<const mapped_file> files;  ///< the owner's

  /// Gives a tensor's memory back, for now (`mapped_file::release`).
  void release(const model_tensor& tensor) const noexcept {
    for (const mapped_file& file : files) file.release(tensor.data);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CONTENTS_HPP
