// SPDX-License-Identifier: Apache-2.0
/// @file byte_order.hpp Every file format here stores little-endian numbers, which are read and written as
/// they lie in memory. What includes this file does not compile where that would be wrong.
#ifndef PTQ_FILE_BYTE_ORDER_HPP
#define PTQ_FILE_BYTE_ORDER_HPP

#include <bit>

static_assert(std::endian::native == std::endian::little,
              "ptq reads and writes files on little-endian machines only. What works here is the core, "
              "ptq/core.hpp, with the same bits as anywhere.");

#endif  // PTQ_FILE_BYTE_ORDER_HPP
