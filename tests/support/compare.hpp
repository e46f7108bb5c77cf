// SPDX-License-Identifier: Apache-2.0
/// @file compare.hpp Comparing bit patterns: never values, so that tests work under -ffast-math too.
#ifndef PTQ_TESTS_SUPPORT_COMPARE_HPP
#define PTQ_TESTS_SUPPORT_COMPARE_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ptq/detail/strict_float.hpp"

namespace test {

/// The number of elements that differ; all of them where the lengths do. Any two NaNs are equal.
inline std::size_t differences(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return a.size() + b.size();
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::uint32_t x = ptq::detail::bits_of(a[i]);
    const std::uint32_t y = ptq::detail::bits_of(b[i]);
    if (x != y && !(ptq::detail::is_nan(x) && ptq::detail::is_nan(y))) ++count;
  }
  return count;
}

template <class T>
std::size_t differences(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return a.size() + b.size();
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) ++count;
  return count;
}

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_COMPARE_HPP
