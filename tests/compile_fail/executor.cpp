// SPDX-License-Identifier: Apache-2.0
// An executor is called with a number of parts and a function of one: run(n, f).
//
// BAD NUMBER_OF_THREADS: (satisfy|satisfaction of) 'executor
// BAD WITHOUT_NUMBER: (satisfy|satisfaction of) 'executor
// BAD WITHOUT_FUNCTION: (satisfy|satisfaction of) 'executor
// BAD FUNCTION_OF_NOTHING: (satisfy|satisfaction of) 'executor
// BAD NOT_CONST: (satisfy|satisfaction of) 'executor
#include <array>
#include <cstddef>
#include <cstdint>

#include "ptq/backend/torchao.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/quantize/quantize.hpp"

ptq::status quantize(const float (&weight)[2][3]) {
#if defined(NUMBER_OF_THREADS)
  const int run = 4;
#elif defined(WITHOUT_NUMBER)
  const auto run = [](auto&& f) { f(std::size_t{0}); };
#elif defined(WITHOUT_FUNCTION)
  const auto run = [](std::size_t) {};
#elif defined(FUNCTION_OF_NOTHING)
  const auto run = [](std::size_t, void (*f)()) { f(); };
#elif defined(NOT_CONST)
  const auto run = [calls = 0](std::size_t n, auto&& f) mutable {
    for (std::size_t i = 0; i < n; ++i, ++calls) f(i);
  };
#else
  const auto run = [](std::size_t n, auto&& f) {
    for (std::size_t i = 0; i < n; ++i) f(i);
  };
#endif
  std::array<std::int8_t, 6> codes{};
  std::array<float, 2> scales{};
  return ptq::quantize<ptq::int8, ptq::torchao>(weight, codes, scales, ptq::per_channel(0), run);
}
