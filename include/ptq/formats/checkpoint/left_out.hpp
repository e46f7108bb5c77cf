// SPDX-License-Identifier: Apache-2.0
/// @file left_out.hpp What files hold beside the tensors of a model, in words.
#ifndef PTQ_FORMATS_CHECKPOINT_LEFT_OUT_HPP
#define PTQ_FORMATS_CHECKPOINT_LEFT_OUT_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace ptq::inline v0_1 {
namespace detail {

/// A name as messages have room for it.
inline std::string shortened(std::string_view name) {
  constexpr std::size_t most = 200;  // bytes
  return name.size() > most ? std::string(name.substr(0, most)) + "..." : std::string(name);
}

}  // namespace detail

/// Names, the first few of which are told: files may have very many, and very long ones.
class name_list {
 public:
  /// @param kind of what has the name, in brackets behind it; may be empty
  void add(std::string_view prefix, std::string_view name, std::string_view kind = {}) {
    constexpr std::size_t most = 8;
    if (++count_ > most) return;
    text_ += (text_.empty() ? "" : ", ") + detail::shortened(std::string(prefix) + detail::shortened(name));
    if (!kind.empty()) text_.append(" (").append(kind).append(")");
    told_ = count_;
  }

  bool empty() const noexcept { return count_ == 0; }
  /// "ema, optimizer (dict) and 3 more"
  std::string text() const {
    return count_ > told_ ? text_ + " and " + std::to_string(count_ - told_) + " more" : text_;
  }

 private:
  std::string text_;
  std::size_t told_ = 0;
  std::size_t count_ = 0;
};

namespace detail {

/// @param container that has them: "checkpoint"
inline std::string left_out_note(const std::string& container, const name_list& names) {
  return "left out of the " + container + ", as no weights: " + names.text() + ".";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_LEFT_OUT_HPP
