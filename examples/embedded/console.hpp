// SPDX-License-Identifier: Apache-2.0
/// @file console.hpp Prints, by the debugger or emulator around firmware, and on the standard output of this
/// machine.
#ifndef PTQ_EXAMPLES_EMBEDDED_CONSOLE_HPP
#define PTQ_EXAMPLES_EMBEDDED_CONSOLE_HPP

#include <cstdint>

#if __STDC_HOSTED__
#include <cstdio>
#else
#include "semihosting.hpp"
#endif

namespace console {

#if __STDC_HOSTED__
inline void print(const char* text) {
  std::fputs(text, stdout);
}
inline void print(std::int32_t number) {
  std::printf("%d", static_cast<int>(number));
}
#else
using semihosting::print;
#endif

}  // namespace console

#endif  // PTQ_EXAMPLES_EMBEDDED_CONSOLE_HPP
