// SPDX-License-Identifier: Apache-2.0
#include "ptq/data/images.hpp"

#include <doctest/doctest.h>
#include <stb_image_write.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "data/goldens.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "support/temporary_folder.hpp"

namespace {

using ptq::element_type;

using extents = std::vector<std::optional<std::size_t>>;
constexpr std::optional<std::size_t> any;

/// Row-major [height, width, channels].
struct bitmap {
  int height = 0;
  int width = 0;
  int channels = 3;
  std::vector<std::uint8_t> pixels{};

  bitmap(int rows, int columns, int depth = 3) : height(rows), width(columns), channels(depth) {
    for (int i = 0; i < rows * columns * depth; ++i)
      pixels.push_back(static_cast<std::uint8_t>((i * 37 + i * i % 11 * 5) % 256));
  }
  double at(std::size_t y, std::size_t x, std::size_t c) const {
    return pixels[(y * static_cast<std::size_t>(width) + x) * static_cast<std::size_t>(channels) + c];
  }
  void write_png(const std::string& path) const {
    REQUIRE(stbi_write_png(path.c_str(), width, height, channels, pixels.data(), 0) != 0);
  }
  void write_bmp(const std::string& path) const {
    REQUIRE(stbi_write_bmp(path.c_str(), width, height, channels, pixels.data()) != 0);
  }
};

/// As one would write it in NumPy: the centre of pixel i lies at i + 1/2, and the rim is repeated.
double resized(const bitmap& from, std::size_t height, std::size_t width, std::size_t y, std::size_t x,
               std::size_t c) {
  struct place {
    std::size_t low, high;
    double share;
  };
  const auto place_of = [](std::size_t i, int given, std::size_t wanted) {
    const double last = given - 1;
    const double at =
        std::clamp((static_cast<double>(i) + 0.5) * given / static_cast<double>(wanted) - 0.5, 0.0, last);
    const double low = std::floor(at);
    return place{static_cast<std::size_t>(low), static_cast<std::size_t>(std::min(low + 1, last)), at - low};
  };
  const place down = place_of(y, from.height, height);
  const place across = place_of(x, from.width, width);
  const auto row = [&](std::size_t line) {
    return from.at(line, across.low, c) * (1 - across.share) + from.at(line, across.high, c) * across.share;
  };
  return row(down.low) * (1 - down.share) + row(down.high) * down.share;
}

ptq::result<ptq::samples> samples_of(const std::string& folder, const extents& shape,
                                     element_type type = element_type::float32, std::size_t batch_size = 32,
                                     std::optional<std::size_t> most = {}) {
  ptq::data_config config;
  config.images_dir = folder;
  config.batch_size = batch_size;
  config.max_samples = most;
  return ptq::samples::open(config, std::vector<ptq::graph_input>{{"image", type, shape}}, formats, {},
                            ptq::open_images);
}

std::string failure_of(const std::string& folder, const extents& shape) {
  const auto opened = samples_of(folder, shape);
  return opened ? "" : opened.error().what;
}

std::vector<float> values_of(ptq::samples& source) {
  std::vector<float> values;
  for (auto batch = source.next(); batch && !batch->empty(); batch = source.next())
    ptq::for_each_element((*batch)[0].array,
                          [&](auto x) { values.push_back(static_cast<float>(ptq::number_of(x))); });
  return values;
}

void cut_off(const std::string& path, std::size_t bytes) {
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - bytes);
}

}  // namespace

