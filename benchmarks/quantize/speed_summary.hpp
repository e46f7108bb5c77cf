// SPDX-License-Identifier: Apache-2.0
/// @file speed_summary.hpp The table of the README, and its picture: what the kernels take, beside what the
/// machine takes for a copy.
#ifndef PTQ_BENCHMARKS_QUANTIZE_SPEED_SUMMARY_HPP
#define PTQ_BENCHMARKS_QUANTIZE_SPEED_SUMMARY_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/kernels/isa.hpp"
#include "ptq/text/table.hpp"
#include "quantize/speed_rows.hpp"
#include "support/build.hpp"
#include "support/svg.hpp"

namespace bench {

/// The rows of one size, timed.
struct section {
  memory_size size;
  std::vector<row> rows;

  const row* find(const std::string& name) const {
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const row& r) { return r.words.name() == name; });
    return found == rows.end() ? nullptr : &*found;
  }
};

/// A line of the table. In names, "*" is the best instruction set, and N the number of threads.
struct claim {
  const char* what;
  const char* name;
  const char* other_what;
  const char* other;
  const char* goal = "-";    ///< how many times faster at least, by size
  const char* by_hand = "";  ///< the same as a raw loop, for the picture
};

inline constexpr const char* copy_of_floats = "memcpy/-/float32/-/libc/1";

inline constexpr claim claims[] = {
    {"float32 → int8, by reciprocal", "encode by reciprocal/int8/float32/tensor/*/1", "memcpy",
     copy_of_floats, "1.6 / 2.0 / 1.2"},
    {"float32 → int8, by division", "encode by division/int8/float32/tensor/*/1", "memcpy", copy_of_floats,
     "1.2 / 1.5 / 1.2", "encode by division/int8/float32/tensor/raw loop/1"},
    {"float32 → fp8_e4m3fn", "encode by division/fp8_e4m3fn/float32/tensor/*/1", "memcpy", copy_of_floats,
     "0.55 / 0.8 / 1.1", "encode by division/fp8_e4m3fn/float32/tensor/raw loop/1"},
    {"float32 → fp8_e5m2", "encode by division/fp8_e5m2/float32/tensor/*/1", "memcpy", copy_of_floats,
     "0.55 / 0.8 / 1.1", "encode by division/fp8_e5m2/float32/tensor/raw loop/1"},
    {"int8 → float32", "decode/int8/float32/tensor/*/1", "memcpy", copy_of_floats, "2.2 / 1.4 / 1.5",
     "decode/int8/float32/tensor/raw loop/1"},
    {"fp8_e4m3fn → float32", "decode/fp8_e4m3fn/float32/tensor/*/1", "memcpy", copy_of_floats,
     "1.1 / 1.4 / 1.5", "decode/fp8_e4m3fn/float32/tensor/raw loop/1"},
    {"fp8_e5m2 → float32", "decode/fp8_e5m2/float32/tensor/*/1", "memcpy", copy_of_floats, "1.1 / 1.4 / 1.5",
     "decode/fp8_e5m2/float32/tensor/raw loop/1"},
    {"bfloat16 → int8", "encode by reciprocal/int8/bfloat16/tensor/*/1", "float32 → int8",
     "encode by reciprocal/int8/float32/tensor/*/1", "0.65 / 0.7 / 1.6",
     "encode by division/int8/bfloat16/tensor/raw loop/1"},
    {"float16 → int8", "encode by reciprocal/int8/float16/tensor/*/1", "float32 → int8",
     "encode by reciprocal/int8/float32/tensor/*/1", "0.65 / 0.7 / 1.6",
     "encode by division/int8/float16/tensor/raw loop/1"},
    {"largest magnitude", "amax/-/float32/tensor/*/1", "sum of the floats", "sum/-/float32/-/best vectors/1",
     "0.7 / 0.8 / 1.1", "amax/-/float32/-/raw loop/1"},
    {"quantize, int8 per tensor", "quantize/int8/float32/tensor/*/1", "its codes alone",
     "encode by reciprocal/int8/float32/tensor/*/1", "-", "quantize/int8/float32/tensor/raw loop/1"},
    {"quantize, int8 per row", "quantize/int8/float32/row/*/1", "its codes alone",
     "quantize_by/int8/float32/row/*/1", "0.5 in DRAM"},
    {"quantize, int8 per row of 27", "quantize/int8/float32/row of 27/*/1", "codes per tensor",
     "encode by reciprocal/int8/float32/tensor/*/1", "0.3"},
    {"quantize, int8 per row of 9", "quantize/int8/float32/row of 9/*/1", "codes per tensor",
     "encode by reciprocal/int8/float32/tensor/*/1", "0.15"},
    {"quantize, int8 per column", "quantize/int8/float32/column/*/1", "quantize per tensor",
     "quantize/int8/float32/tensor/*/1", "0.8 in DRAM"},
    {"quantize, fp8_e4m3fn per row", "quantize/fp8_e4m3fn/float32/row/*/1", "its codes alone",
     "quantize_by/fp8_e4m3fn/float32/row/*/1", "0.5 in DRAM"},
    {"statistics (histogram, amax)", "histogram/-/float32/tensor/*/1", "raw loop, range known",
     "histogram/-/float32/-/raw loop/1", "- / 1.8 / 4.0", "histogram/-/float32/-/raw loop/1"},
};

