// SPDX-License-Identifier: Apache-2.0
/// @file json.hpp Just enough of a JSON reader for the index files of tests/golden: no exceptions, no third
/// party. Input that it cannot read ends the program.
#ifndef PTQ_TESTS_SUPPORT_JSON_HPP
#define PTQ_TESTS_SUPPORT_JSON_HPP

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "test data: %s\n", why.c_str());
  std::abort();
}

/// A value: `members` of an object, `items` of a list, else `word`: a string's text, or a number, true, false
/// or null as it is written.
struct json {
  struct member;  // not a std::pair: clang asks for a complete json there

  std::string word;
  std::vector<member> members;
  std::vector<json> items;

  const json* find(std::string_view name) const;
  const json& operator[](std::string_view name) const;
  bool is_null() const { return word == "null"; }
  std::size_t number() const { return static_cast<std::size_t>(std::strtoull(word.c_str(), nullptr, 10)); }
};

struct json::member {
  std::string name;
  json value;
};

inline const json* json::find(std::string_view name) const {
  for (const member& one : members)
    if (one.name == name) return &one.value;
  return nullptr;
}

inline const json& json::operator[](std::string_view name) const {
  if (const json* found = find(name)) return *found;
  give_up("no member " + std::string(name));
}

class json_reader {
 public:
  explicit json_reader(std::string_view text) : rest_(text) {}

  json value() {
    json read;
    if (take('{')) {
      while (!take('}')) {
        std::string name = string();
        expect(':');
        read.members.push_back({std::move(name), value()});
        take(',');
      }
    } else if (take('[')) {
      while (!take(']')) {
        read.items.push_back(value());
        take(',');
      }
    } else if (peek() == '"') {
      read.word = string();
    } else {
      const std::size_t length = rest_.find_first_of(" \n\r\t,]}");
      read.word = rest_.substr(0, length);
      rest_.remove_prefix(read.word.size());
    }
    return read;
  }

 private:
  char peek() {
    const std::size_t at = rest_.find_first_not_of(" \n\r\t");
    if (at == std::string_view::npos) give_up("JSON ends too early");
    rest_.remove_prefix(at);
    return rest_.front();
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted)) give_up(std::string("JSON lacks ") + wanted);
  }
  std::string string() {
    expect('"');
    const std::size_t length = rest_.find('"');  // the index files need no escapes inside names
    std::string text(rest_.substr(0, length));
    if (length == std::string_view::npos || text.find('\\') != std::string::npos)
      give_up("JSON string " + text);
    rest_.remove_prefix(length + 1);
    return text;
  }

  std::string_view rest_;
};

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_JSON_HPP
