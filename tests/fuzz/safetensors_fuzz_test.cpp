// SPDX-License-Identifier: Apache-2.0
// Damaged safetensors files: whatever is accepted must lie within the file. Run it under sanitizers.
#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <string>

#include "ptq/formats/safetensors/parse.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

namespace {

class mutator {
 public:
  explicit mutator(unsigned seed) : random_(seed) {}

  std::string operator()(std::string file) {
    for (std::size_t n = 1 + below(4); n > 0; --n) mutate(file);
    return file;
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  void mutate(std::string& file) {
    if (file.empty()) return;
    const std::size_t at = below(below(2) == 0 ? file.size() : std::min<std::size_t>(file.size(), 400));
    const std::size_t length = std::min(file.size() - at, below(9));
    switch (below(6)) {
      case 0:
        file[at] = static_cast<char>(below(256));
        break;
      case 1:
        file[at] = "0123456789{}[],:\"-e."[below(20)];
        break;
      case 2:
        file.erase(at, length);
        break;
      case 3:
        file.insert(at, file.substr(below(file.size()), length));
        break;
      case 4:
        file.resize(at);
        break;
      default:
        file[below(8) % file.size()] = static_cast<char>(below(256));  // the length
        break;
    }
  }

  std::mt19937 random_;
};

/// Reads every byte that the content claims to have.
unsigned checksum(const ptq::safetensors_content& content) {
  unsigned sum = 0;
  for (const ptq::stored_tensor& tensor : content.tensors) {
    const auto size = ptq::safetensors_size(tensor.type, tensor.shape);
    REQUIRE(size);
    REQUIRE(*size == tensor.data.size());
    for (const std::byte b : tensor.data) sum += std::to_integer<unsigned>(b);
  }
  return sum;
}

}  // namespace

TEST_CASE("20000 damaged files are refused, or read within their bounds") {
  const std::string whole = read_file(PTQ_GOLDEN_DIR "/safetensors/all_types.safetensors");
  REQUIRE(ptq::parse_safetensors(bytes_of(whole), "whole"));
  mutator damage(1);
  std::size_t accepted = 0;
  unsigned sum = 0;
  for (int i = 0; i < 20000; ++i) {
    // An allocation of its own, so that sanitizers see a step beyond the end.
    const std::string file = damage(whole);
    const auto content = ptq::parse_safetensors(bytes_of(file), "damaged");
    if (!content) {
      REQUIRE(!content.error().what.empty());
      continue;
    }
    ++accepted;
    sum += checksum(*content);
  }
  MESSAGE("accepted ", accepted, ", checksum ", sum);
  CHECK(accepted > 0);
  CHECK(accepted < 10000);
}
