// SPDX-License-Identifier: Apache-2.0
/// @file write.hpp Writes a C header: codes, scales, and what firmware computes with.
#ifndef PTQ_FORMATS_C_HEADER_WRITE_HPP
#define PTQ_FORMATS_C_HEADER_WRITE_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/c_header/expected_sqnr.hpp"
#include "ptq/formats/c_header/integers.hpp"
#include "ptq/formats/c_header/names.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/c_header/text.hpp"
#include "ptq/formats/c_header/weight_order.hpp"
#include "ptq/formats/form_settings.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/quantize/pack.hpp"
#include "ptq/result.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/shape_text.hpp"
#include "ptq/text/table.hpp"
#include "ptq/version.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// What stands behind a layer's name, in arrays and, in capital letters, in macros.
inline constexpr std::string_view c_suffixes[] = {
    "_activation_max",  "_activation_min", "_bias",          "_bias_float",    "_bytes",
    "_dilation_0",      "_dilation_1",     "_dilation_2",    "_groups",        "_has_bias",
    "_has_multiplier",  "_input_offset",   "_input_scale",   "_kernel_sum",    "_multiplier",
    "_output_channels", "_output_is_int8", "_output_offset", "_output_scale",  "_pad_begin_0",
    "_pad_begin_1",     "_pad_begin_2",    "_pad_end_0",     "_pad_end_1",     "_pad_end_2",
    "_shift",           "_stride_0",       "_stride_1",      "_stride_2",      "_weight",
    "_weight_dim_0",    "_weight_dim_1",   "_weight_dim_2",  "_weight_dim_3",  "_weight_dim_4",
    "_weight_dim_5",    "_weight_dim_6",   "_weight_dim_7",  "_weight_layout", "_weight_rank",
    "_weight_scale",    "_weight_size"};

inline constexpr std::string_view c_definitions = R"(#include <stdint.h>

/* What stands in front of each array: 16 bytes suit MVE and Ethos. Define it yourself before this line to
 * place arrays in a section, by name if need be. */
#ifndef PTQ_C_HEADER_ATTRIBUTE
#if defined(__GNUC__) || defined(__clang__) || defined(__ARMCC_VERSION)
#define PTQ_C_HEADER_ATTRIBUTE(name) __attribute__((aligned(16)))
#elif defined(__cplusplus)
#define PTQ_C_HEADER_ATTRIBUTE(name) alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define PTQ_C_HEADER_ATTRIBUTE(name) _Alignas(16)
#else
#error "Define PTQ_C_HEADER_ATTRIBUTE(name) as what aligns an array to 16 bytes here, or as nothing."
#endif
#endif

/* Once in a program of C++17; once in each file that uses it in C. */
#ifndef PTQ_C_HEADER_CONSTANT
#if defined(__cplusplus) && (__cplusplus >= 201703L || (defined(_MSVC_LANG) && _MSVC_LANG >= 201703L))
#define PTQ_C_HEADER_CONSTANT inline constexpr
#else
#define PTQ_C_HEADER_CONSTANT static const
#endif
#endif

#ifndef PTQ_C_HEADER_ASSERT
#if defined(__cplusplus) && __cplusplus >= 201103L
#define PTQ_C_HEADER_ASSERT(name, condition) static_assert(condition, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define PTQ_C_HEADER_ASSERT(name, condition) _Static_assert(condition, #name)
#else
#define PTQ_C_HEADER_ASSERT(name, condition) typedef char name[(condition) ? 1 : -1]
#endif
#endif
)";

