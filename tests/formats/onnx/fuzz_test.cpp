// SPDX-License-Identifier: Apache-2.0
// Damaged files end in a model or in a message, never otherwise. The seeds are fixed.
#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "formats/onnx/models.hpp"
#include "formats/onnx/quantized.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// Carries out a plan for every layer, up to the point where the file would appear.
void quantize_all(const ptq::onnx_model& model) {
  const auto layers = ptq::layers_of(model);
  if (!layers) {
    CHECK_FALSE(layers.error().what.empty());
    return;
  }
  static const temporary_folder folder;
  job work(model);
  work.quantize_weights("int8");
  for (std::size_t i = 0; i < work.layers.layers.size(); ++i) work.quantize_input(i, "int8", 0.5F);
  const auto written = ptq::write_onnx(
      folder / "fuzzed.onnx", model, work.layers, work.planned, [](const ptq::quantized_layer&) {},
      work.ranges());
  if (!written) CHECK_FALSE(written.error().what.empty());
}

/// Reads and looks at everything that was read. Returns whether it was taken as a model.
bool read_and_look(const std::string& file) {
  // In memory of exactly this size, so that a sanitizer sees one byte too many.
  const std::vector<char> bytes(file.begin(), file.end());
  const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "fuzzed.onnx");
  if (!model) {
    CHECK(model.error().code != ptq::errc::ok);
    CHECK_FALSE(model.error().what.empty());
    return false;
  }
  std::size_t sum = 0;
  for (const ptq::onnx_tensor& tensor : model->graph.initializers)
    for (const std::byte b : tensor.data) sum += static_cast<std::size_t>(b);
  CHECK(sum + 1 != 0);
  quantize_all(*model);
  return true;
}

}  // namespace

TEST_CASE("a file cut at any byte is refused") {
  const std::string whole = read_file(odd_path("bodies"));
  CHECK(read_and_look(whole));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    CAPTURE(size);
    // the import of the operators comes last, and is missed only when Q/DQ is written
    if (read_and_look(cut)) CHECK(size >= whole.size() - 6);
  }
}

TEST_CASE("damaged bytes never do harm") {
  std::mt19937 random(20240607);  // NOLINT(cert-msc51-cpp): the same damage every time
  std::size_t taken = 0;
  for (const char* const name : {"layers", "bodies", "stored", "shared", "half"}) {
    const std::string whole = read_file(odd_path(name));
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = whole;
      const auto count = 1 + random() % 4;
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = random() % damaged.size();
        switch (random() % 4) {
          case 0:
            damaged[at] = static_cast<char>(random());
            break;
          case 1:
            damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1u << random() % 8));
            break;
          case 2:
            damaged.erase(at, 1 + random() % 8);
            break;
          default:
            damaged.insert(at, 1 + random() % 8, static_cast<char>(random()));
            break;
        }
        if (damaged.empty()) damaged = whole;
      }
      taken += read_and_look(damaged) ? 1u : 0u;
    }
  }
  // Most damage hits weights, or a name that nobody else uses: that is a model too.
  CHECK(taken > 100);
  CHECK(taken < 9000);
}
