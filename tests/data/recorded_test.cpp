// SPDX-License-Identifier: Apache-2.0
#include "ptq/io/recorded.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "data/goldens.hpp"
#include "ptq/io/npy.hpp"
#include "ptq/io/npz.hpp"
#include "support/temporary_folder.hpp"

namespace {

struct seen {
  std::vector<std::string> batches;  // "layer: extent of the first axis"
  double sum = 0;
};

ptq::result<seen> read(const ptq::data_config& data, const std::vector<std::string>& layers) {
  seen all;
  const auto done = ptq::read_recorded(
      data, layers, formats,
      [&](std::string_view layer, const ptq::tensor_view<const float>& batch) -> ptq::result<void> {
        all.batches.push_back(std::string(layer) + ": " + std::to_string(batch.shape[0]));
        for (std::size_t i = 0; i < batch.size(); ++i) all.sum += static_cast<double>(batch.data[i]);
        return {};
      });
  if (!done) return done.error();
  return all;
}

}  // namespace

TEST_CASE("each layer's inputs arrive in batches") {
  ptq::data_config data;
  data.activations = folder + "deflated.npz";
  data.batch_size = 400;
  const auto all = read(data, {"input", "mask"});
  REQUIRE(all);
  CHECK(all->batches == std::vector<std::string>{"input: 400", "input: 400", "input: 200", "mask: 400",
                                                 "mask: 400", "mask: 200"});
  CHECK(all->sum == 59999.0 * 60000 / 2 + 999.0 * 1000 / 2);

  data.max_samples = 401;
  const auto some = read(data, {"mask"});
  REQUIRE(some);
  CHECK(some->batches == std::vector<std::string>{"mask: 400", "mask: 1"});
  CHECK(some->sum == 400.0 * 401 / 2);

  data.activations = folder + "vector.npy";
  const auto unnamed = read(data, {"any"});
  REQUIRE(unnamed);
  CHECK(unnamed->sum == 10);
}

TEST_CASE("what is missing or not finite is named") {
  ptq::data_config data;
  data.activations = folder + "stored.npz";
  CHECK(
      read(data, {"input", "masks"}).error().what.find("no array \"masks\" in it. Did you mean \"mask\"?") !=
      std::string::npos);
  data.activations = folder + "vector.npy";
  CHECK(read(data, {"a", "b"}).error().code == ptq::errc::tensor_not_found);
  data.activations = folder + "scalar.npy";
  CHECK(read(data, {"a"}).error().code == ptq::errc::wrong_rank);
  data.activations = folder + "empty.npy";
  CHECK(read(data, {"a"}).error().code == ptq::errc::no_data);

  const temporary_folder temporary;
  std::vector<float> values(5 * 6, 1.0F);
  values[4 * 6 + 5] = std::numeric_limits<float>::infinity();
  REQUIRE(ptq::write_npy(temporary / "a.npy", {values.data(), ptq::scalar_type::float32, {5, 2, 3}}));
  data.activations = temporary / "a.npy";
  data.batch_size = 3;
  const ptq::error refused = read(data, {"fc"}).error();
  CHECK(refused.code == ptq::errc::not_finite);
  CHECK(refused.what.find("a.npy: layer \"fc\": sample 4, element [1, 2] is NaN or infinite as float32.") !=
        std::string::npos);
}

TEST_CASE("an error of the sink stops the reading") {
  ptq::data_config data;
  data.activations = folder + "stored.npz";
  int calls = 0;
  const std::vector<std::string> layers{"input", "mask"};
  const auto stopped =
      ptq::read_recorded(data, layers, formats, [&](std::string_view, const auto&) -> ptq::result<void> {
        ++calls;
        return ptq::error(ptq::errc::stopped, "", "enough.");
      });
  CHECK(stopped.error().code == ptq::errc::stopped);
  CHECK(calls == 1);
}