inline constexpr std::string_view c_arithmetic =
    "All offsets are 0. INPUT_OFFSET is what is added to an input code (minus its zero point), OUTPUT_OFFSET "
    "what is added to an output code (plus its zero point): the signs of TFLite and CMSIS-NN. An output with "
    "OUTPUT_IS_INT8 1 is clamp(requantize(sum of input code * weight code + bias, multiplier, shift), "
    "ACTIVATION_MIN, ACTIVATION_MAX) and stands for OUTPUT_SCALE times itself; requantize multiplies by "
    "multiplier / 2^31 * 2^shift, a positive shift being to the left. Multiplier and shift are those of "
    "TFLite's QuantizeMultiplier for the double input scale * weight scale / output scale; bias is the float "
    "bias / (input scale * weight scale), rounded half away from zero. With OUTPUT_IS_INT8 0 nothing behind "
    "the layer is quantized: the same gives an int32 that stands for OUTPUT_SCALE times itself. kernel_sum "
    "is "
    "the sum of the codes of each output channel: what CMSIS-NN keeps for MVE in ctx.buf is bias + "
    "INPUT_OFFSET * kernel_sum, so with offset 0 the bias.";

class c_header_writer {
 public:
  c_header_writer(const c_network& network, const form_settings& how, output_file& file)
      : network_(&network), how_(&how), text_(file), prefix_(upper_case(how.network)) {}

  result<pending_artifact> write(output_file& file) && {
    const std::string guard = prefix_ + "_PTQ_H";
    const std::string bytes_macro = prefix_ + "_BYTES";
    const std::string layout_macro = prefix_ + "_IS_OHWI";
    const std::array<std::string_view, 3> taken{guard, bytes_macro, layout_macro};
    c_names names(how_->network, c_suffixes, taken);
    begin(guard);
    text_.macro(layout_macro, how_->channels_last ? "1" : "0");
    std::string sum;
    for (const c_layer& layer : network_->layers) {
      if (auto added = add_layer(layer, names.add(layer.name)); !added) return added.error();
      sum.append(sum.empty() ? "" : " + ").append(upper_case(name_ + "_bytes"));
    }
    end(guard, bytes_macro, sum);
    if (auto written = text_.finish(); !written) return written.error();
    const std::string hash = text_.hash();
    if (auto written = file.write_at(hash_place_, std::as_bytes(std::span(hash))); !written)
      return written.error();
    notes_.insert(notes_.begin(), "\"" + how_->network + "\" takes " + std::to_string(total_) +
                                      " bytes of flash, as " + prefix_ + "_BYTES says; the text takes " +
                                      std::to_string(file.size()));
    return pending_artifact(total_, std::move(notes_));
  }

 private:
  void begin(const std::string& guard) {
    text_.line("/*");
    text_.comment(how_->network + ": " + counted(network_->layers.size(), "quantized layer") +
                  " of a neural network as constants, for C99, C11 and C++17. Made by ptq " PTQ_VERSION_STRING
                  " (--format c-header, --name " +
                  how_->network + ", --layout " + (how_->channels_last ? "ohwi" : "as-is") + ").");
    text_.add(" * Hash of all macros and numbers: ");
    hash_place_ = text_.place();
    text_.line("0123456789abcdef");
    text_.line(" *");
    text_.comment(
        "A weight's value is its code times weight_scale[output channel], or weight_scale[0] where there is "
        "one alone.");
    text_.line(" *");
    text_.comment(c_arithmetic);
    describe_layout();
    describe_left_out();
    text_.line(" */");
    text_.line("#ifndef " + guard);
    text_.line("#define " + guard);
    text_.line("");
    text_.line(c_definitions);
  }

  void describe_layout() {
    text_.line(" *");
    text_.comment(
        how_->channels_last
            ? "WEIGHT_LAYOUT: weights are for activations whose channels come last (NHWC), in the order "
              "that CMSIS-NN takes: convolutions OHWI, depthwise ones IHWO, Linear OI. Each layer says "
              "where it differs."
            : "WEIGHT_LAYOUT: weights lie as the artifact has them, for activations whose channels come "
              "first (NCHW). --layout ohwi is for those whose channels come last, and for CMSIS-NN.");
    if (!network_->graph_note.empty()) {
      text_.line(" *");
      text_.comment(network_->graph_note);
    }
  }

