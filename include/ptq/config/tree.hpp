// SPDX-License-Identifier: Apache-2.0
/// @file tree.hpp A document as maps, lists and words, each with the place where it was written.
/// Configuration is read from it, whatever the text looked like.
#ifndef PTQ_CONFIG_TREE_HPP
#define PTQ_CONFIG_TREE_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace ptq::inline v0_1::detail {

/// A line and column of the file, or an argument of the command line. All count from 1.
struct place {
  std::size_t line = 0;
  std::size_t column = 0;
  std::size_t argument = 0;  ///< 0: it stands in the file
};

struct tree {
  enum class kind_type : unsigned char { null, word, list, map };

  kind_type kind = kind_type::null;
  std::string word;           ///< numbers are words too
  std::vector<tree> members;  ///< of a list or a map, in order
  place at;
  std::string key;  ///< of a map's member
  place key_at;

  bool is_null() const noexcept { return kind == kind_type::null; }
  bool is_word() const noexcept { return kind == kind_type::word; }
  bool is_list() const noexcept { return kind == kind_type::list; }
  bool is_map() const noexcept { return kind == kind_type::map; }

  /// The map's member of that name, or null.
  const tree* member(std::string_view name) const noexcept {
    if (!is_map()) return nullptr;
    const auto found =
        std::find_if(members.begin(), members.end(), [&](const tree& m) { return m.key == name; });
    return found == members.end() ? nullptr : &*found;
  }
  tree* member(std::string_view name) noexcept {
    return const_cast<tree*>(std::as_const(*this).member(name));
  }
};

constexpr std::string_view name_of(tree::kind_type kind) noexcept {
  switch (kind) {
    case tree::kind_type::null:
      return "nothing";
    case tree::kind_type::word:
      return "a word";
    case tree::kind_type::list:
      return "a list";
    case tree::kind_type::map:
      return "a map";
  }
  return "";
}

/// "a.b[0].c" and "a.b.0.c" are the steps a, b, 0, c. Nothing for a path with an empty step.
inline std::optional<std::vector<std::string>> steps_of(std::string_view path) {
  std::vector<std::string> steps{""};
  for (const char c : path) {
    if (c == '.' || c == '[')
      steps.emplace_back();
    else if (c != ']')
      steps.back() += c;
  }
  const bool empty_step =
      std::any_of(steps.begin(), steps.end(), [](const auto& step) { return step.empty(); });
  return empty_step ? std::nullopt : std::optional(std::move(steps));
}

/// A step as the index of a list that has such a member.
inline std::optional<std::size_t> index_of(const tree& list, std::string_view step) noexcept {
  std::size_t index = 0;
  const auto [end, failure] = std::from_chars(step.data(), step.data() + step.size(), index);
  const bool is_index = failure == std::errc() && end == step.data() + step.size();
  return is_index && list.is_list() && index < list.members.size() ? std::optional(index) : std::nullopt;
}

/// The member that one step leads to, or null.
inline const tree* follow(const tree& from, std::string_view step) noexcept {
  if (const auto index = index_of(from, step)) return &from.members[*index];
  return from.member(step);
}

/// The part of a document that a path leads to, or null.
inline const tree* find(const tree& root, std::string_view path) {
  const auto steps = steps_of(path);
  const tree* at = steps ? &root : nullptr;
  for (std::size_t i = 0; at && i < steps->size(); ++i) at = follow(*at, (*steps)[i]);
  return at;
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CONFIG_TREE_HPP
