// SPDX-License-Identifier: Apache-2.0
/// @file picture.hpp The figures as a picture: error against bytes, and beside it the speeds.
#ifndef PTQ_BENCHMARKS_DTYPE_CHOICE_PICTURE_HPP
#define PTQ_BENCHMARKS_DTYPE_CHOICE_PICTURE_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "dtype_choice/figures.hpp"
#include "ptq/text/table.hpp"
#include "support/build.hpp"
#include "support/svg.hpp"

namespace bench {

/// A range of values on a line of the picture, with round numbers as ticks.
class axis {
 public:
  /// @param from  where the least value is drawn
  /// @param until where the most is drawn
  axis(double least, double most, double from, double until) : from_(from), until_(until) {
    const double rough = std::max(most - least, 1e-9) / 4;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0})
      if (step_ == 0 && factor * power >= rough) step_ = factor * power;
    least_ = std::floor(least / step_) * step_;
    most_ = std::ceil(most / step_) * step_;
  }

  double place(double value) const { return from_ + (value - least_) / (most_ - least_) * (until_ - from_); }
  std::vector<double> ticks() const {
    std::vector<double> found;
    const auto count = static_cast<int>(std::lround((most_ - least_) / step_));
    for (int i = 0; i <= count; ++i) found.push_back(least_ + i * step_);
    return found;
  }

 private:
  double from_;
  double until_;
  double step_ = 0;
  double least_ = 0;
  double most_ = 0;
};

struct look {
  marker shape;
  const char* colour;
};

/// The same for a dtype wherever it is drawn.
inline look look_of(std::size_t dtype) {
  constexpr look looks[] = {
      {marker::circle, blue}, {marker::square, orange}, {marker::diamond, green}, {marker::triangle, yellow}};
  return looks[dtype % std::size(looks)];
}

/// Those of the fastest instruction set, of dtypes that lose something: the others have no place on a scale
/// of errors.
inline std::vector<figure> drawn_figures(const figures& all) {
  std::vector<figure> drawn;
  for (const figure& f : all.rows)
    if (f.set == all.rows.back().set && std::isfinite(f.sqnr_db)) drawn.push_back(f);
  return drawn;
}

inline std::size_t place_of_dtype(const std::vector<figure>& drawn, const std::string& dtype) {
  std::vector<std::string> seen;
  for (const figure& f : drawn)
    if (seen.empty() || seen.back() != f.dtype) seen.push_back(f.dtype);
  return static_cast<std::size_t>(std::find(seen.begin(), seen.end(), dtype) - seen.begin());
}

inline std::string label_of(const figure& f) {
  return f.dtype + ", per " + f.granularity;
}

inline void draw_errors(svg& picture, const std::vector<figure>& drawn, std::size_t float_bytes) {
  constexpr double left = 84;
  constexpr double right = 330;
  constexpr double top = 112;
  constexpr double bottom = 420;
  const auto [least, most] = std::minmax_element(
      drawn.begin(), drawn.end(), [](const figure& a, const figure& b) { return a.bytes < b.bytes; });
  const auto [worst, best] = std::minmax_element(
      drawn.begin(), drawn.end(), [](const figure& a, const figure& b) { return a.sqnr_db < b.sqnr_db; });
  const auto share = [&](const figure& f) {
    return 100 * static_cast<double>(f.bytes) / static_cast<double>(float_bytes);
  };
  const axis across(share(*least) - 0.2, share(*most) + 0.2, left, right);
  const axis up(worst->sqnr_db - 1, best->sqnr_db + 1, bottom, top);
  picture.text(left - 60, top - 20, "Error against bytes", {.size = 15, .is_bold = true});
  for (const double tick : across.ticks()) {
    picture.line(across.place(tick), top, across.place(tick), bottom, pale);
    picture.text(across.place(tick), bottom + 20, ptq::short_text(tick, 4) + " %",
                 {.anchor = "middle", .size = 12});
  }
  for (const double tick : up.ticks()) {
    picture.line(left, up.place(tick), right, up.place(tick), pale);
    picture.text(left - 8, up.place(tick) + 4, ptq::short_text(tick, 4), {.anchor = "end", .size = 12});
  }
  picture.line(left, bottom, right, bottom, dark, 1.2);
  picture.line(left, top, left, bottom, dark, 1.2);
  picture.text((left + right) / 2, bottom + 44, "bytes of codes and scales, % of float32",
               {.anchor = "middle"});
  picture.text(left - 44, (top + bottom) / 2, "SQNR, dB (more is better)",
               {.anchor = "middle", .is_upright = true});
  std::vector<figure> from_top = drawn;
  std::sort(from_top.begin(), from_top.end(),
            [](const figure& a, const figure& b) { return a.sqnr_db > b.sqnr_db; });
  double free = top - 100;
  for (const figure& f : from_top) {
    const double x = across.place(share(f));
    const double y = up.place(f.sqnr_db);
    const look drawn_as = look_of(place_of_dtype(drawn, f.dtype));
    const double label = std::max(y, free);
    free = label + 17;
    picture.line(x, y, right + 12, label, drawn_as.colour, 0.8, "2 3");
    picture.mark(drawn_as.shape, x, y, drawn_as.colour, f.granularity == "tensor");
    picture.text(right + 16, label + 4.5, label_of(f));
  }
}