  void describe_left_out() {
    constexpr std::size_t most = 32;
    const auto& names = network_->left_out;
    if (names.empty()) return;
    std::string text =
        "Not in here: " + counted(names.size(), "tensor") + " of floats of layers that are not quantized:";
    for (std::size_t i = 0; i < (std::min)(most, names.size()); ++i)
      text += (i > 0 ? ", \"" : " \"") + c_comment_text(names[i]) + "\"";
    text += names.size() > most ? ", and others." : ".";
    text_.line(" *");
    text_.comment(text);
  }

  void end(const std::string& guard, const std::string& bytes_macro, const std::string& sum) {
    text_.line("/* Of all arrays together. What a program does not use its linker may drop. */");
    text_.macro(bytes_macro, std::to_string(total_));
    text_.line("PTQ_C_HEADER_ASSERT(" + how_->network + "_bytes,\n                    " + sum +
               " == " + bytes_macro + ");");
    text_.line("\n#endif /* " + guard + " */");
  }

  // Layers --------------------------------------------------------------------------------------------------

  std::string name_of(std::string_view suffix) const { return name_ + std::string(suffix); }
  void macro(std::string_view suffix, std::string_view value) {
    text_.macro(upper_case(name_of(suffix)), value);
  }
  void macro(std::string_view suffix, std::uint64_t value) { macro(suffix, std::to_string(value)); }

  result<void> add_layer(const c_layer& layer, std::string name) {
    name_ = std::move(name);
    const auto where = [&] { return "layer \"" + layer.name + "\""; };
    for (const double value : layer.bias)
      if (!is_finite(bits_of(static_cast<float>(value))))
        return error(errc::not_finite, where(),
                     "its bias holds a number that is not finite. Repair the model.");
    const bool are_scales = std::all_of(layer.weights.scales.begin(), layer.weights.scales.end(), is_scale) &&
                            is_scale(layer.input_scale.value_or(1.0F));
    if (!are_scales)
      return error(errc::wrong_format, where(),
                   "one of its scales is no positive and finite number. Quantize the model again.");
    if (layer.dtype->code_size > 2 || layer.dtype->stored == element_type::unknown)
      return error(errc::unsupported, where(),
                   "C has no type here for codes of \"" + layer.weights.dtype + "\".");
    const c_weight_order order = weight_order_of(layer, how_->channels_last);
    const std::string reason = why_no_integers(layer);
    std::optional<c_integers> integers;
    if (reason.empty()) integers = integers_of(layer);
    describe(layer, order, reason, integers);
    add_shape(layer, order);
    add_weight(layer, order);
    if (integers)
      add_integers(layer, *integers);
    else
      add_floats(layer);
    finish_layer();
    for (const mapped_file& file : network_->files) file.release(layer.weights.codes);
    return {};
  }

  void describe(const c_layer& layer, const c_weight_order& order, const std::string& reason,
                const std::optional<c_integers>& integers) {
    text_.line("/*");
    text_.comment(c_comment_text(layer.name) + ": " +
                  (layer.class_name.empty() ? "a layer" : c_comment_text(layer.class_name)) + ", weight \"" +
                  c_comment_text(layer.tensor) + "\" " + extents_text(layer.weights.shape) + ", " +
                  c_comment_text(layer.weights.dtype) + ", " + grain_text(layer) + "." + sqnr_text(layer));
    if (!is_int8(*layer.dtype))
      text_.comment("Codes are bits of " + c_comment_text(layer.weights.dtype) + ".");
    for (const std::string& note : order.notes) text_.comment(note);
    if (layer.window && layer.window->pads.empty())
      text_.comment("Its padding depends on the image: " + c_comment_text(layer.window->automatic) + ".");
    if (!reason.empty())
      text_.comment("No integer bias, multiplier and shift: " + c_comment_text(reason) + ".");
    if (integers && integers->factors.empty())
      text_.comment("No multiplier and shift: " +
                    (layer.output.reason.empty()
                         ? std::string("the scale of its output is no number of float")
                         : c_comment_text(layer.output.reason)) +
                    ".");
    if (!integers) return text_.line(" */");
    if (integers->overflows)
      beware(layer, "the sum of output channel " + std::to_string(*integers->overflows) +
                        " may leave int32 for some inputs");
    if (integers->lost_bias)
      beware(layer,
             "the bias of output channel " + std::to_string(*integers->lost_bias) +
                 ", in units of input scale * weight scale, is off by more than half a code of the output");
    text_.line(" */");
  }