TEST_CASE("pictures are resized as stated, to the pixel, and reach both layouts in any batches") {
  const temporary_folder temporary;
  const std::vector<bitmap> bitmaps{{5, 7}, {3, 11}, {4, 6}};
  bitmaps[0].write_png(temporary / "a.PNG");
  std::filesystem::create_directory(temporary / "b");
  bitmaps[1].write_bmp(temporary / "b/z.bmp");
  bitmaps[2].write_png(temporary / "c.png");
  write_file(temporary / "labels.txt", "0");
  write_file(temporary / ".hidden.png", "0");
  for (const auto& [height, width] : {std::pair{4u, 6u}, {9u, 2u}, {1u, 1u}}) {
    CAPTURE(height);
    for (const bool is_planar : {true, false}) {
      const extents shape = is_planar ? extents{any, 3, height, width} : extents{any, height, width, 3};
      std::vector<float> first;
      for (const std::size_t batch_size : {1u, 2u, 32u}) {
        auto source = samples_of(temporary / "", shape, element_type::float32, batch_size);
        INFO(source.error().what);
        REQUIRE(source);
        REQUIRE(source->count() == 3);
        CHECK(source->place_of(1) == temporary / "b/z.bmp");
        REQUIRE(source->notes().size() == 1);
        CHECK(holds(source->notes()[0], "1 file is not read, as it is no .jpg, .jpeg, .png or .bmp: "));
        const std::vector<float> values = values_of(*source);
        REQUIRE(values.size() == 3 * 3 * height * width);
        if (first.empty()) first = values;
        CHECK(values == first);
        std::size_t at = 0;
        for (const bitmap& b : bitmaps)
          for (std::size_t i = 0; i < 3 * height * width; ++i, ++at) {
            const std::size_t c = is_planar ? i / (height * width) : i % 3;
            const std::size_t pixel = is_planar ? i % (height * width) : i / 3;
            const double expected = resized(b, height, width, pixel / width, pixel % width, c);
            CHECK(std::abs(static_cast<double>(values[at]) - expected) <= expected * 0x1p-23);
          }
      }
    }
  }
  auto two = samples_of(temporary / "", {any, 3, 4, 6}, element_type::float32, 32, 2);
  REQUIRE(two);
  CHECK(two->count() == 2);
  CHECK(two->total() == 3);
}

TEST_CASE("a picture of the graph's size is not changed; one channel is brightness; integers are rounded") {
  const temporary_folder temporary;
  const bitmap rgb(4, 6);
  rgb.write_png(temporary / "rgb.png");
  auto grey = samples_of(temporary / "", {any, 1, 4, 6}, element_type::uint8);
  REQUIRE(grey);
  const std::vector<float> brightness = values_of(*grey);
  REQUIRE(brightness.size() == 24);
  for (std::size_t i = 0; i < 24; ++i)
    CHECK(static_cast<int>(brightness[i]) ==
          (rgb.pixels[3 * i] * 77 + rgb.pixels[3 * i + 1] * 150 + rgb.pixels[3 * i + 2] * 29) >> 8);
  auto whole = samples_of(temporary / "", {any, 4, 6, 3}, element_type::uint8);
  REQUIRE(whole);
  CHECK(values_of(*whole) == std::vector<float>(rgb.pixels.begin(), rgb.pixels.end()));
  auto rounded = samples_of(temporary / "", {any, 1, 1, 3}, element_type::int32);
  REQUIRE(rounded);
  const std::vector<float> mean = values_of(*rounded);
  for (std::size_t c = 0; c < 3; ++c)
    CHECK(static_cast<double>(mean[c]) == std::floor(resized(rgb, 1, 1, 0, 0, c) + 0.5));
  CHECK(samples_of(temporary / "", {any, 1, 4, 6}, element_type::boolean)->next().error().code ==
        ptq::errc::invalid_value);

  const temporary_folder clear;
  bitmap(4, 6, 4).write_png(clear / "rgba.png");  // transparency is dropped
  auto opaque = samples_of(clear / "", {any, 4, 6, 3}, element_type::uint8);
  REQUIRE(opaque);
  CHECK(values_of(*opaque)[3] == static_cast<float>(bitmap(4, 6, 4).pixels[4]));

  const temporary_folder lossy;
  bitmap smooth(16, 16);
  for (std::size_t i = 0; i < smooth.pixels.size(); ++i)
    smooth.pixels[i] = static_cast<std::uint8_t>(i / 48 * 8 + i % 48 / 3 * 5);
  REQUIRE(stbi_write_jpg((lossy / "a.jpeg").c_str(), 16, 16, 3, smooth.pixels.data(), 95) != 0);
  auto jpeg = samples_of(lossy / "", {any, 16, 16, 3});
  REQUIRE(jpeg);
  const std::vector<float> near = values_of(*jpeg);
  for (std::size_t i = 0; i < near.size(); ++i)
    CHECK(std::abs(near[i] - static_cast<float>(smooth.pixels[i])) < 8);
}

