// SPDX-License-Identifier: Apache-2.0
// A tensor that cannot be viewed is told what it lacks.
//
// BAD NO_TRAITS: has_tensor_traits(.|\n)*my_tensor
// BAD NO_VIEW: view
// BAD WRONG_VIEW: is_tensor_view
// BAD INTEGERS: element<
// BAD VECTOR_OF_BOOL: has_tensor_traits(.|\n)*vector<bool
// BAD TOO_MANY_AXES: ptq::max_rank is the most that a view can have
// BAD TEMPORARY: named_tensor_or_view
// BAD TEMPORARY_IN_A_LAYER: the tensor is a temporary
// BAD TEMPORARY_IN_A_LIST: the tensor is a temporary
// BAD FLAT_TEMPORARY_IN_A_LIST: the tensor is a temporary
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/tensor/any_view.hpp"

struct my_tensor {
  std::vector<float> memory;
};

#ifndef NO_TRAITS
template <>
struct ptq::tensor_traits<my_tensor> {
#ifdef WRONG_VIEW
  static const float* view(const my_tensor& t) { return t.memory.data(); }
#elif defined(INTEGERS)
  static ptq::tensor_view<int> view(const my_tensor&) { return {}; }
#elif !defined(NO_VIEW)
  static auto view(auto& t) { return ptq::tensor_view{t.memory.data(), {t.memory.size()}}; }
#endif
};
#endif

auto view_of(my_tensor& tensor) {
#ifdef TEMPORARY
  return ptq::view_of(std::move(tensor));
#else
  return ptq::view_of(tensor);
#endif
}

ptq::any_view any_view_of(std::vector<float>& vector) {
#ifdef TEMPORARY_IN_A_LAYER
  return ptq::any_view(std::move(vector));
#else
  return ptq::any_view(vector);
#endif
}

std::vector<ptq::layer> layers_of(std::vector<float>& vector) {
#ifdef TEMPORARY_IN_A_LIST
  return {{"fc", "Linear", std::vector<float>(vector)}};
#elif defined(FLAT_TEMPORARY_IN_A_LIST)
  return {{"fc", "Linear", {std::vector<float>(vector), {2, 2}}}};
#else
  return {{"fc", "Linear", {vector, {2, 2}}}, {"head", "Linear", vector}};
#endif
}

#ifdef VECTOR_OF_BOOL
auto bits(std::vector<bool>& tensor) {
  return ptq::view_of(tensor);
}
#endif

#ifdef TOO_MANY_AXES
auto view_of(float (&array)[1][1][1][1][1][1][1][1][2]) {
  return ptq::view_of(array);
}
#else
auto view_of(float (&array)[1][1][1][1][1][1][1][2]) {
  return ptq::view_of(array);
}
#endif
