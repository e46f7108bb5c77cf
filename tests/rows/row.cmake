# SPDX-License-Identifier: Apache-2.0
# Configures, builds and tests the preset PRESET, with JOBS processes; VENV is where Python packages are, LAUNCHER may name
# a compiler cache. Run in the source tree.
set(configure "${CMAKE_COMMAND}" --preset ${PRESET} "-DPTQ_VENV=${VENV}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
set(build "${CMAKE_COMMAND}" --build --preset ${PRESET} --parallel ${JOBS})
set(test "${CMAKE_CTEST_COMMAND}" --preset ${PRESET} --parallel ${JOBS})

foreach(step configure build test)
  execute_process(COMMAND ${${step}} RESULT_VARIABLE failed COMMAND_ECHO STDOUT)
  if(failed)
    message(FATAL_ERROR "${PRESET}: ${step} failed")
  endif()
endforeach()
