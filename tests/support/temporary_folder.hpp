// SPDX-License-Identifier: Apache-2.0
// A new folder that goes, with all in it, at the end of the scope.
#ifndef PTQ_TESTS_SUPPORT_TEMPORARY_FOLDER_HPP
#define PTQ_TESTS_SUPPORT_TEMPORARY_FOLDER_HPP

#include <doctest/doctest.h>

#include <filesystem>
#include <random>
#include <string>

#include "support/files.hpp"

class temporary_folder {
 public:
  temporary_folder() {
    const std::string begin = (std::filesystem::temp_directory_path() / "ptq_test_").string();
    std::random_device random;
    do path_ = begin + std::to_string(random());
    while (!std::filesystem::create_directory(path_));
  }
  temporary_folder(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

#endif  // PTQ_TESTS_SUPPORT_TEMPORARY_FOLDER_HPP
