# SPDX-License-Identifier: Apache-2.0
# Windows programs by Debian's mingw-w64 (posix threads), which wine runs where it is installed.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)  # programs that need no other file

# This machine's packages are not for Windows, but some are headers alone.
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(doctest_DIR "${CMAKE_CURRENT_LIST_DIR}/packages")
set(nlohmann_json_DIR "${CMAKE_CURRENT_LIST_DIR}/packages")

find_program(PTQ_WINE wine64 PATHS /usr/lib/wine)
if(PTQ_WINE)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${CMAKE_COMMAND}" -E env "WINEPREFIX=${CMAKE_BINARY_DIR}/wine" WINEDEBUG=-all
                                    "WINEDLLOVERRIDES=mscoree,mshtml=" "${PTQ_WINE}")
endif()
