// SPDX-License-Identifier: Apache-2.0
/// @file type_list.hpp A list of types, and a loop over it. The built-in policies and a user's own are such
/// lists.
#ifndef PTQ_DETAIL_TYPE_LIST_HPP
#define PTQ_DETAIL_TYPE_LIST_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// An ordered list of policy classes, for instance `ptq::list<ptq::int8, my_int4>`.
template <class... Types>
struct list {
  static constexpr std::size_t size = sizeof...(Types);
};

namespace detail {

template <class T>
struct type_tag {
  using type = T;
};

/// Calls f(type_tag<T>{}) for each type of the list, in order.
template <class... Types, class F>
constexpr void for_each_type(list<Types...>, F&& f) {
  (f(type_tag<Types>{}), ...);
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_DETAIL_TYPE_LIST_HPP
