// SPDX-License-Identifier: Apache-2.0
/// @file svg.hpp Pictures of figures: shapes and words, in colours that the colour-blind tell apart too
/// (Okabe and Ito's). Nothing is told by colour alone.
#ifndef PTQ_BENCHMARKS_SUPPORT_SVG_HPP
#define PTQ_BENCHMARKS_SUPPORT_SVG_HPP

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>

#include "ptq/text/table.hpp"

namespace bench {

inline constexpr const char* blue = "#0072B2";
inline constexpr const char* orange = "#D55E00";
inline constexpr const char* green = "#009E73";
inline constexpr const char* yellow = "#E69F00";
inline constexpr const char* dark = "#222222";
inline constexpr const char* grey = "#6B6B6B";
inline constexpr const char* pale = "#DDDDDD";

enum class marker : unsigned char { circle, square, diamond, triangle };

struct text_style {
  const char* anchor = "start";  ///< or middle, end
  double size = 13;
  const char* colour = dark;
  bool is_bold = false;
  bool is_upright = false;  ///< turned, to be read from below
};

class svg {
 public:
  svg(double width, double height) {
    body_ = R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" + number(width) + R"(" height=")" +
            number(height) + R"(" viewBox="0 0 )" + number(width) + " " + number(height) +
            R"(" font-family="Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif">)" + "\n";
    rectangle(0, 0, width, height, "#FFFFFF");
  }

  void rectangle(double x, double y, double width, double height, const char* fill, double opacity = 1) {
    body_ += "<rect" + attribute("x", x) + attribute("y", y) + attribute("width", width) +
             attribute("height", height) + attribute("fill-opacity", opacity) + R"( fill=")" + fill +
             "\"/>\n";
  }

  void line(double x1, double y1, double x2, double y2, const char* colour, double width = 1,
            const char* dashes = "") {
    body_ += "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) + attribute("y2", y2) +
             R"( stroke=")" + colour + "\"" + attribute("stroke-width", width);
    if (*dashes != '\0') body_ += std::string(R"( stroke-dasharray=")") + dashes + "\"";
    body_ += "/>\n";
  }

  /// @param is_hollow drawn as an outline
  void mark(marker shape, double x, double y, const char* colour, bool is_hollow = false, double radius = 6) {
    const std::string paint =
        is_hollow ? std::string(R"( fill="#FFFFFF" stroke=")") + colour + R"(" stroke-width="1.8")"
                  : std::string(R"( fill=")") + colour + R"(" stroke="#FFFFFF" stroke-width="1")";
    const double r = radius;
    switch (shape) {
      case marker::circle:
        body_ += "<circle" + attribute("cx", x) + attribute("cy", y) + attribute("r", r) + paint + "/>\n";
        return;
      case marker::square:
        polygon({{x - r, y - r}, {x + r, y - r}, {x + r, y + r}, {x - r, y + r}}, paint);
        return;
      case marker::diamond:
        polygon({{x, y - 1.3 * r}, {x + 1.3 * r, y}, {x, y + 1.3 * r}, {x - 1.3 * r, y}}, paint);
        return;
      case marker::triangle:
        polygon({{x, y - 1.2 * r}, {x + 1.15 * r, y + 0.9 * r}, {x - 1.15 * r, y + 0.9 * r}}, paint);
        return;
    }
  }

  void text(double x, double y, std::string_view words, const text_style& style = {}) {
    body_ += "<text" + attribute("x", x) + attribute("y", y) + attribute("font-size", style.size) +
             R"( text-anchor=")" + style.anchor + R"(" fill=")" + style.colour + "\"";
    if (style.is_bold) body_ += R"( font-weight="600")";
    if (style.is_upright) body_ += R"( transform="rotate(-90 )" + number(x) + " " + number(y) + R"lit()")lit";
    body_ += ">" + escaped(words) + "</text>\n";
  }

  /// Whether the file was written.
  bool write(const std::string& path) const {
    std::ofstream file(path);
    file << body_ << "</svg>\n";
    file.close();
    return file.good();
  }

 private:
  struct point {
    double x;
    double y;
  };

  static std::string number(double value) { return ptq::short_text(value, 6); }
  static std::string attribute(const char* name, double value) {
    return std::string(" ") + name + "=\"" + number(value) + "\"";
  }
  static std::string escaped(std::string_view words) {
    std::string text;
    for (const char c : words)
      text += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
    return text;
  }
  void polygon(std::initializer_list<point> corners, const std::string& paint) {
    body_ += R"(<polygon points=")";
    for (const point& corner : corners) body_ += number(corner.x) + "," + number(corner.y) + " ";
    body_ += "\"" + paint + "/>\n";
  }

  std::string body_;
};

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_SVG_HPP
