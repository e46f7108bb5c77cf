# SPDX-License-Identifier: Apache-2.0
# This machine's headers of doctest, without what lies beside them in /usr/include.
if(NOT TARGET doctest::doctest)
  set(headers "${CMAKE_BINARY_DIR}/headers_of_doctest")
  file(MAKE_DIRECTORY "${headers}")
  file(CREATE_LINK /usr/include/doctest "${headers}/doctest" SYMBOLIC)
  add_library(doctest::doctest INTERFACE IMPORTED GLOBAL)
  target_include_directories(doctest::doctest INTERFACE "${headers}")
endif()
