// SPDX-License-Identifier: Apache-2.0
// The text of C headers: names, numbers, and networks that a file seldom has. header_test.py compiles what
// the command writes.
#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/detail/strict_float.hpp"
#include "ptq/formats/c_header/names.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/c_header/text.hpp"
#include "ptq/formats/c_header/write.hpp"
#include "ptq/model/dtype_row.hpp"
#include "support/files.hpp"
#include "support/random.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// A layer of int8 codes that count up, and what its views look into.
struct coded_layer {
  std::vector<std::byte> codes;
  std::vector<float> scales;
  ptq::c_layer layer;

  coded_layer(std::string name, std::string class_name, const ptq::tensor_shape& shape,
              ptq::granularity grain, const char* dtype = "int8")
      : codes(shape.size()), scales(ptq::scale_count(shape, grain), 0.5F) {
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i + 1);
    layer.name = std::move(name);
    layer.class_name = std::move(class_name);
    layer.tensor = layer.name + ".weight";
    layer.dtype = ptq::find_dtype_row<>(dtype);
    layer.weights = {dtype, shape, grain, codes, scales};
    layer.output_axis = layer.is_transposed() ? 1 : 0;
  }

  ptq::c_network network() const {
    ptq::c_network made;
    made.layers.push_back(layer);
    return made;
  }
};

ptq::result<std::string> text_of(const ptq::c_network& network, const ptq::form_settings& how = {}) {
  const temporary_folder folder;
  auto made = ptq::write_c_header(folder / "x.h", network, how);
  if (!made) return made.error();
  REQUIRE(made->commit());
  return read_file(folder / "x.h");
}

std::string text_of(const coded_layer& one, bool channels_last = false) {
  auto text = text_of(one.network(), {"model", channels_last});
  INFO(text.error().what);
  REQUIRE(text);
  return *std::move(text);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// The numbers of an array, without line breaks.
std::string numbers(const std::string& text, const std::string& array) {
  const std::size_t begin = text.find(" " + array + "[");
  if (begin == std::string::npos) return {};
  const std::size_t open = text.find('{', begin);
  std::string found;
  for (const char c : text.substr(open + 1, text.find('}', open) - open - 1))
    if (c != '\n' && c != ' ') found += c;
  return found;
}

}  // namespace

TEST_CASE("names of layers become parts of identifiers") {
  for (const auto& [name, expected] : {std::pair<const char*, const char*>{"conv1", "conv1"},
                                       {"layer1.0.conv", "layer1_0_conv"},
                                       {"a..b", "a_b"},
                                       {"_a_", "a"},
                                       {"0", "0"},
                                       {"", "layer"},
                                       {"\xd1\x81", "layer"},
                                       {"a\xc3\xa4z", "a_z"}}) {
    CAPTURE(name);
    CHECK(ptq::c_name(name) == expected);
  }
  for (const char* const good : {"model", "a", "lenet_5", "A9"}) CHECK(ptq::is_c_prefix(good));
  for (const char* const bad : {"", "_a", "a_", "a__b", "5a", "a b", "a-b", "\xc3\xa4"})
    CHECK_FALSE(ptq::is_c_prefix(bad));
}

TEST_CASE("each layer has names of its own, arrays and macros") {
  constexpr std::array<std::string_view, 3> suffixes{"_weight", "_weight_dim_0", "_bytes"};
  constexpr std::array<std::string_view, 1> taken{"M_BYTES"};
  ptq::c_names names("m", suffixes, taken);
  CHECK(names.add("a.b") == "m_a_b");
  CHECK(names.add("a_b") == "m_a_b_2");
  CHECK(names.add("A.B") == "m_A_B_3");  // macros are in capital letters
  CHECK(names.add("a_b_2") == "m_a_b_2_2");
  CHECK(names.add("a.b") == "m_a_b_4");
  CHECK(names.add("weight.dim.0") == "m_weight_dim_0");
  CHECK(names.add("c") == "m_c");
  CHECK(names.add("c.weight") == "m_c_weight");  // m_c_weight_weight
  ptq::c_names others("m", suffixes, std::array<std::string_view, 1>{"M_X_BYTES"});
  CHECK(others.add("x") == "m_x_2");
}

