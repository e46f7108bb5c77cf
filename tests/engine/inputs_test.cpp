// SPDX-License-Identifier: Apache-2.0
#include "ptq/engine/inputs.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace {

using ptq::element_type;
using extents = std::vector<std::optional<std::size_t>>;

const float values[64] = {};

ptq::graph_input wanted(const std::string& name, const extents& shape) {
  return {name, element_type::float32, shape};
}

ptq::named_array given(const std::string& name, const ptq::tensor_shape& shape,
                       std::optional<std::size_t> batch_axis = 0) {
  return {name, {values, element_type::float32, shape}, batch_axis};
}

using inputs = std::vector<ptq::graph_input>;
using arrays = std::vector<ptq::named_array>;

std::optional<std::size_t> counted(const inputs& graph, const arrays& data) {
  const auto samples = ptq::count_samples(graph, data);
  return samples ? std::optional(*samples) : std::nullopt;
}

ptq::errc failure_of(const inputs& graph, const arrays& data) {
  const auto samples = ptq::count_samples(graph, data);
  REQUIRE(!samples);
  CHECK(samples.error().where.find("\"x\"") != std::string::npos);
  return samples.error().code;
}

}  // namespace

TEST_CASE("samples are counted by the axes that the arrays name") {
  const inputs graph{wanted("x", {std::nullopt, 2}), wanted("y", {3, std::nullopt}), wanted("z", {5})};
  const arrays data{given("z", {5}, {}), given("y", {3, 4}, 1), given("x", {4, 2})};
  CHECK(counted(graph, data) == std::size_t{4});
  CHECK(ptq::fixed_batch(graph, data) == std::nullopt);
  const ptq::any_view some = ptq::batch_of(data[1], 1, 2);
  CHECK(some.shape == ptq::tensor_shape{3, 2});
  CHECK(some.strides == data[1].array.strides);
  CHECK(some.data == data[1].array.at(1));
  CHECK(ptq::batch_of(data[0], 1, 2).shape == ptq::tensor_shape{5});  // shared
}

TEST_CASE("a graph that takes a number of samples at a time gets whole batches") {
  const inputs graph{wanted("x", {2, 3})};
  CHECK(ptq::fixed_batch(graph, arrays{given("x", {4, 3})}) == std::size_t{2});
  CHECK(counted(graph, arrays{given("x", {4, 3})}) == std::size_t{4});
  CHECK(counted(graph, arrays{given("x", {0, 3})}) == std::size_t{0});
  CHECK(failure_of(graph, {given("x", {3, 3})}) == ptq::errc::size_mismatch);
  // An array that all samples share says nothing of batches, nor does an extent of 0.
  CHECK(ptq::fixed_batch(graph, arrays{given("x", {2, 3}, {})}) == std::nullopt);
  CHECK(ptq::fixed_batch(inputs{wanted("x", {0, 3})}, arrays{given("x", {2, 3})}) == std::nullopt);
  CHECK(ptq::fixed_batch(inputs{{"x", element_type::float32, std::nullopt}}, arrays{given("x", {2, 3})}) ==
        std::nullopt);
  CHECK(ptq::fixed_batch(graph, arrays{given("y", {2, 3})}) == std::nullopt);
  // One sample for each batch where nothing counts them.
  CHECK(counted(inputs{wanted("x", {3})}, arrays{given("x", {3}, {})}) == std::size_t{1});
  CHECK(counted(inputs{wanted("x", {3})}, arrays{given("x", {3}, 1)}) == std::size_t{1});
}

TEST_CASE("what a graph does not take is refused with the input's name") {
  const inputs graph{wanted("x", {std::nullopt, 3})};
  CHECK(failure_of(graph, {given("y", {2, 3})}) == ptq::errc::tensor_not_found);
  CHECK(failure_of(graph, {given("x", {2, 3, 1})}) == ptq::errc::wrong_rank);
  CHECK(failure_of(graph, {given("x", {2, 4})}) == ptq::errc::size_mismatch);
  ptq::named_array integers = given("x", {2, 3});
  integers.array.type = element_type::int32;
  CHECK(failure_of(graph, {integers}) == ptq::errc::wrong_type);
  CHECK(failure_of({wanted("y", {std::nullopt}), graph[0]}, {given("x", {2, 3}), given("y", {3})}) ==
        ptq::errc::size_mismatch);
  const auto too_many = ptq::count_samples(graph, arrays{given("x", {2, 3}), given("y", {2})});
  REQUIRE(!too_many);
  CHECK(too_many.error().what.find("has 1 inputs; 2 were given") != std::string::npos);
}
