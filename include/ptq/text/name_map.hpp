// SPDX-License-Identifier: Apache-2.0
/// @file name_map.hpp Values by name, for very many names: flat, so that a lookup touches few places of
/// memory.
#ifndef PTQ_TEXT_NAME_MAP_HPP
#define PTQ_TEXT_NAME_MAP_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ptq::inline v0_1 {

/// For maps that only say whether a name is there.
struct no_value {};

/// Entries are kept in the order in which they are added. Names are not copied: they must outlive it.
/// Pointers to values end with the next `add`.
template <class T>
class name_map {
 public:
  struct entry {
    std::string_view name;
    [[no_unique_address]] T value;
  };

  void reserve(std::size_t names) {
    entries_.reserve(names);
    if (slots_.size() * most_full < names * slots_of_full) rehash(names);
  }

  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  /// The number of a name, in the order in which they were added; `none` where there is no such name.
  std::size_t number_of(std::string_view name) const noexcept {
    if (entries_.empty()) return none;
    const std::uint64_t found = slots_[slot_of(name, std::hash<std::string_view>()(name))];
    return found == 0 ? none : number_in(found);
  }
  /// Null where there is no such name.
  const T* find(std::string_view name) const noexcept {
    const std::size_t number = number_of(name);
    return number == none ? nullptr : &entries_[number].value;
  }
  T* find(std::string_view name) noexcept {
    return const_cast<T*>(std::as_const(*this).find(name));  // NOLINT: the entry is ours
  }
  bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }

  /// The value of a name, and whether it is new; then it is `value`.
  std::pair<T*, bool> add(std::string_view name, T value = T{}) {
    if ((entries_.size() + 1) * slots_of_full > slots_.size() * most_full) rehash(2 * entries_.size() + 8);
    const std::size_t hash = std::hash<std::string_view>()(name);
    std::uint64_t& slot = slots_[slot_of(name, hash)];
    if (slot != 0) return {&entries_[number_in(slot)].value, false};
    slot = filled(hash, entries_.size());
    entries_.push_back({name, std::move(value)});
    return {&entries_.back().value, true};
  }

  std::size_t size() const noexcept { return entries_.size(); }
  T& operator[](std::size_t number) noexcept { return entries_[number].value; }
  const T& operator[](std::size_t number) const noexcept { return entries_[number].value; }
  auto begin() const noexcept { return entries_.begin(); }
  auto begin() noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }
  auto end() noexcept { return entries_.end(); }

 private:
  // A slot holds a part of the hash above, so that few other names are looked at, and below the number of an
  // entry plus one; 0: it is free. Three quarters of the slots are in use at most.
  static constexpr unsigned number_bits = 48;
  static constexpr std::size_t most_full = 3;
  static constexpr std::size_t slots_of_full = 4;

  static std::uint64_t tag_of(std::size_t hash) noexcept {
    return std::uint64_t{hash} >> number_bits << number_bits;
  }
  static std::uint64_t filled(std::size_t hash, std::size_t number) noexcept {
    return tag_of(hash) | (number + 1);
  }
  static std::size_t number_in(std::uint64_t slot) noexcept {
    return static_cast<std::size_t>(slot & ((std::uint64_t{1} << number_bits) - 1)) - 1;
  }

  /// Where a name is, or where it goes.
  std::size_t slot_of(std::string_view name, std::size_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const std::uint64_t slot = slots_[at];
      if (slot == 0) return at;
      if ((slot >> number_bits << number_bits) == tag_of(hash) && entries_[number_in(slot)].name == name)
        return at;
    }
  }

  void rehash(std::size_t names) {
    std::size_t size = 16;
    while (size * most_full < names * slots_of_full) size *= 2;
    slots_.assign(size, 0);
    for (std::size_t number = 0; number < entries_.size(); ++number) {
      const std::size_t hash = std::hash<std::string_view>()(entries_[number].name);
      std::size_t at = hash & (size - 1);
      while (slots_[at] != 0) at = (at + 1) & (size - 1);
      slots_[at] = filled(hash, number);
    }
  }

  std::vector<entry> entries_;
  std::vector<std::uint64_t> slots_;  // their number is a power of two
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TEXT_NAME_MAP_HPP
