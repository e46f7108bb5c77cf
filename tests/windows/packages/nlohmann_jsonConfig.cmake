# SPDX-License-Identifier: Apache-2.0
# This machine's headers of nlohmann_json, without what lies beside them in /usr/include.
if(NOT TARGET nlohmann_json::nlohmann_json)
  set(headers "${CMAKE_BINARY_DIR}/headers_of_nlohmann_json")
  file(MAKE_DIRECTORY "${headers}")
  file(CREATE_LINK /usr/include/nlohmann "${headers}/nlohmann" SYMBOLIC)
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED GLOBAL)
  target_include_directories(nlohmann_json::nlohmann_json INTERFACE "${headers}")
endif()