  void beware(const c_layer& layer, const std::string& text) {
    text_.comment("Beware: " + text + ".");
    notes_.push_back("layer \"" + layer.name + "\": " + text);
  }

  static std::string grain_text(const c_layer& layer) {
    const granularity grain = layer.weights.grain;
    if (!grain.is_per_channel()) return "one scale";
    return grain.axis == layer.output_axis
               ? "a scale an output channel"
               : "a scale an index of its stored axis " + std::to_string(grain.axis);
  }

  static std::string sqnr_text(const c_layer& layer) {
    const auto expected = expected_sqnr(layer.weights, *layer.dtype);
    if (!expected) return {};
    return " Expected SQNR " + fixed_text(*expected, 1) + " dB.";
  }

  void add_shape(const c_layer& layer, const c_weight_order& order) {
    macro("_weight_layout", "\"" + order.letters + "\"");
    macro("_weight_rank", order.dims.size());
    for (std::size_t i = 0; i < order.dims.size(); ++i)
      macro("_weight_dim_" + std::to_string(i), order.dims[i]);
    macro("_weight_size", layer.weights.shape.size());
    if (const auto channels = layer.output_channels()) macro("_output_channels", *channels);
    if (layer.window) add_window(*layer.window);
    if (layer.is_convolution() && layer.groups) macro("_groups", *layer.groups);
    if (!layer.input_scale) return;
    macro("_input_scale", hex_float(*layer.input_scale));
    macro("_input_offset", 0);
  }

  void add_window(const c_window& window) {
    const std::size_t axes = window.strides.size();
    for (std::size_t i = 0; i < axes; ++i) {
      const std::string axis = std::to_string(i);
      macro("_stride_" + axis, std::to_string(window.strides[i]));
      macro("_dilation_" + axis, std::to_string(window.dilations[i]));
      if (window.pads.empty()) continue;
      macro("_pad_begin_" + axis, std::to_string(window.pads[i]));
      macro("_pad_end_" + axis, std::to_string(window.pads[axes + i]));
    }
  }

