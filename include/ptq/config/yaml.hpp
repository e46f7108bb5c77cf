// SPDX-License-Identifier: Apache-2.0
/// @file yaml.hpp Reads experiment files. The only file that includes yaml-cpp, whose exceptions end here.
#ifndef PTQ_CONFIG_YAML_HPP
#define PTQ_CONFIG_YAML_HPP

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ptq/config/overrides.hpp"
#include "ptq/config/reader.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/config/tree.hpp"
#include "ptq/config/words.hpp"
#include "ptq/error.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// How much of a text is read before it is refused. Aliases count each time they are used.
struct yaml_limits {
  std::size_t bytes;
  std::size_t values;
};
inline constexpr yaml_limits spec_limits{std::size_t{1} << 20, 100'000};
inline constexpr yaml_limits module_types_limits{std::size_t{16} << 20, 1'000'000};
inline constexpr std::size_t deepest_nesting = 64;

inline place place_of(const YAML::Mark& mark) {
  return {static_cast<std::size_t>((std::max)(mark.line, 0)) + 1,
          static_cast<std::size_t>((std::max)(mark.column, 0)) + 1, 0};
}

inline std::string line_column(const place& at) {
  return std::to_string(at.line) + ":" + std::to_string(at.column);
}

/// What YAML takes the first character of an unquoted word for; empty if it means nothing to it.
constexpr std::string_view meaning_in_yaml(char c) noexcept {
  switch (c) {
    case '*':
      return "an alias";
    case '!':
      return "a tag";
    case '[':
      return "a list";
    case '?':
      return "a key";
    case '%':
      return "a directive";
    case '@':
    case '`':
      return "something reserved";
    default:
      return {};
  }
}

inline std::string quoting_advice(std::string_view word, char misread) {
  return in_quotes(word) + " must be in quotes: YAML takes \"" + misread + "\" for " +
         std::string(meaning_in_yaml(misread)) + ".";
}

/// Builds a tree from yaml-cpp's events, so that its size and depth are bounded while it grows.
/// (YAML::LoadAll never returns from some texts, YAML::Load ignores what follows the first document.)
class tree_builder final : public YAML::EventHandler {
 public:
  /// Leaves the parser, and does not leave `parse_tree`.
  struct refusal {
    place at;
    std::string text;
    bool is_misread = false;  ///< what stands there is a tag to YAML, and nothing else
  };

  explicit tree_builder(std::size_t most_values) : left_(most_values) {}

  tree& root() noexcept { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override { root_.at = place_of(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, anchor, tree::kind_type::null);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (value.empty() && tag.size() > 1 && tag.starts_with('!'))
      throw refusal{place_of(mark), quoting_advice(tag, '!'), true};
    add(mark, anchor, tree::kind_type::word, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, tree::kind_type::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, tree::kind_type::map);
  }
  void OnMapEnd() override { close(); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchored_.find(anchor);
    if (known == anchored_.end()) throw refusal{place_of(mark), "an alias stands inside what it stands for."};
    charge(place_of(mark), size_of(known->second));
    put(tree(known->second));
  }

 private:
  struct open_part {
    tree value;
    YAML::anchor_t anchor = 0;
    std::optional<tree> key;  // of a map: its value comes next
  };

  static std::size_t size_of(const tree& part) {
    std::size_t size = 1;
    for (const tree& member : part.members) size += size_of(member);
    return size;
  }

  void charge(const place& at, std::size_t values) {
    if (values > left_) throw refusal{at, "the text holds too many values (aliases count each time)."};
    left_ -= values;
  }

  void add(const YAML::Mark& mark, YAML::anchor_t anchor, tree::kind_type kind,
           const std::string& word = {}) {
    charge(place_of(mark), 1);
    tree value;
    value.kind = kind;
    value.word = word;
    value.at = place_of(mark);
    if (anchor != 0) anchored_[anchor] = value;
    put(std::move(value));
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, tree::kind_type kind) {
    charge(place_of(mark), 1);
    if (parts_.size() == deepest_nesting)
      throw refusal{place_of(mark),
                    "the text is nested more than " + std::to_string(deepest_nesting) + " levels deep."};
    open_part& part = parts_.emplace_back();
    part.anchor = anchor;
    part.value.kind = kind;
    part.value.at = place_of(mark);
  }

  void close() {
    open_part done = std::move(parts_.back());
    parts_.pop_back();
    if (done.anchor != 0) anchored_[done.anchor] = done.value;
    put(std::move(done.value));
  }

  /// Puts a finished value into the part that is open: as an item, as a key, or as the value of the last key.
  void put(tree value) {
    if (parts_.empty()) {
      root_ = std::move(value);
      return;
    }
    open_part& part = parts_.back();
    if (part.value.is_map() && !part.key) {
      if (!value.is_word()) throw refusal{value.at, "a key must be a word."};
      part.key = std::move(value);
      return;
    }
    if (part.key) {
      value.key = std::move(part.key->word);
      value.key_at = part.key->at;
      if (value.is_null()) value.at = value.key_at;  // nothing stands nowhere
      part.key.reset();
    }
    part.value.members.push_back(std::move(value));
  }

  tree root_;
  std::vector<open_part> parts_;
  std::map<YAML::anchor_t, tree> anchored_;
  std::size_t left_;
};

/// The first line that a tab indents, from 1; 0 if there is none.
inline std::size_t line_with_tab(std::string_view text) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix((std::min)(text.size(), line.size() + 1));
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line.substr(0, first).find('\t') != std::string_view::npos)
      return number;
  }
  return 0;
}

