// SPDX-License-Identifier: Apache-2.0
// The network of examples/embedded in the tables of its header, against tiny_engine's integer arithmetic on
// the artifact: bit for bit. What runs in QEMU is compared with what this program runs (lenet.expected).
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "../../examples/embedded/lenet.hpp"
#include "engine/static_lenet.hpp"
#include "ptq/engine/accuracy.hpp"
#include "support/temporary_folder.hpp"

namespace {

const std::string folder = models + "lenet-digits/";

using picture = std::array<std::uint8_t, lenet::pixels>;

/// Images `first` and later of the test set.
std::vector<picture> test_images(std::size_t first, std::size_t count) {
  const float_array all = read_array(folder + "test_images.npy");
  std::vector<picture> images(count);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t p = 0; p < lenet::pixels; ++p)
      images[i][p] = static_cast<std::uint8_t>(all.values[(first + i) * lenet::pixels + p]);
  return images;
}

/// Black, white, noise, and rows of all 256 pixels: beyond what the network has seen.
std::vector<picture> hostile_images() {
  std::vector<picture> images(20);
  images[1].fill(255);
  std::uint32_t state = 7;
  for (std::size_t i = 2; i < images.size(); ++i)
    for (std::size_t p = 0; p < lenet::pixels; ++p) {
      state = state * 1664525 + 1013904223;
      const auto noise = static_cast<std::uint8_t>(state >> 24);
      images[i][p] = i == 2 ? static_cast<std::uint8_t>(p) : i % 2 == 0 ? noise : noise < 128 ? 0 : 255;
    }
  return images;
}

/// What the host makes of pixels: the artifact, fed by `ptq::samples` as the command feeds it.
class host {
 public:
  host() { write_static_lenet(artifact_); }

  std::vector<float> answers(tiny::arithmetic numbers, const std::vector<picture>& images,
                             const std::string& wanted) {
    auto engine = tiny::engine::load(artifact_, numbers);
    REQUIRE(engine);
    return answers(*engine, images, wanted);
  }
  std::vector<float> float_answers(const std::vector<picture>& images) {
    tiny::engine engine = load_engine(folder + "model.onnx");
    return answers(engine, images, "logits");
  }

  /// The codes of the input.
  std::string input_codes() {
    const auto model = ptq::read_onnx(artifact_);
    REQUIRE(model);
    for (const ptq::onnx_node& node : model->graph.nodes)
      if (node.op_type == "QuantizeLinear" && node.input(0) == "input") return node.outputs.front();
    return {};
  }

 private:
  std::vector<float> answers(tiny::engine& engine, const std::vector<picture>& images,
                             const std::string& wanted) {
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" +
                         std::to_string(images.size()) + ", 1, 28, 28), }";
    header.resize(117, ' ');
    std::ofstream file(pictures_, std::ios::binary);
    file << "\x93NUMPY\x01" << '\0' << 'v' << '\0' << header << '\n';
    for (const picture& image : images) file << std::string(image.begin(), image.end());
    file.close();
    ptq::data_config data;
    data.inputs[""] = pictures_;
    data.scale = {0.00392156862745098};
    auto samples = ptq::samples::open(data, engine.inputs(), data_formats);
    INFO(samples.error().what);
    REQUIRE(samples);
    std::vector<float> all;
    for (;;) {
      const auto batch = samples->next();
      REQUIRE(batch);
      if (batch->empty()) return all;
      const std::vector<float> some = ::answers(engine, (*batch)[0].array, wanted);
      all.insert(all.end(), some.begin(), some.end());
    }
  }

  temporary_folder temporary_;
  std::string artifact_ = temporary_ / "lenet.onnx";
  std::string pictures_ = temporary_ / "pictures.npy";
};

std::vector<float> device_answers(const std::vector<picture>& images) {
  std::vector<float> all;
  lenet::arena memory;
  for (const picture& image : images)
    for (const std::int32_t value : lenet::run(image, memory))
      all.push_back(static_cast<float>(value) * LENET_FC2_OUTPUT_SCALE);
  return all;
}

}  // namespace

TEST_CASE("all values of the last layer are the host's: the first images, the last, and hostile ones") {
  host h;
  for (const auto& images : {test_images(0, 100), test_images(950, 50), hostile_images()})
    CHECK(device_answers(images) == h.answers(tiny::arithmetic::integer, images, "logits"));
}

TEST_CASE("a pixel has the host's code, whichever of the 256 it is") {
  host h;
  picture all{};
  for (std::size_t p = 0; p < all.size(); ++p) all[p] = static_cast<std::uint8_t>(p);
  const std::vector<float> codes = h.answers(tiny::arithmetic::onnx, {all}, h.input_codes());
  REQUIRE(codes.size() == lenet::pixels);
  for (std::size_t p = 0; p < 256; ++p)
    CHECK(lenet::code_of(static_cast<std::uint8_t>(p)) == static_cast<int>(codes[p]));
}

TEST_CASE(
    "digits are those of the float model for at least 99 of 100 images, as often as ONNX's arithmetic has "
    "them") {
  host h;
  const std::vector<picture> images = test_images(0, 100);
  const std::vector<float> device = device_answers(images);
  const std::vector<float> onnx = h.answers(tiny::arithmetic::onnx, images, "logits");
  const std::vector<float> floats = h.float_answers(images);
  int onnx_agrees = 0;
  int device_agrees = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto digit = [&](const std::vector<float>& all) {
      return ptq::top1(std::span(all).subspan(i * 10, 10));
    };
    onnx_agrees += digit(onnx) == digit(floats) ? 1 : 0;
    device_agrees += digit(device) == digit(floats) ? 1 : 0;
  }
  CHECK(onnx_agrees >= 99);
  CHECK(device_agrees >= 99);
}

TEST_CASE("a layer saturates, rounds ties upwards, and takes factors above 1") {
  const std::int32_t bias[] = {0, 0, 0, 0, 1000000};
  const std::int32_t multiplier[] = {1 << 30, 1 << 30, 1 << 30, 1 << 30, 1 << 30};
  const std::int32_t shift[] = {0, 1, 4, -30, 1};  // times 1/2, 1, 8, 2^-31, 1
  const layer plain{nullptr, bias, multiplier, shift, -128, 127};
  const layer relu{nullptr, bias, multiplier, shift, 0, 127};
  const std::vector<std::array<int, 3>> cases{
      {0, 1, 1},       {0, 3, 2},    {0, -1, 0},   {0, -3, -1},    {1, 127, 127},      {1, 128, 127},
      {1, -129, -128}, {2, 15, 120}, {2, 16, 127}, {2, -16, -128}, {3, 2147483647, 1}, {3, -2147483647, -1},
      {4, -999990, 10}};
  for (const auto& [channel, sum, code] : cases) {
    CAPTURE(channel);
    CAPTURE(sum);
    CHECK(plain.code(static_cast<std::size_t>(channel), sum) == code);
    CHECK(relu.code(static_cast<std::size_t>(channel), sum) == std::max(code, 0));
  }
  CHECK(plain.value(2, std::numeric_limits<std::int32_t>::max()) == std::numeric_limits<std::int32_t>::max());
}

TEST_CASE("of equal values the first is the largest") {
  CHECK(place_of_largest(std::vector<std::int32_t>{-5, 3, 3}) == 1);
  CHECK(place_of_largest(std::vector<std::int32_t>{-5, -6}) == 0);
}