TEST_CASE("no text ends a comment, breaks its line or means anything to a preprocessor") {
  CHECK(ptq::c_comment_text("encoder.0, (a) \"b\" -> c") == "encoder.0, (a) \"b\" -> c");
  CHECK(ptq::c_comment_text("*/ /* \n?\?/\\%\xc3\xa4\x7f") == "%2A/ /%2A %0A%3F%3F/%5C%25%C3%A4%7F");
}

TEST_CASE("hexadecimal floats are read back to the last bit") {
  CHECK(ptq::hex_float(0.1F) == "0x1.99999ap-4F");
  CHECK(ptq::hex_float(-1) == "-0x1p+0F");
  CHECK(ptq::hex_float(0) == "0x0p+0F");
  CHECK(ptq::hex_float(std::numeric_limits<float>::denorm_min()) == "0x0.000002p-126F");
  test::random_bits random(7);
  for (int i = 0; i < 100000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random.next());
    if (!ptq::detail::is_finite(bits)) continue;
    const std::string text = ptq::hex_float(ptq::detail::float_of(bits));
    CAPTURE(text);
    REQUIRE(ptq::detail::bits_of(std::strtof(text.c_str(), nullptr)) == bits);
  }
}

TEST_CASE("weights are listed in the order that the layout says") {
  const coded_layer conv("c", "Conv2d", {2, 3, 1, 2}, ptq::per_channel(0));
  CHECK(numbers(text_of(conv), "model_c_weight") == "1,2,3,4,5,6,7,8,9,10,11,12,");
  CHECK(numbers(text_of(conv, true), "model_c_weight") == "1,3,5,2,4,6,7,9,11,8,10,12,");
  CHECK(has(text_of(conv, true), "MODEL_C_WEIGHT_LAYOUT \"OHWI\"\n"));
  coded_layer depthwise("c", "Conv2d", {3, 1, 1, 2}, ptq::per_channel(0));
  CHECK(has(text_of(depthwise, true), "does not tell whether this convolution is depthwise"));
  depthwise.layer.groups = 3;
  CHECK(numbers(text_of(depthwise, true), "model_c_weight") == "1,3,5,2,4,6,");
  CHECK(has(text_of(depthwise, true), "MODEL_C_WEIGHT_LAYOUT \"IHWO\"\n"));
  coded_layer transposed("c", "ConvTranspose2d", {2, 3, 1, 2}, ptq::per_channel(1));
  CHECK(has(text_of(transposed, true), "MODEL_C_WEIGHT_LAYOUT \"IOHW\"\n"));  // groups are not known
  transposed.layer.groups = 1;
  CHECK(numbers(text_of(transposed, true), "model_c_weight") == "1,7,2,8,3,9,4,10,5,11,6,12,");
  coded_layer linear("c", "Linear", {2, 4}, ptq::per_channel(0));
  CHECK(numbers(text_of(linear, true), "model_c_weight") == "1,2,3,4,5,6,7,8,");
  linear.layer.flattened = 2;  // of a place after the other, [c0 p0, c1 p0, c0 p1, c1 p1]
  CHECK(numbers(text_of(linear, true), "model_c_weight") == "1,3,2,4,5,7,6,8,");
  CHECK(numbers(text_of(linear), "model_c_weight") == "1,2,3,4,5,6,7,8,");
}

TEST_CASE("codes of fp8 are their bits; one scale is an array of one") {
  const coded_layer layer("c", "Linear", {1, 255}, ptq::per_tensor(), "fp8_e4m3fn");
  const std::string text = text_of(layer);
  CHECK(has(text, " uint8_t model_c_weight[255] = {\n  1,2,3,"));
  CHECK(has(text, "254,255,\n};"));
  CHECK(numbers(text, "model_c_weight_scale") == "0x1p-1F,");
  CHECK(has(text, "its weight is not int8"));
}

