// SPDX-License-Identifier: Apache-2.0
/// @file result.hpp A value or an error in words: how hosted code reports failure. Nothing here throws.
#ifndef PTQ_RESULT_HPP
#define PTQ_RESULT_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"

namespace ptq::inline v0_1 {

/// What failed, where, and what to do: `what` is the whole message, ready to print.
struct error {
  errc code = errc::ok;
  std::size_t at = 0;   ///< as in `status`
  std::string where;    ///< file, line:column, field path, argument, layer or tensor: as much as is known
  std::string what;     ///< "<where>: <text>"
  std::string nearest;  ///< the allowed word nearest to a wrong one, if there is one

  error() = default;
  error(errc kind, std::string_view place, std::string_view text, std::string_view nearest_word = {})
      : code(kind), where(place), nearest(nearest_word) {
    if (!where.empty()) what.append(where).append(": ");
    what.append(text);
    if (!nearest.empty()) what.append(" Did you mean \"").append(nearest).append("\"?");
  }

  /// The same error seen from further out: `place` comes before what is already known.
  error in(std::string_view place) const {
    error outer = *this;
    outer.where = where.empty() ? std::string(place) : std::string(place) + ": " + where;
    outer.what = std::string(place) + ": " + what;
    return outer;
  }
};

/// A value, or the error that stands in its place.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor): as std::expected
  result(ptq::error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return value_.has_value(); }
  bool has_value() const noexcept { return value_.has_value(); }

  T& operator*() & noexcept { return PTQ_ASSERT(value_), *value_; }
  const T& operator*() const& noexcept { return PTQ_ASSERT(value_), *value_; }
  T&& operator*() && noexcept { return PTQ_ASSERT(value_), *std::move(value_); }
  T* operator->() noexcept { return PTQ_ASSERT(value_), &*value_; }
  const T* operator->() const noexcept { return PTQ_ASSERT(value_), &*value_; }

  const ptq::error& error() const noexcept { return error_; }

 private:
  std::optional<T> value_;
  ptq::error error_;
};

/// Success, or an error.
template <>
class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(ptq::error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return error_.code == errc::ok; }
  bool has_value() const noexcept { return error_.code == errc::ok; }
  const ptq::error& error() const noexcept { return error_; }

 private:
  ptq::error error_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_RESULT_HPP
