// SPDX-License-Identifier: Apache-2.0
// Whole files as strings.
#ifndef PTQ_TESTS_SUPPORT_FILES_HPP
#define PTQ_TESTS_SUPPORT_FILES_HPP

#include <fstream>
#include <iterator>
#include <string>

inline void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

#endif  // PTQ_TESTS_SUPPORT_FILES_HPP