TEST_CASE("pictures that cannot be read are named and counted, and the others are used") {
  const temporary_folder temporary;
  const bitmap good(8, 8);
  good.write_png(temporary / "e.png");
  good.write_bmp(temporary / "cut.bmp");
  cut_off(temporary / "cut.bmp", 40);
  good.write_png(temporary / "cut.png");
  cut_off(temporary / "cut.png", 40);
  REQUIRE(stbi_write_jpg((temporary / "cut.jpg").c_str(), 8, 8, 3, good.pixels.data(), 95) != 0);
  cut_off(temporary / "cut.jpg", 100);
  write_file(temporary / "empty.png", "");
  write_file(temporary / "text.png", "no picture");
  good.write_png(temporary / "huge.png");
  {
    std::fstream huge(temporary / "huge.png", std::ios::in | std::ios::out | std::ios::binary);
    huge.seekp(16);
    huge.write("\0\0\x9c\x40\0\0\0\2", 8);
  }
  const auto source = samples_of(temporary / "", {any, 3, 8, 8});
  REQUIRE(source);
  CHECK(source->count() == 1);
  REQUIRE(source->notes().size() == 1);
  const std::string& note = source->notes()[0];
  CHECK(holds(note, ": 6 of 7 pictures cannot be read and are left out: "));
  CHECK(holds(note, "cut.bmp: the file is cut off."));
  for (const char* name : {"cut.png: ", "cut.jpg: ", "empty.png: the file is empty.",
                           "text.png: this is no JPEG, PNG or BMP file: it looks like text.",
                           "huge.png: it has 40000 x 2 pixels; up to 32768 a side"})
    CHECK(holds(note, name));

  std::filesystem::remove(temporary / "e.png");
  CHECK(holds(failure_of(temporary / "", {any, 3, 8, 8}), ": none of its pictures can be read. "));
}

TEST_CASE("links lead to pictures, and a link that leads back brings none twice") {
  const temporary_folder temporary;
  const temporary_folder elsewhere;
  std::filesystem::create_directories(temporary / "a/b");
  bitmap(2, 2).write_png(temporary / "a/b/one.png");
  bitmap(2, 2).write_png(elsewhere / "two.png");
  std::filesystem::create_directory_symlink(temporary / "", temporary / "a/b/up");
  std::filesystem::create_directory_symlink(elsewhere / "", temporary / "linked");
  const auto source = samples_of(temporary / "", {any, 3, 2, 2});
  INFO(source.error().what);
  REQUIRE(source);
  CHECK(source->count() == 2);
  CHECK(source->place_of(1) == temporary / "linked/two.png");
  CHECK(source->notes().empty());
}

TEST_CASE("what is no folder of pictures, or no input for them, is refused with what to do") {
  const temporary_folder temporary;
  const extents shape{any, 3, 8, 8};
  CHECK(holds(failure_of(temporary / "", shape), "there is no .jpg, .jpeg, .png or .bmp file in it."));
  CHECK(holds(failure_of(temporary / "missing", shape), "missing: no such folder."));
  bitmap(8, 8).write_png(temporary / "a.png");
  CHECK(holds(failure_of(temporary / "a.png", shape), "this is a file. Give the folder"));
  CHECK(holds(
      failure_of(temporary / "", {any, 3, any, any}),
      "graph input \"image\": it takes [?, 3, ?, ?], so it does not tell the size of the pictures. Fix"));
  CHECK(holds(failure_of(temporary / "", {any, 10}), "it takes [?, 10]: pictures need [samples, channels, "));
  CHECK(holds(failure_of(temporary / "", {any, 8, 8, 4}), "pictures have 1 or 3 channels"));
  ptq::data_config config;
  config.images_dir = temporary / "";
  const std::vector<ptq::graph_input> inputs{{"a", element_type::float32, shape},
                                             {"b", element_type::float32, shape}};
  CHECK(holds(ptq::samples::open(config, inputs, formats, {}, ptq::open_images).error().what,
              "images_dir: pictures feed one graph input, but the graph has 2: \"a\", \"b\"."));
  CHECK(ptq::samples::open(config, std::vector{inputs[0]}, formats).error().code == ptq::errc::unsupported);
}
