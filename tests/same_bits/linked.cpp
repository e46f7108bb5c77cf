// SPDX-License-Identifier: Apache-2.0
// Two units of one program, one of them built with -ffast-math -march=native besides: prints what each makes
// of many tiles, and fails where they make something else of a few than constant evaluation does.
#include <cinttypes>
#include <cstdint>
#include <cstdio>

#include "tiles.hpp"

std::uint64_t few_tiles_normal();
std::uint64_t few_tiles_fast();
std::uint64_t many_tiles_normal();
std::uint64_t many_tiles_fast();

int main() {
  std::printf("float32  %016" PRIx64 "\n", many_tiles_normal());
  std::printf("float32  %016" PRIx64 "\n", many_tiles_fast());
  constexpr std::uint64_t constant = checksum_of_tiles<float, 5, 7>(few_rounds);
  return few_tiles_normal() == constant && few_tiles_fast() == constant ? 0 : 1;
}
