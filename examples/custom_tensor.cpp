// SPDX-License-Identifier: Apache-2.0
// Your own tensor type, with your own element type, in about ten lines each. Nothing of the library is
// touched.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "ptq/core.hpp"

// What an engine might have: a matrix whose columns lie in panels of four, each panel row after row, as
// matrix products with SIMD like them. No pair of strides says that. Its elements are a half type of the
// engine's own.
namespace engine {

struct half {
  std::uint16_t bits;
};

struct panel_matrix {
  static constexpr std::size_t width = 4;

  std::size_t rows;
  std::size_t columns;  // a multiple of `width`
  std::vector<half> memory = std::vector<half>(rows * columns);

  half& at(std::size_t row, std::size_t column) {
    return memory[(column / width * rows + row) * width + column % width];
  }
};

}  // namespace engine

// The element type: its layout in memory, and a conversion either way.
template <>
struct ptq::element_traits<engine::half> {
  static constexpr element_type type = element_type::float16;
  static float to_float(engine::half x) { return ptq::half{x.bits}.to_float(); }
  static engine::half from_float(float x) { return {ptq::half::from_float(x).bits}; }
};

// The tensor: where its elements are. Three axes say what two cannot: row, panel, column within the panel.
// Rows stay one axis, so that each can have its own scale.
template <>
struct ptq::tensor_traits<engine::panel_matrix> {
  static auto view(auto& m) {
    constexpr std::size_t width = engine::panel_matrix::width;
    const auto row = static_cast<std::ptrdiff_t>(width);
    const auto panel = static_cast<std::ptrdiff_t>(m.rows * width);
    return ptq::tensor_view{m.memory.data(), {m.rows, m.columns / width, width}, {row, panel, 1}};
  }
};

int main() {
  constexpr std::size_t rows = 3;
  constexpr std::size_t columns = 8;
  engine::panel_matrix panels{rows, columns};
  std::vector<ptq::half> plain(rows * columns);  // the same matrix, row after row
  for (std::size_t i = 0; i < rows * columns; ++i) {
    const float value = (static_cast<float>(i * 7 % 24) - 11.5F) * static_cast<float>(i / columns + 1);
    panels.at(i / columns, i % columns) = {ptq::half::from_float(value).bits};
    plain[i] = ptq::half::from_float(value);
  }

  std::vector<std::int8_t> codes(rows * columns);  // in panels, too
  std::vector<float> scales(rows);
  if (!ptq::quantize<ptq::int8, ptq::torchao>(panels, codes, scales)) return 1;
  for (std::size_t row = 0; row < rows; ++row) {
    std::printf("row %zu: scale %.6f, codes", row, static_cast<double>(scales[row]));
    for (std::size_t column = 0; column < columns; ++column)
      std::printf(" %4d", codes[(column / 4 * rows + row) * 4 + column % 4]);
    std::printf("\n");
  }

  const ptq::tensor_view<const ptq::half> matrix(plain.data(), {rows, columns});
  std::vector<std::int8_t> plain_codes(rows * columns);
  std::vector<float> plain_scales(rows);
  if (!ptq::quantize<ptq::int8, ptq::torchao>(matrix, plain_codes, plain_scales)) return 1;
  bool same = scales == plain_scales;
  for (std::size_t i = 0; i < rows * columns; ++i)
    same = same && plain_codes[i] == codes[(i % columns / 4 * rows + i / columns) * 4 + i % columns % 4];
  std::printf("the same as row after row: %s\n", same ? "yes" : "no");

  // In place, by the same two adaptors: what the int8 matrix will look like to the engine.
  if (!ptq::fake_quantize<ptq::int8, ptq::torchao>(panels, scales)) return 1;
  std::printf("element [2, 5] is now %.4f\n",
              static_cast<double>(ptq::half{panels.at(2, 5).bits}.to_float()));
}
