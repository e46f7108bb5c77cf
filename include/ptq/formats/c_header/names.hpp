// SPDX-License-Identifier: Apache-2.0
/// @file names.hpp Names of layers as identifiers of C, and any text as one that a comment of C can hold.
#ifndef PTQ_FORMATS_C_HEADER_NAMES_HPP
#define PTQ_FORMATS_C_HEADER_NAMES_HPP

#include <algorithm>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace ptq::inline v0_1 {
namespace detail {

constexpr bool is_c_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_c_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// As macros have it.
inline std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

}  // namespace detail

/// Whether a text may stand in front of all names of a header: an identifier that begins with a letter, and
/// has no two underscores in a row, which C++ reserves, and none at its end.
constexpr bool is_c_prefix(std::string_view text) noexcept {
  if (text.empty() || !detail::is_c_letter(text.front()) || text.back() == '_') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!detail::is_c_letter(c) && !detail::is_c_digit(c) && c != '_') return false;
    if (c == '_' && text[i - 1] == '_') return false;
  }
  return true;
}

/// "layer1.0.conv" -> "layer1_0_conv": whatever is no letter and no digit of ASCII becomes an underscore, one
/// for several in a row, and none at the ends. It is a part of an identifier: behind a prefix digits and
/// keywords do no harm. Of a name without letters and digits nothing is left: "layer" stands for it.
inline std::string c_name(std::string_view name) {
  std::string made;
  for (const char c : name) {
    if (detail::is_c_letter(c) || detail::is_c_digit(c))
      made += c;
    else if (!made.empty() && made.back() != '_')
      made += '_';
  }
  if (!made.empty() && made.back() == '_') made.pop_back();
  return made.empty() ? "layer" : made;
}

/// Gives each layer a name of its own, whatever is put behind it.
class c_names {
 public:
  /// @param prefix of all names
  /// @param suffixes what is put behind names of layers, for arrays and macros
  /// @param taken    identifiers that are used otherwise
  c_names(std::string prefix, std::span<const std::string_view> suffixes,
          std::span<const std::string_view> taken)
      : prefix_(std::move(prefix)), suffixes_(suffixes) {
    for (const std::string_view one : taken) taken_.insert(detail::upper_case(one));
  }

  /// "model_conv1" for "conv1". Where that is taken, in small or capital letters, "model_conv1_2" and so on.
  std::string add(std::string_view layer) {
    const std::string plain = prefix_ + "_" + c_name(layer);
    std::string name = plain;
    for (std::size_t number = 2; !is_free(name); ++number) name = plain + "_" + std::to_string(number);
    for (const std::string_view suffix : suffixes_) taken_.insert(with(name, suffix));
    return name;
  }

 private:
  static std::string with(std::string_view name, std::string_view suffix) {
    return detail::upper_case(std::string(name).append(suffix));
  }
  bool is_free(std::string_view name) const {
    return std::none_of(suffixes_.begin(), suffixes_.end(),
                        [&](std::string_view suffix) { return taken_.contains(with(name, suffix)); });
  }

  std::string prefix_;
  std::span<const std::string_view> suffixes_;
  std::set<std::string> taken_;
};

/// Text of files inside a comment: one line of plain ASCII that neither ends the comment nor means anything
/// to a preprocessor. Other bytes, and the percent sign, are %XX as in addresses.
inline std::string c_comment_text(std::string_view text) {
  constexpr std::string_view plain = " !\"#$&'()+,-./:;<=>@[]^_`{|}~";
  std::string made;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (detail::is_c_letter(c) || detail::is_c_digit(c) || plain.find(c) != std::string_view::npos) {
      made += c;
    } else {
      made += '%';
      made += "0123456789ABCDEF"[byte >> 4u];
      made += "0123456789ABCDEF"[byte & 15u];
    }
  }
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_NAMES_HPP
