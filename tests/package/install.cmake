# SPDX-License-Identifier: Apache-2.0
# Installs BUILD to an empty PREFIX: every header of SOURCE is there, and no installed text names the source or build tree.
file(REMOVE_RECURSE "${PREFIX}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)

file(GLOB_RECURSE ours RELATIVE "${SOURCE}/include" "${SOURCE}/include/*.hpp")
file(GLOB_RECURSE installed RELATIVE "${PREFIX}/include" "${PREFIX}/include/*.hpp")
if(NOT ours STREQUAL installed)
  list(REMOVE_ITEM ours ${installed})
  message(FATAL_ERROR "not installed: ${ours}")
endif()

file(GLOB_RECURSE texts "${PREFIX}/*.cmake" "${PREFIX}/*.hpp")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  string(FIND "${content}" "${SOURCE}" place)
  if(NOT place EQUAL -1)
    message(FATAL_ERROR "${text} names ${SOURCE}")
  endif()
endforeach()
