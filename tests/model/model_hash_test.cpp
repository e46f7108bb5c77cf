// SPDX-License-Identifier: Apache-2.0
// The hash changes with the model and with nothing else.
#include "ptq/model/model_hash.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"

namespace {

using floats = std::vector<float>;

const floats weight{1, 2, 3, 4, 5, 6};

std::string hash(const std::vector<ptq::layer>& layers) {
  return ptq::model_hash(layers);
}

}  // namespace

TEST_CASE("names, shapes, element types and elements make the hash") {
  const std::string original = hash({{"a", "Linear", {weight, {2, 3}}}});
  CHECK(original == "e3b23dd3edf5a1ff");  // files hold it, so it is the same on all machines
  const std::vector<double> doubles(weight.begin(), weight.end());
  floats changed = weight;
  changed[5] = 7;
  std::set<std::string> others{original};
  CHECK(others.insert(hash({})).second);
  CHECK(others.insert(hash({{"b", "Linear", {weight, {2, 3}}}})).second);
  CHECK(others.insert(hash({{"a", "Linear", {weight, {3, 2}}}})).second);
  CHECK(others.insert(hash({{"a", "Linear", {weight, {1, 2, 3}}}})).second);
  CHECK(others.insert(hash({{"a", "Linear", {changed, {2, 3}}}})).second);
  CHECK(others.insert(hash({{"a", "Linear", {doubles, {2, 3}}}})).second);
  CHECK(others.insert(hash({{"a", "Linear", {weight, {2, 3}}}, {"b", "MaxPool2d", {}}})).second);
}

TEST_CASE("a guessed class, the order of layers and the layout of weights do not matter") {
  const std::string original = hash({{"a", "Linear", {weight, {2, 3}}}, {"b", "ReLU", {}}});
  CHECK(hash({{"b", "ReLU", {}}, {"a", "", {weight, {2, 3}}}}) == original);

  const floats columns{1, 4, 2, 5, 3, 6};
  ptq::any_view column_major(columns, {2, 3});
  column_major.strides = ptq::column_major(column_major.shape);
  CHECK(hash({{"a", "Linear", column_major}, {"b", "ReLU", {}}}) == original);
}

TEST_CASE("long tensors with gaps are read whole") {
  floats dense(5001);
  floats spread(2 * dense.size());
  for (std::size_t i = 0; i < dense.size(); ++i) spread[2 * i] = dense[i] = static_cast<float>(i);
  const auto of = [](const floats& values) {
    ptq::any_view view(values);
    if (values.size() == 10002) view.shape = {5001}, view.strides = {2};
    return hash({{"a", "", view}});
  };
  CHECK(of(spread) == of(dense));
  spread[10000] = -1;
  CHECK(of(spread) != of(dense));
}

TEST_CASE("no two changes of one bit cancel each other") {
  const floats zeros(40);
  std::set<std::string> seen{hash({{"a", "", zeros}})};
  for (std::size_t i = 0; i < zeros.size(); ++i) {
    for (std::size_t k = i; k < zeros.size(); ++k) {
      floats signs = zeros;
      signs[i] = signs[k] = -0.0F;
      CHECK(seen.insert(hash({{"a", "", signs}})).second);
    }
  }
}
