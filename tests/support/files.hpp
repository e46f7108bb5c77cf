// SPDX-License-Identifier: Apache-2.0
// Whole files as strings.
#ifndef PTQ_TESTS_SUPPORT_FILES_HPP
#define PTQ_TESTS_SUPPORT_FILES_HPP

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

inline void write_file(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  if (!file.flush()) std::abort();  // an older file would answer what is asked of this one
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

#endif  // PTQ_TESTS_SUPPORT_FILES_HPP