/// The unquoted word at the front of a text. Brackets that open in it close in it.
inline std::string_view unquoted_word(std::string_view text) {
  std::size_t depth = 0;
  std::size_t end = 0;
  for (; end < text.size() && std::string_view(" \t\r,}\"'").find(text[end]) == std::string_view::npos;
       ++end) {
    if (text[end] == '[') ++depth;
    if (text[end] == ']' && depth-- == 0) break;
  }
  return text.substr(0, end);
}

/// The character of an unquoted word that YAML does not take for a part of it; 0 if there is none. In lists
/// and maps in brackets, that is one within the word, too.
inline char misread_character(std::string_view word, bool in_brackets) {
  if (word.starts_with('[')) {
    const std::size_t end = unquoted_word(word.substr(1)).size() + 2;  // behind the bracket that closes it
    return end < word.size() ? '[' : '\0';
  }
  if (word.front() != '?' && !meaning_in_yaml(word.front()).empty()) return word.front();
  const std::size_t at = in_brackets ? word.find_first_of("[?", 1) : std::string_view::npos;
  return at == std::string_view::npos ? '\0' : word[at];
}

/// What to do about the first pattern in a line that is not in quotes where it must be; empty if there is
/// none.
inline std::string unquoted_pattern(std::string_view line) {
  bool in_brackets = false;
  bool begins = true;  // a value may
  while (!line.empty()) {
    const char c = line.front();
    std::size_t length = 1;
    if (c == '"' || c == '\'') {
      length = (std::min)(line.find(c, 1), line.size() - 1) + 1;
    } else if (c == ',' || c == '{') {
      begins = true;
      in_brackets = in_brackets || c == '{';
    } else if (begins && std::string_view(" \t\r]}").find(c) == std::string_view::npos) {
      const std::string_view word = unquoted_word(line);
      if (const char misread = misread_character(word, in_brackets); misread != '\0')
        return quoting_advice(word, misread);
      if (c == '[')
        in_brackets = true;
      else
        length = word.size();
      begins = c == '[' || word == "-" || word.ends_with(':');
    }
    line.remove_prefix(length);
  }
  return {};
}

/// A line of a text, from 1.
inline std::string_view line_of(std::string_view text, std::size_t number) {
  for (; number > 1; --number)
    text.remove_prefix((std::min)(text.size(), text.substr(0, text.find('\n')).size() + 1));
  return text.substr(0, text.find('\n'));
}

/// What to look for where yaml-cpp gives up.
inline std::string syntax_hint(const YAML::Exception& refused, std::string_view text) {
  if (refused.msg == YAML::ErrorMsg::UNKNOWN_ANCHOR)
    return " A word that starts with \"*\" must be in quotes.";
  if (const std::size_t line = line_with_tab(text); line > 0)
    return " Line " + std::to_string(line) +
           " is indented with a tab: tabs cannot indent YAML, write spaces.";
  const std::string advice = unquoted_pattern(line_of(text, place_of(refused.mark).line));
  return (advice.empty() ? "" : " ") + advice;
}