TEST_CASE("a layer without elements has no arrays") {
  const std::string text = text_of(coded_layer("c", "Linear", {0, 4}, ptq::per_channel(0)));
  CHECK(has(text, "/* model_c_weight has no elements. */"));
  CHECK(has(text, "#define MODEL_BYTES 0\n"));
  CHECK_FALSE(has(text, "model_c_weight[0]"));
}

TEST_CASE("int32 numbers saturate, and sums that may leave int32 are told of") {
  coded_layer layer("c", "Linear", {2, 2}, ptq::per_channel(0));
  layer.layer.input_dtype = "int8";
  layer.layer.input_scale = 0.5F;
  layer.layer.bias = {1e30, -1e30};
  layer.layer.output.becomes = ptq::c_output::kind::numbers;
  const std::string text = text_of(layer);
  CHECK(numbers(text, "model_c_bias") == "INT32_MAX,INT32_MIN,");
  CHECK(has(text, "the sum of output channel 0 may leave int32"));
  layer.layer.bias = {0.375, -0.375};  // 1.5 units of 0.25: half away from zero
  CHECK(numbers(text_of(layer), "model_c_bias") == "2,-2,");
  CHECK(numbers(text_of(layer), "model_c_kernel_sum") == "3,7,");
  CHECK(numbers(text_of(layer), "model_c_multiplier") == "1073741824,1073741824,");
  CHECK(numbers(text_of(layer), "model_c_shift") == "1,1,");
  CHECK(has(text_of(layer), "#define MODEL_C_ACTIVATION_MIN (INT32_MIN)\n"));
  layer.layer.bias = {std::numeric_limits<double>::infinity(), 0};
  const auto refused = text_of(layer.network());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ptq::errc::not_finite);
  CHECK(refused.error().where == "layer \"c\"");
}

TEST_CASE("why there are no integers is said") {
  coded_layer layer("c", "Linear", {2, 2}, ptq::per_channel(1));
  CHECK(has(text_of(layer), "its input is not quantized"));
  layer.layer.input_dtype = "fp8_e5m2";
  CHECK(has(text_of(layer), "the codes of its input, fp8_e5m2, are not those of int8"));
  layer.layer.input_dtype = "int8";
  layer.layer.input_scale = 1.0F;
  CHECK(has(text_of(layer), "the scales of its weight are not those of output channels"));
  layer.layer.weights.grain = ptq::per_channel(0);
  layer.layer.output.reason = "of what is behind it */";
  CHECK(has(text_of(layer), "No multiplier and shift: of what is behind it %2A/."));
  layer.layer.bias = {1, 2, 3};
  CHECK(has(text_of(layer), "its bias is not one number for each output channel"));
}

TEST_CASE("scales that are none are refused, and those of products that float does not have told of") {
  coded_layer layer("c", "Linear", {2, 2}, ptq::per_channel(0));
  layer.layer.input_dtype = "int8";
  layer.layer.output.becomes = ptq::c_output::kind::numbers;
  for (const float scale : {1e-45F, 3e38F}) {  // products of such
    layer.scales.assign(2, scale);
    layer.layer.input_scale = scale;
    const std::string text = text_of(layer);
    CHECK(has(text, "No multiplier and shift: the scale of its output is no number of float."));
    CHECK_FALSE(numbers(text, "model_c_kernel_sum").empty());
    CHECK(numbers(text, "model_c_shift").empty());
  }
  for (const float bad :
       {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    layer.layer.input_scale = 1.0F;
    layer.scales.assign(2, bad);
    CHECK(text_of(layer.network()).error().code == ptq::errc::wrong_format);
    layer.scales.assign(2, 1.0F);
    layer.layer.input_scale = bad;
    CHECK(text_of(layer.network()).error().code == ptq::errc::wrong_format);
    layer.layer.input_scale = 1.0F;
    layer.layer.output.becomes = ptq::c_output::kind::codes;
    layer.layer.output.scale = bad;
    CHECK(numbers(text_of(layer), "model_c_shift").empty());
  }
}
