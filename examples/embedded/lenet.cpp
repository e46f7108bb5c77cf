// SPDX-License-Identifier: Apache-2.0
// A digit classifier for a microcontroller, from the header that `ptq export --format c-header` wrote: 100
// test images, each with the ten values of the last layer. All is computed in integers; the values are those
// of `ptq evaluate --arithmetic integer`. It runs on this machine, too.
#include "lenet.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include "console.hpp"
#include "lenet_images.hpp"

namespace {

using console::print;

#if __STDC_HOSTED__

void mark_stack() {}
void print_memory() {}

#else

extern "C" std::uint8_t flash_begin[], data_source[];  // of the linker: from where to where flash is used
extern "C" std::uint32_t data_begin[], data_end[], bss_end[], stack_top[];  // and RAM

constexpr std::uint32_t untouched = 0xA5A5A5A5;

/// Fills the RAM below the stack, so that what the stack comes to need can be seen.
[[gnu::noinline]] void mark_stack() {
  constexpr std::uintptr_t of_this_function = 128;
  const auto end = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - of_this_function;
  for (volatile std::uint32_t* at = bss_end; reinterpret_cast<std::uintptr_t>(at) < end; ++at)
    *at = untouched;
}

void print_memory() {
  const volatile std::uint32_t* deepest = bss_end;
  while (*deepest == untouched) ++deepest;
  print("flash ");
  print(static_cast<std::int32_t>(data_source - flash_begin) +
        4 * static_cast<std::int32_t>(data_end - data_begin));
  print(" bytes, of them the network ");
  print(std::int32_t{LENET_BYTES});
  print(" and images ");
  print(static_cast<std::int32_t>(sizeof lenet::lenet_images + sizeof lenet::lenet_labels));
  print("\nRAM ");
  print(4 * static_cast<std::int32_t>(bss_end - data_begin));
  print(" bytes for the whole run, stack ");
  print(4 * static_cast<std::int32_t>(stack_top - deepest));
  print(", of it buffers ");
  print(static_cast<std::int32_t>(sizeof(lenet::arena)));
  print("\n");
}

#endif

}  // namespace

extern "C" int main() {
  mark_stack();
  lenet::arena memory;
  std::int32_t right = 0;
  for (std::size_t i = 0; i < lenet::images; ++i) {
    const auto values = lenet::run(lenet::lenet_images[i], memory);
    const std::size_t digit = place_of_largest(values);
    if (static_cast<std::int64_t>(digit) == lenet::lenet_labels[i]) ++right;
    print("image ");
    print(static_cast<std::int32_t>(i));
    print(": ");
    print(static_cast<std::int32_t>(digit));
    print(" of");
    for (const std::int32_t value : values) {
      print(" ");
      print(value);
    }
    print("\n");
  }
  print(right);
  print(" of 100 are right\n");
  print_memory();
  return right >= 90 ? 0 : 1;
}