/// ": it looks like an ONNX model", of what is no text; empty if it is one, or nothing is known.
inline std::string look_of_binary(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return is_known_binary(bytes) ? look_of_file({}, bytes) : std::string();
}

/// UTF-8 without zeros: what YAML, and so a specification that is written again, can hold.
inline result<void> check_text(std::string_view text) {
  const std::size_t zero = text.find('\0');
  const std::size_t stray = find_invalid_utf8(text).value_or(std::string_view::npos);
  if (zero == stray) return {};
  const std::string look = look_of_binary(text);
  return error(errc::syntax, {},
               "byte " + std::to_string((std::min)(zero, stray)) + " is " +
                   (zero < stray ? "0" : "not UTF-8") + ": this is not a text" +
                   (look.empty() ? ". Save it as UTF-8." : look + ". Give a YAML file."));
}

/// A text as a tree. `where` of an error is "line:column".
inline result<tree> parse_tree(std::string_view text, const yaml_limits& limits) {
  if (text.size() > limits.bytes)
    return error(errc::invalid_value, {},
                 "the text is larger than " + std::to_string(limits.bytes >> 20) + " MiB" +
                     look_of_binary(text) + ".");
  if (const auto is_text = check_text(text); !is_text) return is_text.error();
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    tree_builder builder(limits.values);
    parser.HandleNextDocument(builder);
    tree_builder rest(limits.values);
    if (parser.HandleNextDocument(rest))
      return error(errc::syntax, line_column(rest.root().at), "text goes on after the end of the document.");
    return std::move(builder.root());
  } catch (const tree_builder::refusal& refused) {
    const std::string_view line = line_of(text, refused.at.line);
    const std::string whole = refused.is_misread ? unquoted_pattern(line) : std::string();
    return error(errc::invalid_value, line_column(refused.at), whole.empty() ? refused.text : whole);
  } catch (const YAML::Exception& refused) {
    return error(errc::syntax, line_column(place_of(refused.mark)),
                 "this is not YAML: " + refused.msg + "." + syntax_hint(refused, text));
  } catch (const std::exception& failed) {
    return error(errc::syntax, {}, std::string("cannot be parsed: ") + failed.what() + ".");
  }
}

/// The key at the start of a line that is not indented; empty if there is none.
inline std::string_view key_of_line(std::string_view line) {
  const std::size_t end = line.find_first_of(": \t#\"'-");
  return end != std::string_view::npos && line[end] == ':' ? line.substr(0, end) : std::string_view{};
}

/// A section quantize whose keys stand beside it, as when a page's text has lost its indentation.
inline result<void> refuse_lost_indentation(std::string_view text) {
  bool just_opened = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix((std::min)(text.size(), line.size() + 1));
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    const std::string_view key = key_of_line(line);
    if (just_opened && contains(own_quantize_keys, key))
      return error(
          errc::syntax, std::to_string(number) + ":1: " + std::string(key),
          "the keys of quantize stand beside it: indent them, and what belongs to them, below quantize:.");
    const std::size_t rest = key.size() + 1;
    just_opened = key == "quantize" && line.find_first_not_of(" \t\r", rest) == std::string_view::npos;
  }
  return {};
}

inline result<std::string> read_text_file(const std::string& path, std::size_t most_bytes) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return error(errc::cannot_open, {}, "there is no such file.", nearest_name(path));
  if (std::filesystem::is_directory(path, ignored))
    return error(errc::cannot_open, {}, "this is a directory, not a file.");
  if (!std::filesystem::is_regular_file(path, ignored))  // nobody may ever write to a named pipe
    return error(
        errc::cannot_open, {},
        "this is not a regular file but a pipe or a device. Write the text into a file, and give that.");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             [](std::FILE* f) { return std::fclose(f); });
  if (!file)
    return error(errc::cannot_open, {}, std::string("cannot be opened: ") + std::strerror(errno) + ".");
  std::string text(most_bytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0)
    return error(errc::cannot_read, {}, std::string("cannot be read: ") + std::strerror(errno) + ".");
  return text;
}

