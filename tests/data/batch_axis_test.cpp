// SPDX-License-Identifier: Apache-2.0
#include "ptq/data/batch_axis.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace {

using axis = std::optional<std::size_t>;
constexpr axis no_axis;

/// "x batch 7" is [batch, 7]; "?" is a dimension of any extent without a name.
ptq::graph_input input(const std::string& text) {
  ptq::graph_input made;
  made.shape.emplace();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = (std::min)(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (made.name.empty()) {
      made.name = word;
      continue;
    }
    const bool is_number = word.find_first_not_of("0123456789") == std::string::npos;
    made.shape->push_back(is_number ? axis(std::stoul(word)) : no_axis);
    made.symbols.push_back(is_number || word == "?" ? "" : word);
  }
  return made;
}

struct graph {
  std::vector<std::string> inputs;
  std::vector<axis> axes;
  bool is_sure = true;
};

}  // namespace

TEST_CASE("the batch axis is found over all inputs together, in whatever order they are listed") {
  const graph graphs[] = {
      {{"x batch 7"}, {0}},
      {{"x batch frames 6", "h0 2 batch 5"}, {0, 1}},
      {{"x N 6", "h0 1 N 5"}, {0, 1}},            // a single layer
      {{"x T batch 6", "h0 2 batch 5"}, {1, 1}},  // time first
      {{"x T N 6", "mask T N"}, {1, 1}},          // both share both
      {{"x seq batch 6"}, {1}},                   // the name alone
      {{"x T N 6"}, {1}},                         // by letters
      {{"ids batch seq", "mask batch seq", "types batch seq"}, {0, 0, 0}},
      {{"ids s0 s1", "mask s0 s1"}, {0, 0}, false},
      {{"x x_batch 7", "y y_batch 7"}, {0, 0}},
      {{"x n 7", "y m 7"}, {0, 0}},
      {{"x n 10", "table 10 7"}, {0, no_axis}},
      {{"x batch 7", "table 10 3", "low"}, {0, no_axis, no_axis}},
      {{"x ? 512", "state 2 ? 128", "rate"}, {0, 1, no_axis}},  // nothing has a name
      {{"x batch 512", "state 2 ? 128"}, {0, 1}},
      {{"x ? ? 80"}, {0}, false},
      {{"x 1 3 224 224"}, {0}},  // fixed
      {{"x 1 audio_length"}, {0}},
      {{"x 1 columns"}, {0}, false},
      {{"x 4 7 6", "h0 2 4 5"}, {0, 1}, false},
      {{"x 1 T", "h0 2 1 128"}, {0, 1}, false},
      {{"x T 1 6", "h0 2 1 5"}, {1, 1}, false},
      {{"x 4 5", "h0 2 4 5"}, {0, 1}, false},
      {{"x 2 7 6", "h0 2 2 5"}, {0, 0}, false},  // layers or samples
      {{"x 1 7 6", "h0 1 1 5"}, {0, 0}},         // the same either way
      {{"x 1 s5 80", "y 1 s5 4"}, {1, 1}, false},
      {{"x 1 3 8 8", "size 1 2"}, {0, 0}},
      {{"x 4 3 8 8", "size 4 2"}, {0, 0}},  // each has a 4 once
      {{"x 1 3 8 8", "table 4 10"}, {0, no_axis}},
      {{"x N 3 height width"}, {0}},
      {{"low", "high"}, {no_axis, no_axis}},
  };
  for (const graph& g : graphs) {
    std::vector<std::size_t> order(g.inputs.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    do {
      std::vector<ptq::graph_input> inputs;
      std::vector<axis> expected;
      for (const std::size_t i : order) {
        inputs.push_back(input(g.inputs[i]));
        expected.push_back(g.axes[i]);
        INFO(g.inputs[i]);
      }
      const auto found = ptq::find_batch_axes(inputs);
      REQUIRE(found);
      CAPTURE(g.inputs[0]);
      CAPTURE(found->dimension);
      CAPTURE(found->note);
      CHECK(found->inputs == expected);
      CHECK(found->note.empty() == g.is_sure);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE("a guess is said with what else to write, and can be overruled") {
  const std::vector inputs{input("x s0 s1 6"), input("table 10 3")};
  const auto guessed = ptq::find_batch_axes(inputs);
  REQUIRE(guessed);
  CHECK(
      guessed->note ==
      "Samples are counted by axis 0 of graph input x [s0, s1, 6], which is a guess. If it is another, give "
      "it: ptq: {data: {batch_axis: {x: 0}}}.");
  const auto given = ptq::find_batch_axes(inputs, {{"x", 1}});
  REQUIRE(given);
  CHECK(given->inputs == std::vector<axis>{1, no_axis});
  CHECK(given->dimension == "s1");
  CHECK(given->note.empty());
  CHECK(ptq::find_batch_axes(inputs, {{"table", 1}})->inputs[1] == axis(1));
  CHECK(ptq::find_batch_axes(std::vector{input("x n 6"), input("y n 3")}, {{"y", no_axis}})->inputs ==
        std::vector<axis>{0, no_axis});

  const auto unknown = ptq::find_batch_axes(inputs, {{"tabel", 0}});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().what ==
        "ptq.data.batch_axis.tabel: the graph has no input \"tabel\"; it has \"x\", \"table\". Did you mean "
        "\"table\"?");
  CHECK(ptq::find_batch_axes(inputs, {{"x", 3}}).error().what ==
        "ptq.data.batch_axis.x: is 3, but the graph input has axes 0 to 2.");
  CHECK(ptq::find_batch_axes(std::vector{input("low")}, {{"low", 0}}).error().code ==
        ptq::errc::axis_out_of_range);
}

TEST_CASE("an output's axis is the one with the batch's symbol, else the first as long as the batch") {
  using words = std::vector<std::string>;
  CHECK(ptq::find_batch_axis(words{"", "N", ""}, {3, 3, 5}, 3, "N") == axis(1));
  CHECK(ptq::find_batch_axis(words{"T", "out_batch", ""}, {3, 3, 5}, 3, "N") == axis(1));
  CHECK(ptq::find_batch_axis(words{"N", ""}, {12, 5}, 3, "N") == no_axis);  // not one entry a sample
  CHECK(ptq::find_batch_axis(words{"2", "", "5"}, {2, 2, 5}, 2, "N") == axis(1));
  CHECK(ptq::find_batch_axis(words{"2", "2", "5"}, {2, 2, 5}, 2, "2") == axis(0));
  CHECK(ptq::find_batch_axis(words{"", "4"}, {12, 4}, 4, "N") == no_axis);    // corners of boxes
  CHECK(ptq::find_batch_axis(words{"4", "10"}, {4, 10}, 4, "N") == axis(0));  // made for a batch of 4
  CHECK(ptq::find_batch_axis(words{"1", "10"}, {4, 10}, 4, "N") == axis(0));  // made for a batch of 1
  CHECK(ptq::find_batch_axis(words{}, {4, 7, 5}, 4, "?") == axis(0));
  CHECK(ptq::find_batch_axis(words{}, {2, 4, 5}, 4, "?") == axis(1));
  CHECK(ptq::find_batch_axis(words{}, {2, 5}, 4, "?") == no_axis);
}
