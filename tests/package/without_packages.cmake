# SPDX-License-Identifier: Apache-2.0
# cmake -D SOURCE=<ptq> -D BUILD=<folder> -D CXX=<compiler> -P without_packages.cmake
# On a machine that lacks packages ptq configures, for release, and says in one line what it leaves out.
function(expect_configures said)
  file(REMOVE_RECURSE "${BUILD}")
  set(disabled ${ARGN})
  list(TRANSFORM disabled REPLACE "(.+)" "-DCMAKE_DISABLE_FIND_PACKAGE_\\1=ON")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BUILD}" -G Ninja "-DCMAKE_CXX_COMPILER=${CXX}" ${disabled}
                  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX MATCHALL "ptq: left out[^\n]*" lines "${output}")
  if(NOT result EQUAL 0 OR NOT lines STREQUAL said)
    message(FATAL_ERROR "without ${ARGN}: exit code ${result}, said \"${lines}\", expected \"${said}\"\n${output}")
  endif()
  file(STRINGS "${BUILD}/CMakeCache.txt" type REGEX "^CMAKE_BUILD_TYPE:")
  if(NOT type STREQUAL "CMAKE_BUILD_TYPE:STRING=Release")
    message(FATAL_ERROR "built as: ${type}")
  endif()
endfunction()

unset(ENV{CMAKE_BUILD_TYPE})
expect_configures("ptq: left out for want of packages: the tests, the command ptq, the micro-benchmarks. To build them: \
apt-get install doctest-dev libcli11-dev libbenchmark-dev"
                  doctest benchmark CLI11)
expect_configures("ptq: left out for want of packages: the command ptq, some tests, dtype_choice. To build them: \
apt-get install libyaml-cpp-dev nlohmann-json3-dev libprotozero-dev zlib1g-dev libeigen3-dev libxtensor-dev"
                  Eigen3 nlohmann_json protozero xtensor yaml-cpp ZLIB)
