// SPDX-License-Identifier: Apache-2.0
/// @file table.hpp Rows of text as aligned columns, and numbers as people read them.
#ifndef PTQ_TEXT_TABLE_HPP
#define PTQ_TEXT_TABLE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/tensor/view.hpp"
#include "ptq/text/printable.hpp"

namespace ptq::inline v0_1 {

namespace detail {

constexpr bool begins_code_point(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;
}

/// In code points, so that names in any script align.
inline std::size_t width_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_code_point));
}

/// The byte at which code point `n` begins.
inline std::size_t offset_of(std::string_view text, std::size_t n) noexcept {
  std::size_t at = 0;
  for (; at < text.size(); ++at)
    if (begins_code_point(text[at]) && n-- == 0) break;
  return at;
}

}  // namespace detail

/// A name on one line; where it is longer than `widest` code points, "..." stands for its middle.
inline std::string name_text(std::string_view name, std::size_t widest = 60) {
  std::string text = printable(name);
  const std::size_t width = detail::width_of(text);
  if (width <= widest) return text;
  const std::size_t tail = (widest - 3) / 2;
  const std::size_t head = widest - 3 - tail;
  return text.substr(0, detail::offset_of(text, head)) + "..." +
         text.substr(detail::offset_of(text, width - tail));
}

/// "a, b, c, ...": the first six names.
inline std::string names_text(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 6;
  std::string text;
  for (std::size_t i = 0; i < (std::min)(names.size(), shown); ++i)
    text += (i == 0 ? "" : ", ") + name_text(names[i]);
  return names.size() > shown ? text + ", ..." : text;
}

/// Columns two spaces apart, a rule under the header, numbers to the right. The first column holds names:
/// they are shown as `name_text` does, other cells as `printable` does.
class text_table {
 public:
  enum class align : unsigned char { left, right };
  struct column {
    std::string title;
    align side = align::left;
  };

  explicit text_table(std::vector<column> columns) : columns_(std::move(columns)) {}

  /// Cells beyond the last column are dropped; missing ones are empty.
  void add(std::vector<std::string> row) {
    row.resize(columns_.size());
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = i == 0 ? name_text(row[i]) : printable(row[i]);
    rows_.push_back(std::move(row));
  }

  bool empty() const noexcept { return rows_.empty(); }

  std::string text() const {
    std::vector<std::size_t> widths;
    std::vector<std::string> titles;
    for (const column& c : columns_) {
      widths.push_back(detail::width_of(c.title));
      titles.push_back(c.title);
    }
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i)
        widths[i] = (std::max)(widths[i], detail::width_of(row[i]));
    std::string out = line(titles, widths);
    std::vector<std::string> rules;
    rules.reserve(widths.size());
    for (const std::size_t width : widths) rules.emplace_back(width, '-');
    out += line(rules, widths);
    for (const auto& row : rows_) out += line(row, widths);
    return out;
  }

 private:
  std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) const {
    std::string out;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string padding(widths[i] - detail::width_of(cells[i]), ' ');
      if (i > 0) out += "  ";
      out += columns_[i].side == align::right ? padding + cells[i] : cells[i] + padding;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + '\n';
  }

  std::vector<column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "37.52", or "inf" and "nan".
inline std::string fixed_text(double value, int digits) {
  char buffer[64] = {};
  std::snprintf(static_cast<char*>(buffer), sizeof buffer, "%.*f", digits, value);
  return static_cast<char*>(buffer);
}

/// "0.00123", "1.5e-09": up to `digits` significant digits.
inline std::string short_text(double value, int digits = 3) {
  char buffer[64] = {};
  std::snprintf(static_cast<char*>(buffer), sizeof buffer, "%.*g", digits, value);
  return static_cast<char*>(buffer);
}

/// "512 B", "80.2 KB", "90.9 MB": decimal units.
inline std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr const char* units[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  return fixed_text(value, 1) + " " + units[unit];
}

/// "64 x 256"; "scalar" for rank 0.
inline std::string shape_text(const tensor_shape& shape) {
  if (shape.rank == 0) return "scalar";
  if (shape.rank > max_rank) return std::to_string(shape.rank) + " axes";
  std::string text;
  for (std::size_t i = 0; i < shape.rank; ++i) text += (i == 0 ? "" : " x ") + std::to_string(shape[i]);
  return text;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_TEXT_TABLE_HPP
