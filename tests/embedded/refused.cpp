// SPDX-License-Identifier: Apache-2.0
// What the linker script refuses: a heap, and an object that takes RAM and is initialised at run time.
#include <cstddef>

extern "C" [[gnu::noinline]] void* malloc(std::size_t n) {
  return reinterpret_cast<void*>(n);
}

namespace {
volatile int one = 1;
int* const counter = static_cast<int*>(malloc(static_cast<std::size_t>(one)));
}  // namespace

extern "C" int main() {
  return counter == nullptr ? 1 : 0;
}
