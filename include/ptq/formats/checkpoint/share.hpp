// SPDX-License-Identifier: Apache-2.0
/// @file share.hpp Divides the tensors of a checkpoint, so that each of several processes quantizes some.
#ifndef PTQ_FORMATS_CHECKPOINT_SHARE_HPP
#define PTQ_FORMATS_CHECKPOINT_SHARE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/model/plan.hpp"

namespace ptq::inline v0_1 {

/// One of the shares that a model is divided into.
struct share {
  std::size_t index = 1;  ///< from 1 to `count`
  std::size_t count = 1;
};

/// The share (its index) of each tensor: runs of tensors in their order, so that a process reads few files,
/// of about as many bytes each. It depends on the tensors alone. A tensor is never divided; there may be
/// shares without any.
inline std::vector<std::size_t> divide(std::span<const stored_tensor> tensors, std::size_t count) {
  std::uint64_t total = 0;
  for (const stored_tensor& tensor : tensors) total += tensor.bytes();
  const std::uint64_t size = (std::max<std::uint64_t>)(1, total / count + (total % count != 0 ? 1u : 0u));
  std::vector<std::size_t> shares;
  shares.reserve(tensors.size());
  std::uint64_t begin = 0;
  for (const stored_tensor& tensor : tensors) {
    const std::uint64_t middle = begin + tensor.bytes() / 2;
    shares.push_back(1 + static_cast<std::size_t>((std::min<std::uint64_t>)(middle / size, count - 1)));
    begin += tensor.bytes();
  }
  return shares;
}

/// What of a plan concerns some of its layers.
///
/// @param places of these layers, ascending
inline plan plan_for(const plan& whole, std::span<const std::size_t> places) {
  plan made = whole;
  made.layers.clear();
  for (const std::size_t place : places) made.layers.push_back(whole.layers[place]);
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_SHARE_HPP