  void add_weight(const c_layer& layer, const c_weight_order& order) {
    const dtype_row& dtype = *layer.dtype;
    std::span<const std::byte> codes = layer.weights.codes;
    std::vector<std::byte> unpacked;
    if (dtype.is_packed()) {
      unpacked.resize(layer.weights.shape.size());
      ptq::unpack(codes, dtype.bits, dtype.is_signed, 0, unpacked);
      codes = unpacked;
    }
    const std::string type = (dtype.is_signed ? "int" : "uint") + std::to_string(8 * dtype.code_size) + "_t";
    text_.array(type, dtype.code_size, name_of("_weight"), layer.weights.shape.size(), [&](auto&& put) {
      std::array<char, 8> digits{};
      for_each_listed(order, [&](std::size_t place) {
        const int code = code_at(codes, place, dtype);
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), code);
        put(std::string_view(digits.data(), static_cast<std::size_t>(end.ptr - digits.data())));
      });
    });
    add_hex_floats("_weight_scale", layer.weights.scales.size(),
                   [&](std::size_t i) { return layer.weights.scales[i]; });
  }

  static int code_at(std::span<const std::byte> codes, std::size_t place, const dtype_row& dtype) noexcept {
    if (dtype.code_size == 1)
      return dtype.is_signed ? static_cast<std::int8_t>(codes[place])
                             : static_cast<std::uint8_t>(codes[place]);
    std::uint16_t wide = 0;
    std::memcpy(&wide, codes.data() + 2 * place, sizeof wide);
    return dtype.is_signed ? static_cast<std::int16_t>(wide) : wide;
  }

  template <class F>
  void add_hex_floats(std::string_view suffix, std::size_t count, F&& f) {
    text_.array("float", sizeof(float), name_of(suffix), count, [&](auto&& put) {
      for (std::size_t i = 0; i < count; ++i) put(hex_float(f(i)));
    });
  }

  template <class F>
  void add_int32s(std::string_view suffix, std::size_t count, F&& f) {
    text_.array("int32_t", sizeof(std::int32_t), name_of(suffix), count, [&](auto&& put) {
      for (std::size_t i = 0; i < count; ++i) put(int32_text(f(i)));
    });
  }

  void add_integers(const c_layer& layer, const c_integers& made) {
    macro("_has_bias", layer.bias.empty() ? 0 : 1);
    if (!layer.bias.empty())
      add_int32s("_bias", made.bias.size(), [&](std::size_t i) { return made.bias[i]; });
    add_int32s("_kernel_sum", made.kernel_sum.size(), [&](std::size_t i) { return made.kernel_sum[i]; });
    macro("_has_multiplier", made.factors.empty() ? 0 : 1);
    if (made.factors.empty()) return;
    macro("_output_is_int8", layer.output.becomes == c_output::kind::codes ? 1 : 0);
    macro("_output_scale", hex_float(made.output_scale));
    macro("_output_offset", 0);
    macro("_activation_min", "(" + int32_text(made.low) + ")");
    macro("_activation_max", "(" + int32_text(made.high) + ")");
    add_int32s("_multiplier", made.factors.size(), [&](std::size_t i) { return made.factors[i].multiplier; });
    add_int32s("_shift", made.factors.size(), [&](std::size_t i) { return made.factors[i].shift; });
  }

  void add_floats(const c_layer& layer) {
    macro("_has_bias", layer.bias.empty() ? 0 : 1);
    if (!layer.bias.empty())
      add_hex_floats("_bias_float", layer.bias.size(),
                     [&](std::size_t i) { return static_cast<float>(layer.bias[i]); });
    macro("_has_multiplier", 0);
  }

  void finish_layer() {
    std::uint64_t bytes = 0;
    std::string sizes;
    for (const c_text::made_array& made : text_.take_arrays()) {
      bytes += made.bytes;
      sizes.append(sizes.empty() ? "sizeof " : " + sizeof ").append(made.name);
    }
    macro("_bytes", bytes);
    if (!sizes.empty())
      text_.line("PTQ_C_HEADER_ASSERT(" + name_of("_bytes") + ",\n                    " + sizes +
                 " == " + upper_case(name_of("_bytes")) + ");");
    text_.line("");
    total_ += bytes;
  }

  const c_network* network_;
  const form_settings* how_;
  c_text text_;
  std::string prefix_;
  std::string name_;  // of the layer that is written
  std::uint64_t hash_place_ = 0;
  std::uint64_t total_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace detail

/// Writes the header of a network. It does not appear yet: call `commit` on what is returned.
///
/// @return unsupported: codes that C has no type for; not_finite: a bias; cannot_write
inline result<pending_artifact> write_c_header(const std::string& path, const c_network& network,
                                               const form_settings& how = {}) {
  PTQ_ASSERT(is_c_prefix(how.network));
  auto file = output_file::create(path);
  if (!file) return file.error();
  auto made = detail::c_header_writer(network, how, *file).write(*file);
  if (!made) return made;
  made->add(*std::move(file), std::string(file_name_of(path)));
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_WRITE_HPP
