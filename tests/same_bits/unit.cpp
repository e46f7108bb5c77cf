// SPDX-License-Identifier: Apache-2.0
// Compiled twice, with different flags and names for the two functions, into one program.
#include <cstdint>

#include "tiles.hpp"

std::uint64_t FEW_TILES();
std::uint64_t MANY_TILES();

std::uint64_t FEW_TILES() {
  return checksum_of_tiles<float, 5, 7>(few_rounds);
}
std::uint64_t MANY_TILES() {
  return checksum_of_tiles<float, 61, 131>(many_rounds);
}
