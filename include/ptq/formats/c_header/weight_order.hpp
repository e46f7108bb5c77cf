// SPDX-License-Identifier: Apache-2.0
/// @file weight_order.hpp The order in which a header lists the elements of a weight.
#ifndef PTQ_FORMATS_C_HEADER_WEIGHT_ORDER_HPP
#define PTQ_FORMATS_C_HEADER_WEIGHT_ORDER_HPP

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/c_header/network.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The axes of a listed weight, the last one running fastest.
struct c_weight_order {
  struct axis {
    std::size_t extent = 0;
    std::size_t stride = 0;  ///< of the stored elements
  };
  std::vector<axis> axes;
  std::vector<std::size_t> dims;  ///< as the header tells them; columns of a Linear are one axis
  std::string letters;            ///< one for each of `dims`: O, I, D, H, W
  std::vector<std::string> notes;
};

namespace detail {

/// Of the axes of images: "HW".
inline std::string spatial_letters(std::size_t count) {
  return std::string("DHW").substr(count < 3 ? 3 - count : 0);
}

class c_weight_orders {
 public:
  explicit c_weight_orders(const c_layer& layer) : layer_(&layer), strides_(row_major(layer.weights.shape)) {}

  c_weight_order as_stored() && {
    for (std::size_t i = 0; i < layer_->rank(); ++i) take(i);
    made_.letters = stored_letters();
    return std::move(made_);
  }

  c_weight_order ohwi() && {
    if (layer_->is_brought || !layer_->output_axis)
      return std::move(*this).keep("its shape is another one where it is used");
    if (layer_->is_convolution()) return std::move(*this).convolution();
    if (layer_->class_name == "Linear" && layer_->rank() == 2) return std::move(*this).linear();
    return std::move(*this).keep("it is no weight of a convolution or a Linear");
  }

 private:
  void take(std::size_t axis) {
    made_.axes.push_back({layer_->weights.shape[axis], static_cast<std::size_t>(strides_[axis])});
    made_.dims.push_back(layer_->weights.shape[axis]);
  }

  std::string stored_letters() const {
    const std::size_t rank = layer_->rank();
    if (layer_->is_brought) return {};
    if (layer_->is_convolution() && rank <= 5)
      return (layer_->is_transposed() ? "IO" : "OI") + spatial_letters(rank - 2);
    if (layer_->class_name == "Linear" && rank == 2 && layer_->output_axis)
      return *layer_->output_axis == 0 ? "OI" : "IO";
    return {};
  }

  c_weight_order keep(const std::string& why) && {
    c_weight_order made = c_weight_orders(*layer_).as_stored();
    made.notes.push_back("It is listed as it is stored: " + why + ".");
    return made;
  }

  c_weight_order convolution() && {
    const std::size_t rank = layer_->rank();
    const bool is_transposed = layer_->is_transposed();
    const std::size_t groups = layer_->groups.value_or(1);
    if (is_transposed && layer_->groups != std::size_t{1})
      return std::move(*this).keep("a transposed convolution has this order without groups alone");
    const std::size_t in = is_transposed ? 0 : 1;
    const std::size_t inputs = layer_->weights.shape[in];
    const bool is_depthwise = groups > 1 && inputs == 1;
    if (is_depthwise)
      take(in);
    else
      take(1 - in);
    for (std::size_t i = 2; i < rank; ++i) take(i);
    take(is_depthwise ? 0 : in);
    made_.letters =
        is_depthwise ? "I" + spatial_letters(rank - 2) + "O" : "O" + spatial_letters(rank - 2) + "I";
    if (is_depthwise)
      made_.notes.emplace_back("Depthwise: the output channels come last, as CMSIS-NN has it.");
    else if (!layer_->groups && inputs == 1 && layer_->weights.shape[0] > 1)
      made_.notes.emplace_back(
          "The source does not tell whether this convolution is depthwise. If it is, CMSIS-NN wants its "
          "output "
          "channels last: export an ONNX artifact, whose graph tells.");
    return std::move(made_);
  }

  /// [out, in]. Where images were flattened, their channels come last: in a graph they come first.
  c_weight_order linear() && {
    const std::size_t out = *layer_->output_axis;
    const std::size_t columns = layer_->weights.shape[1 - out];
    const auto step = static_cast<std::size_t>(strides_[1 - out]);
    const std::size_t channels = layer_->flattened;
    take(out);
    made_.dims.push_back(columns);
    made_.letters = "OI";
    if (channels < 2 || columns % channels != 0 || columns == channels) {
      made_.axes.push_back({columns, step});
      return std::move(made_);
    }
    const std::size_t places = columns / channels;
    made_.axes.push_back({places, step});
    made_.axes.push_back({channels, places * step});
    made_.notes.push_back(
        "Its input is a flattened image of " + std::to_string(channels) +
        " channels: the columns are permuted, so that the channels of a place lie side by side.");
    return std::move(made_);
  }

  const c_layer* layer_;
  tensor_strides strides_;
  c_weight_order made_;
};

}  // namespace detail

inline c_weight_order weight_order_of(const c_layer& layer, bool is_ohwi) {
  detail::c_weight_orders orders(layer);
  return is_ohwi ? std::move(orders).ohwi() : std::move(orders).as_stored();
}

/// Calls f(place of the element among the stored ones) in the order of the list.
template <class F>
void for_each_listed(const c_weight_order& order, F&& f) {
  std::size_t count = 1;
  for (const c_weight_order::axis& axis : order.axes) count *= axis.extent;
  std::vector<std::size_t> index(order.axes.size());
  std::size_t place = 0;
  for (std::size_t left = count; left > 0; --left) {
    f(place);
    for (std::size_t i = index.size(); i-- > 0;) {
      place += order.axes[i].stride;
      if (++index[i] < order.axes[i].extent) break;
      place -= order.axes[i].stride * order.axes[i].extent;
      index[i] = 0;
    }
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_WEIGHT_ORDER_HPP
