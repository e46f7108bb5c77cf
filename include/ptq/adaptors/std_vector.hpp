// SPDX-License-Identifier: Apache-2.0
/// @file std_vector.hpp std::vector as a tensor of rank 1. (std::vector<bool> has no elements to point at.)
#ifndef PTQ_ADAPTORS_STD_VECTOR_HPP
#define PTQ_ADAPTORS_STD_VECTOR_HPP

#include <concepts>
#include <type_traits>
#include <vector>

#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {

template <class T, class Allocator>
  requires(!std::same_as<T, bool>)
struct tensor_traits<std::vector<T, Allocator>> {
  static constexpr auto view(auto& t) noexcept {
    return tensor_view<std::remove_pointer_t<decltype(t.data())>>{t.data(), {t.size()}};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ADAPTORS_STD_VECTOR_HPP