inline void draw_speeds(svg& picture, const figures& all, const std::vector<figure>& drawn) {
  constexpr double left = 700;
  constexpr double right = 1050;
  constexpr double top = 112;
  constexpr double bottom = 420;
  double most = all.memcpy;
  for (const figure& f : drawn) most = std::max({most, f.quantize, f.dequantize});
  const axis across(0, most / 1e9, left, right);
  picture.text(left - 144, top - 20, "Speed, by " + drawn.front().set + " kernels",
               {.size = 15, .is_bold = true});
  for (const double tick : across.ticks()) {
    picture.line(across.place(tick), top, across.place(tick), bottom, pale);
    picture.text(across.place(tick), bottom + 20, ptq::short_text(tick, 4), {.anchor = "middle", .size = 12});
  }
  const double pitch = (bottom - top) / static_cast<double>(drawn.size());
  const double thick = std::min(pitch * 0.3, 14.0);
  double y = top + pitch / 2;
  for (const figure& f : drawn) {
    const look drawn_as = look_of(place_of_dtype(drawn, f.dtype));
    picture.text(left - 10, y + 4.5, label_of(f), {.anchor = "end"});
    picture.rectangle(left, y - thick - 1, across.place(f.quantize / 1e9) - left, thick, drawn_as.colour);
    picture.rectangle(left, y + 1, across.place(f.dequantize / 1e9) - left, thick, drawn_as.colour, 0.45);
    y += pitch;
  }
  picture.rectangle(left - 144, bottom + 34, thick, thick, grey);
  picture.text(left - 126, bottom + 44, "quantize");
  picture.rectangle(left - 62, bottom + 34, thick, thick, grey, 0.45);
  picture.text(left - 44, bottom + 44, "dequantize");
  picture.line(left, top, left, bottom, dark, 1.2);
  const double copy = across.place(all.memcpy / 1e9);
  picture.line(copy, top - 6, copy, bottom, dark, 1.4, "5 4");
  picture.text(copy, top - 10, "memcpy of the floats", {.anchor = "middle", .size = 12});
  picture.text(
      (left + right) / 2 + 60, bottom + 44,
      "10⁹ weights a second, " + std::to_string(all.threads) + (all.threads == 1 ? " thread" : " threads"),
      {.anchor = "middle"});
}

/// The file and its folder.
inline std::string end_of_path(const std::string& path) {
  const std::size_t last = path.rfind('/');
  if (last == std::string::npos || last == 0) return path;
  const std::size_t before = path.rfind('/', last - 1);
  return before == std::string::npos ? path : path.substr(before + 1);
}

inline svg picture_of(const figures& all) {
  svg picture(1120, 500);
  const std::vector<figure> drawn = drawn_figures(all);
  picture.text(24, 36, "What a dtype costs " + end_of_path(all.model), {.size = 22, .is_bold = true});
  picture.text(24, 60,
               std::to_string(all.elements) + " weights, " + ptq::bytes_text(all.float_bytes()) +
                   " as float32. " + cpu_text(),
               {.colour = grey});
  if (drawn.empty()) {
    picture.text(24, 112, "No dtype loses anything.");
    return picture;
  }
  draw_errors(picture, drawn, all.float_bytes());
  draw_speeds(picture, all, drawn);
  return picture;
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_DTYPE_CHOICE_PICTURE_HPP