inline std::string absolute_path(const std::string& path) {
  std::error_code failure;
  const std::string absolute = std::filesystem::absolute(path, failure).lexically_normal().string();
  return failure ? path : absolute;
}

/// An error of a text, seen from its file: "/dir/spec.yaml:3:1: ...".
inline error in_file(const error& found, const std::string& file) {
  const bool has_place = !found.where.empty();
  error outer = found;
  outer.where = file + (has_place ? ":" + found.where : "");
  outer.what = file + (has_place ? ":" : ": ") + found.what;
  return outer;
}

/// YAML, but for paths.
inline result<tree> value_of(const assignment& given) {
  if (given.value.empty() || !is_path_setting(given.path, given.value))
    return parse_tree(given.value, spec_limits);
  if (const auto is_text = check_text(given.value); !is_text) return is_text.error();
  tree path;
  path.kind = tree::kind_type::word;
  path.word = given.value;
  return path;
}

inline result<void> override_tree(tree& root, std::span<const std::string> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string where = "argument " + std::to_string(i + 1);
    const auto parts = assignment_of(arguments[i]);
    if (!parts) return parts.error().in(where);
    auto value = value_of(*parts);
    if (!value)
      return error(value.error().code, where, "the value of " + parts->path + ": " + value.error().what);
    mark_argument(*value, i + 1);
    if (auto done = assign(root, parts->path, std::move(*value)); !done) return done.error().in(where);
  }
  return {};
}

/// `ptq.module_types: FILE`, a map of layer names to class names in YAML or JSON.
inline result<void> read_module_types(spec& out) {
  const std::string path = absolute_path(out.ptq.module_types_file);
  const auto in_spec = [&](const error& found) {
    return in_file(found, path).in(out.where("ptq.module_types"));
  };
  const auto text = read_text_file(path, module_types_limits.bytes);
  if (!text) return in_spec(text.error());
  const auto types = parse_tree(*text, module_types_limits);
  if (!types) return in_spec(types.error());
  if (!types->is_map())
    return in_spec(
        error(errc::wrong_type, line_column(types->at), "expected a map of layer names to class names."));
  for (const tree& member : types->members) {
    if (!member.is_word())
      return in_spec(
          error(errc::wrong_type, line_column(member.at),
                member.key + ": expected a class name, found " + std::string(name_of(member.kind)) + "."));
    out.ptq.module_types[member.key] = member.word;
  }
  return {};
}

}  // namespace detail

/// Reads the text of an experiment file.
///
/// @param name      stands for the file in messages
/// @param overrides arguments `key.path=value` that win over the text
/// @param words     what may be written: `words_of<my_policies>()` for an own bundle
/// @return errors name the place ("name:line:column" or "argument N"), the field, what is allowed and the
///         nearest word
inline result<spec> parse_spec(std::string_view text, const std::string& name,
                               std::span<const std::string> overrides = {},
                               const spec_words& words = words_of<>()) {
  if (auto done = detail::refuse_lost_indentation(text); !done) return detail::in_file(done.error(), name);
  auto root = detail::parse_tree(text, detail::spec_limits);
  if (!root) return detail::in_file(root.error(), name);
  if (root->is_null())
    return error(errc::missing_value, name, "the file is empty: a section quantize is expected.");
  spec made;
  made.file = name;
  detail::spec_reader reader(*root, name, words, made);
  if (auto done = reader.check_sections(); !done) return done.error();
  if (auto done = detail::override_tree(*root, overrides); !done) return done.error();
  if (auto done = reader.read(); !done) return done.error();
  if (!made.ptq.module_types_file.empty())
    if (auto done = detail::read_module_types(made); !done) return done.error();
  return made;
}

/// Reads an experiment file. Messages show its absolute path; otherwise as `parse_spec`.
inline result<spec> read_spec(const std::string& path, std::span<const std::string> overrides = {},
                              const spec_words& words = words_of<>()) {
  const std::string file = detail::absolute_path(path);
  const auto text = detail::read_text_file(path, detail::spec_limits.bytes);
  if (!text) return detail::in_file(text.error(), file);
  return parse_spec(*text, file, overrides, words);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_YAML_HPP