/// What is in the table alone.
inline constexpr claim more_claims[] = {
    {"float32 → int8, AVX2", "encode by reciprocal/int8/float32/tensor/avx2/1", "memcpy", copy_of_floats,
     "- / 1.5 / -"},
    {"float32 → fp8_e4m3fn, AVX2", "encode by division/fp8_e4m3fn/float32/tensor/avx2/1", "memcpy",
     copy_of_floats, "- / 0.45 / -"},
    {"quantize, int8 per row, N threads", "quantize/int8/float32/row/*/N", "1 thread",
     "quantize/int8/float32/row/*/1", "1.7 in DRAM"},
    {"quantize, fp8_e4m3fn per tensor, N threads", "quantize/fp8_e4m3fn/float32/tensor/*/N", "1 thread",
     "quantize/fp8_e4m3fn/float32/tensor/*/1", "1.7 in DRAM"},
    {"dequantize, int8 per row, N threads", "dequantize/int8/float32/row/*/N", "1 thread",
     "dequantize/int8/float32/row/*/1", "1.7 in DRAM"},
};

/// Names with what "*" and N stand for.
struct speed_words {
  ptq::isa best;
  std::size_t threads;

  std::string name(std::string_view pattern) const {
    std::string text(pattern);
    if (const std::size_t star = text.find('*'); star != std::string::npos)
      text.replace(star, 1, ptq::name_of(best));
    if (text.ends_with("/N")) text.replace(text.size() - 1, 1, std::to_string(threads));
    return text;
  }
  std::string what(std::string_view pattern) const {
    std::string text(pattern);
    if (const std::size_t n = text.find(" N threads"); n != std::string::npos)
      text.replace(n + 1, 1, std::to_string(threads));
    return text;
  }

  /// Whether the table or the picture shows a row.
  bool are_about(const std::string& row_name) const {
    const auto has = [&](const claim& c) {
      return row_name == name(c.name) || row_name == name(c.other) || row_name == c.by_hand;
    };
    return std::any_of(std::begin(claims), std::end(claims), has) ||
           std::any_of(std::begin(more_claims), std::end(more_claims), has);
  }
};

/// "1.85", with the quartiles where they lie further apart than a few percent.
inline std::string ratio_text(const spread& ratio) {
  const std::string text = ptq::fixed_text(ratio.middle, 2);
  if (ratio.width() < 0.05) return text;
  return text + " ± " + ptq::fixed_text(100 * ratio.width(), 0) + " %";
}

