// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target once over each file of the folders given: what is kept there is tested in every build.
#include <cstdio>
#include <filesystem>

#include "target.hpp"

int main(int count, char** arguments) {
  std::size_t files = 0;
  for (int i = 1; i < count; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) {
      const std::string content = read_file(entry.path().string());
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(content.data()),
                             content.size());  // NOLINT
      ++files;
    }
  }
  std::printf("%zu files\n", files);
  return files == 0 ? 1 : 0;
}
