// SPDX-License-Identifier: Apache-2.0
/// @file pickle_value.hpp What a pickle describes, as plain data: numbers, text, lists, and calls that nobody
/// makes.
#ifndef PTQ_FORMATS_TORCH_PICKLE_VALUE_HPP
#define PTQ_FORMATS_TORCH_PICKLE_VALUE_HPP

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

namespace ptq::inline v0_1 {

enum class pickle_kind : unsigned char {
  unset,  ///< a place of the memo that nothing was put into
  none,
  boolean,
  integer,      ///< of at most 64 bits
  long_number,  ///< `text` has its bytes, little-endian, two's complement
  real,
  text,
  bytes,
  global,  ///< `place` among `torch_globals`
  tuple,   ///< `place` of its items among the objects, as of all that follow
  list,
  set,
  dict,        ///< items: key, value, key, value, ...
  call,        ///< items: what would be called, then its arguments
  persistent,  ///< items: what names something outside of the pickle
};

/// Small, as a pickle has many. Non-owning: text lies in the pickle.
class pickle_value {
 public:
  constexpr pickle_value() noexcept : number_(0) {}
  constexpr explicit pickle_value(pickle_kind what, std::int64_t number = 0) noexcept
      : number_(number), kind_(what) {}
  /// Of text, bytes or a long number. It has less than 4 GB.
  constexpr pickle_value(pickle_kind what, std::string_view text) noexcept
      : first_(text.data()), size_(static_cast<std::uint32_t>(text.size())), kind_(what) {}

  constexpr pickle_kind kind() const noexcept { return kind_; }
  constexpr bool is(pickle_kind wanted) const noexcept { return kind_ == wanted; }
  /// Not of what has a text.
  constexpr std::int64_t number() const noexcept { return number_; }
  constexpr std::size_t place() const noexcept { return static_cast<std::size_t>(number_); }
  /// Empty but of what has one.
  constexpr std::string_view text() const noexcept {
    const bool has_text = is(pickle_kind::text) || is(pickle_kind::bytes) || is(pickle_kind::long_number);
    return has_text ? std::string_view(first_, size_) : std::string_view();
  }

 private:
  union {
    std::int64_t number_;
    const char* first_;
  };
  std::uint32_t size_ = 0;
  pickle_kind kind_ = pickle_kind::unset;
};

/// "dict", "str": as Python says.
constexpr const char* name_of(pickle_kind kind) noexcept {
  constexpr const char* names[] = {"nothing", "None",  "bool", "int", "int",  "float",  "str",      "bytes",
                                   "class",   "tuple", "list", "set", "dict", "object", "reference"};
  return names[static_cast<std::size_t>(kind)];
}

/// The objects of a pickle. They refer to each other by their places, in circles too: nothing is to walk
/// them without an end in sight.
struct pickle_graph {
  std::deque<std::vector<pickle_value>> objects;
  std::vector<pickle_value> references;  ///< every persistent id
  pickle_value root;
  std::size_t size = 0;  ///< bytes that the pickle took

  /// Of a tuple, a list, a set, a dict, a call or a persistent id.
  std::span<const pickle_value> items_of(const pickle_value& value) const { return objects[value.place()]; }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_PICKLE_VALUE_HPP
