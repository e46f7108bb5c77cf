// SPDX-License-Identifier: Apache-2.0
/// @file goldens.hpp What the tests of data files share.
#ifndef PTQ_TESTS_DATA_GOLDENS_HPP
#define PTQ_TESTS_DATA_GOLDENS_HPP

#include <string>

#include "ptq/detail/type_list.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"

inline const std::string folder = PTQ_GOLDEN_DIR "/data/";

inline constexpr ptq::list<ptq::npy, ptq::npz> formats;

inline bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

#endif  // PTQ_TESTS_DATA_GOLDENS_HPP
