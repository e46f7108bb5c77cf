# SPDX-License-Identifier: Apache-2.0
# Cross compiles for the machine of machines.txt that PTQ_MACHINE names (a Cortex-M4F if it is not set), and runs what is built
# in QEMU. Debian 12's packages: gcc-arm-none-eabi with libstdc++-arm-none-eabi-dev and libnewlib-dev (for their headers) and
# qemu-system-arm; or gcc-riscv64-unknown-elf and qemu-system-misc besides.
set(PTQ_MACHINE m4f CACHE STRING "A machine of machines.txt")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PTQ_MACHINE)
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/machines.txt" ptq_machine REGEX "^${PTQ_MACHINE} ")
if(NOT ptq_machine MATCHES "^[^ ]+ +([^ ]+) +([^ ]+) +([^ ]+) +([^ ]+) +(.+)$")
  message(FATAL_ERROR "PTQ_MACHINE is \"${PTQ_MACHINE}\", which is not in ${CMAKE_CURRENT_LIST_DIR}/machines.txt")
endif()
set(ptq_board ${CMAKE_MATCH_1})
set(ptq_memory "-Wl,--defsym=flash_begin=${CMAKE_MATCH_2},--defsym=ram_begin=${CMAKE_MATCH_3},--defsym=ram_size=${CMAKE_MATCH_4}")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_MATCH_5}")

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${PTQ_MACHINE})
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_EXECUTABLE_SUFFIX_CXX .elf)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostdlib -Wl,--gc-sections -T \"${CMAKE_CURRENT_LIST_DIR}/firmware.ld\" ${ptq_memory}")
if(PTQ_MACHINE MATCHES "^rv32")
  set(CMAKE_CXX_COMPILER riscv64-unknown-elf-g++)
  # Debian has no C++ headers for it. Those for ARM serve, as they are for no system at all.
  file(GLOB ptq_headers /usr/include/newlib/c++/*)
  string(APPEND CMAKE_CXX_FLAGS_INIT " -isystem ${ptq_headers} -isystem ${ptq_headers}/arm-none-eabi -isystem /usr/include/newlib")
  set(ptq_emulator qemu-system-riscv32 -bios none)
else()
  set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
  set(ptq_emulator qemu-system-arm)
endif()
# Text that a program prints by semihosting.hpp comes on standard output, and its exit status is QEMU's.
set(CMAKE_CROSSCOMPILING_EMULATOR ${ptq_emulator} -M ${ptq_board} -display none -monitor none -serial none
    -chardev stdio,id=text,signal=off -semihosting-config enable=on,target=native,chardev=text -kernel)