/// A table in Markdown.
inline std::string summary_text(const std::vector<section>& sections, const speed_words& words) {
  std::string head = "| work | times faster than | goal |";
  std::string rule = "| --- | --- | --- |";
  for (const section& s : sections) {
    head += std::string(" in ") + s.size.name + " |";
    rule += " --- |";
  }
  std::string text = head + " Gelem/s |\n" + rule + " --- |\n";
  const auto add = [&](const claim& c) {
    std::string ratios;
    std::string speeds;
    bool is_there = false;
    for (const section& s : sections) {
      const row* const ours = s.find(words.name(c.name));
      const row* const theirs = s.find(words.name(c.other));
      const bool both = ours != nullptr && theirs != nullptr;
      is_there = is_there || both;
      ratios += (both ? " " + ratio_text(times_faster(*ours, *theirs)) : std::string()) + " |";
      speeds += (speeds.empty() ? "" : " / ") +
                (both ? ptq::short_text(ours->elements_per_second() / 1e9) : std::string("-"));
    }
    if (is_there)
      text += "| " + words.what(c.what) + " | " + c.other_what + " | " + c.goal + " |" + ratios + " " +
              speeds + " |\n";
  };
  for (const claim& c : claims) add(c);
  for (const claim& c : more_claims) add(c);
  return text;
}

/// How many times faster than a copy of the floats each work is, by size, beside a raw loop.
inline svg summary_picture(const std::vector<section>& sections, const speed_words& words) {
  constexpr double left = 330;
  constexpr double right = 920;
  constexpr double top = 118;
  constexpr double pitch = 30;
  constexpr double least = -7;  // powers of two
  constexpr double most = 3;
  struct look {
    marker shape;
    const char* colour;
  };
  constexpr look looks[] = {{marker::circle, blue}, {marker::square, orange}, {marker::diamond, green}};
  const double bottom = top + pitch * static_cast<double>(std::size(claims));
  const auto x_of = [&](double ratio) {
    const double place = std::clamp(std::log2(ratio), least, most);
    return left + (place - least) / (most - least) * (right - left);
  };
  svg picture(960, bottom + 92);
  picture.text(24, 36, "Quantizing, beside copying the same floats", {.size = 22, .is_bold = true});
  picture.text(24, 58,
               "Elements per second beside a memcpy of as many float32, one thread, " +
                   std::string(ptq::name_of(words.best)) + " kernels, " + cpu_text(),
               {.colour = grey});
  double key = left;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    picture.mark(looks[i].shape, key, 84, looks[i].colour);
    const std::string label = std::string(sections[i].size.name) + ", " +
                              ptq::bytes_text(sections[i].size.elements * sizeof(float));
    picture.text(key + 12, 88.5, label);
    key += 152;
  }
  picture.mark(marker::circle, key, 84, grey, true, 4.5);
  picture.text(key + 12, 88.5, "hand-written loop");
  for (double power = least; power <= most; ++power) {
    const double x = x_of(std::exp2(power));
    const bool is_copy = power == 0;
    picture.line(x, top - 8, x, bottom, is_copy ? dark : pale, is_copy ? 1.6 : 1);
    const std::string label =
        power < 0 ? "1/" + ptq::short_text(std::exp2(-power)) : ptq::short_text(std::exp2(power));
    picture.text(x, bottom + 20, label + "×", {.anchor = "middle", .size = 12, .is_bold = is_copy});
  }
  picture.text((left + right) / 2, bottom + 44, "times as fast as memcpy (its time over ours; logarithmic)",
               {.anchor = "middle"});
  picture.text(x_of(1) + 5, bottom - 6, "memcpy", {.size = 11, .colour = grey});
  double y = top + pitch / 2;
  for (const claim& c : claims) {
    picture.text(left - 16, y + 4.5, words.what(c.what), {.anchor = "end"});
    picture.line(left, y, right, y, "#F0F0F0");
    for (const bool by_hand : {true, false})
      for (std::size_t i = 0; i < sections.size(); ++i) {
        const row* const r = sections[i].find(by_hand ? std::string(c.by_hand) : words.name(c.name));
        const row* const copy = sections[i].find(copy_of_floats);
        if (r == nullptr || copy == nullptr) continue;
        picture.mark(looks[i].shape, x_of(times_faster(*r, *copy).middle), y, looks[i].colour, by_hand,
                     by_hand ? 4 : 6);
      }
    y += pitch;
  }
  picture.text(24, bottom + 74, "Medians of interleaved rounds. benchmarks/run.sh makes this picture.",
               {.size = 11, .colour = grey});
  return picture;
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_QUANTIZE_SPEED_SUMMARY_HPP
