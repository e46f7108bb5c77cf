// SPDX-License-Identifier: Apache-2.0
/// @file interpolate.hpp Replaces `${a.b}` by what stands at `a.b` in the same document.
#ifndef PTQ_CONFIG_INTERPOLATE_HPP
#define PTQ_CONFIG_INTERPOLATE_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/tree.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1::detail {

/// OmegaConf's syntax, of which only absolute paths are taken. `\${` stands for the text "${".
class interpolator {
 public:
  explicit interpolator(const tree& root) : root_(root) {}

  /// Replaces everywhere in `part`, a copy of a part of the document. Errors have no place yet.
  result<void> replace(tree& part) {
    if (part.is_word()) return replace_word(part);
    for (tree& member : part.members)
      if (auto done = replace(member); !done) return done;
    return {};
  }

 private:
  static constexpr std::size_t deepest = 16;
  static constexpr std::size_t most_bytes = std::size_t{1} << 20;

  result<void> replace_word(tree& part) {
    if (part.word.find("${") == std::string::npos) return {};
    std::string text;
    std::string_view rest = part.word;
    while (true) {
      const std::size_t open = rest.find("${");
      if (open == std::string_view::npos) break;
      if (open > 0 && rest[open - 1] == '\\') {
        text.append(rest.substr(0, open - 1)).append("${");
        rest.remove_prefix(open + 2);
        continue;
      }
      const std::size_t close = rest.find('}', open);
      if (close == std::string_view::npos)
        return error(errc::syntax, {}, "\"${\" without its \"}\" in " + in_quotes(part.word) + ".");
      tree found;
      if (auto done = look_up(rest.substr(open + 2, close - open - 2), found); !done) return done;
      if (open == 0 && close + 1 == rest.size() && text.empty()) return become(part, std::move(found));
      if (!found.is_word())
        return error(errc::wrong_type, {},
                     in_quotes(rest.substr(open, close + 1 - open)) + " is " +
                         std::string(name_of(found.kind)) + ", which cannot be a part of a word.");
      text.append(rest.substr(0, open)).append(found.word);
      if (auto done = charge(found.word.size()); !done) return done;
      rest.remove_prefix(close + 1);
    }
    part.word = text.append(rest);
    return {};
  }

  result<void> look_up(std::string_view path, tree& found) {
    const std::string whole = in_quotes("${" + std::string(path) + "}");
    if (path.empty() || path.front() == '.' || path.find_first_of(":$ {") != std::string_view::npos)
      return error(errc::unsupported, {},
                   whole + " is not supported: only absolute paths like \"${a.b}\" are.");
    const tree* source = find(root_, path);
    if (!source)
      return error(errc::missing_value, {}, whole + ": there is nothing at " + std::string(path) + ".");
    if (std::find(followed_.begin(), followed_.end(), path) != followed_.end())
      return error(errc::invalid_value, {}, whole + " leads back to itself.");
    if (followed_.size() == deepest)
      return error(errc::invalid_value, {},
                   whole + " is the end of a chain of more than " + std::to_string(deepest) +
                       " \"${...}\": write its value at an earlier place of the chain.");
    if (auto done = charge(*source); !done) return done;
    found = *source;
    followed_.emplace_back(path);
    auto done = replace(found);
    followed_.pop_back();
    return done;
  }

  /// The member keeps its own key and place.
  static result<void> become(tree& part, tree found) {
    part.kind = found.kind;
    part.word = std::move(found.word);
    part.members = std::move(found.members);
    return {};
  }

  /// Copies of copies can grow without bound.
  result<void> charge(std::size_t bytes) {
    spent_ += bytes;
    if (spent_ <= most_bytes) return {};
    return error(errc::invalid_value, {}, "the values that \"${...}\" stands for grow beyond 1 MiB.");
  }
  result<void> charge(const tree& copied) {
    for (const tree& member : copied.members)
      if (auto done = charge(member); !done) return done;
    return charge(copied.word.size() + sizeof(tree));
  }

  const tree& root_;
  std::vector<std::string> followed_;  // the paths that lead to what is being replaced
  std::size_t spent_ = 0;
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CONFIG_INTERPOLATE_HPP
