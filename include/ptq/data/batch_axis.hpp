// SPDX-License-Identifier: Apache-2.0
/// @file batch_axis.hpp Which axis of a graph's inputs and outputs counts samples: found over all inputs
/// together, whatever their order.
#ifndef PTQ_DATA_BATCH_AXIS_HPP
#define PTQ_DATA_BATCH_AXIS_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/data/graph_names.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/letter_case.hpp"

namespace ptq::inline v0_1 {

/// The axes of a graph's inputs that count samples.
struct batch_axes {
  /// One for each input. Nothing: by what the graph declares the input has no such axis.
  std::vector<std::optional<std::size_t>> inputs;
  std::string dimension;  ///< what the axes have in common: a symbol ("batch"), a number, or "?"
  std::string note;       ///< where it is a guess that could be another; else empty
};

namespace detail {

/// A dimension of a graph input, as the graph names it.
struct dimension_label {
  std::string text;  // a symbol, a number, or "?"
  bool is_number = false;

  bool says_batch() const { return lower_cased(text).find("batch") != std::string::npos; }
  /// One of the letters that stand for a batch.
  bool is_batch_letter() const {
    const std::string name = lower_cased(text);
    return name == "n" || name == "b" || name == "bs";
  }
  /// A name for steps in time or places in a text: seldom a batch.
  bool says_time() const {
    const std::string name = lower_cased(text);
    if (name == "t" || name == "l") return true;
    constexpr std::string_view parts[] = {"time", "seq", "frame", "len", "step", "token"};
    return std::any_of(std::begin(parts), std::end(parts),
                       [&](std::string_view part) { return name.find(part) != std::string::npos; });
  }
  friend bool operator==(const dimension_label&, const dimension_label&) = default;
};

inline std::vector<dimension_label> labels_of(const graph_input& input) {
  std::vector<dimension_label> labels;
  for (std::size_t axis = 0; input.shape && axis < input.shape->size(); ++axis) {
    const std::optional<std::size_t> extent = (*input.shape)[axis];
    const bool is_named = axis < input.symbols.size() && !input.symbols[axis].empty();
    labels.push_back(extent ? dimension_label{std::to_string(*extent), true}
                            : dimension_label{is_named ? input.symbols[axis] : "?"});
  }
  return labels;
}

/// "h0 [2, batch, 5]"
inline std::string labels_text(const std::string& name, const std::vector<dimension_label>& labels) {
  std::string text;
  for (const dimension_label& label : labels) text.append(text.empty() ? "" : ", ").append(label.text);
  return name + " [" + text + "]";
}

/// Finds the dimension that counts samples. What decides, in this order: the axes that are given; a name that
/// says batch; the symbol that most inputs share; a first axis of any extent; for graphs of fixed size the
/// number that all share, or the first extent of the input with the most axes.
class batch_search {
 public:
  batch_search(std::span<const graph_input> inputs, const batch_axis_choices& given)
      : inputs_(inputs), given_(given) {
    for (const graph_input& input : inputs) {
      labels_.push_back(labels_of(input));
      highest_ = (std::max)(highest_, labels_.back().size());
    }
  }

  batch_axes run() const {
    const dimension_label batch = choose();
    batch_axes found;
    found.dimension = batch.text;
    for (std::size_t i = 0; i < inputs_.size(); ++i) found.inputs.push_back(axis_in(i, batch));
    if (!is_sure(found, batch)) found.note = note_on(found);
    return found;
  }

 private:
  /// How well a dimension suits; the greater one wins.
  using fitness = std::tuple<int, std::size_t, std::size_t, bool, std::size_t, std::string>;

  const std::optional<std::size_t>* given_for(std::size_t i) const {
    const auto found = given_.find(inputs_[i].name);
    return found == given_.end() ? nullptr : &found->second;
  }

  std::size_t place_of(std::size_t i, const dimension_label& label) const {
    return static_cast<std::size_t>(std::find(labels_[i].begin(), labels_[i].end(), label) -
                                    labels_[i].begin());
  }
  bool has(std::size_t i, const dimension_label& label) const {
    return place_of(i, label) < labels_[i].size();
  }
  bool leads(std::size_t i, const dimension_label& label) const {
    return !labels_[i].empty() && labels_[i][0] == label;
  }

  dimension_label choose() const {
    for (const auto& [name, axis] : given_)
      for (std::size_t i = 0; axis && i < inputs_.size(); ++i)
        if (inputs_[i].name == name && *axis < labels_[i].size()) return labels_[i][*axis];
    dimension_label best{"?"};
    std::optional<fitness> best_fitness;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (given_for(i)) continue;
      for (const dimension_label& label : labels_[i]) {
        fitness suits = fitness_of(label);
        if (best_fitness && suits <= *best_fitness) continue;
        best = label;
        best_fitness = std::move(suits);
      }
    }
    return best;
  }

  fitness fitness_of(const dimension_label& label) const {
    std::size_t holders = 0;
    std::size_t leading = 0;
    bool leads_largest = false;
    bool follows_time = false;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (given_for(i)) continue;
      holders += has(i, label) ? 1u : 0u;
      leading += leads(i, label) ? 1u : 0u;
      leads_largest = leads_largest || (leads(i, label) && labels_[i].size() == highest_);
      follows_time = follows_time || (has(i, label) && labels_[i][0].says_time());
    }
    int tier = 0;
    if (label.is_number)
      tier = is_common(label) ? 2 : leads_largest ? 1 : 0;
    else if (label.says_batch())
      tier = 5;
    else if (label.says_time())
      tier = leading > 0 ? 1 : 0;
    else if (label.text != "?" && holders > 1)
      tier = 4;
    else if (leading > 0 || (follows_time && label.is_batch_letter()))
      tier = 3;
    // The smallest number, the first name: whatever it is, the order of inputs does not matter.
    std::string last = label.text;
    for (char& c : last) c = static_cast<char>(~c);
    return {tier,
            holders,
            leading,
            !label.is_number,
            std::size_t{64} - (std::min)(label.text.size(), std::size_t{64}),
            last};
  }

  /// A number that each of several inputs has, in front of one of them or behind time.
  bool is_common(const dimension_label& number) const {
    std::size_t holders = 0;
    bool is_first = false;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (labels_[i].size() < 2) continue;
      if (!has(i, number)) return false;
      ++holders;
      is_first = is_first || leads(i, number) || labels_[i][0].says_time();
    }
    return holders > 1 && is_first;
  }

  std::optional<std::size_t> axis_in(std::size_t i, const dimension_label& batch) const {
    if (const auto* const given = given_for(i)) return *given;
    const std::vector<dimension_label>& labels = labels_[i];
    if (labels.empty()) return inputs_[i].shape ? std::nullopt : std::optional<std::size_t>(0);
    const auto is_free_front = !labels[0].is_number && !labels[0].says_time();
    if (batch.text == "?" && is_free_front) return 0;
    if (has(i, batch)) return place_of(i, batch);
    for (std::size_t axis = 0; axis < labels.size(); ++axis)
      if (!labels[axis].is_number && labels[axis].says_batch()) return axis;
    if (is_free_front) return 0;
    const dimension_label unnamed{"?"};
    const bool is_only = std::count(labels.begin(), labels.end(), unnamed) == 1;
    return is_only ? std::optional(place_of(i, unnamed)) : std::nullopt;
  }

  /// Whether nothing in the graph speaks for another axis.
  bool is_sure(const batch_axes& found, const dimension_label& batch) const {
    bool moves = false;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (given_for(i)) return true;
      moves = moves || found.inputs[i].value_or(0) > 0;
    }
    if (batch.is_number && (moves || (inputs_.size() > 1 && is_twice(batch)))) return false;
    if (!batch.is_number && leads_nowhere(batch) && is_led_by_number()) return false;
    if (!batch.is_number && (batch.says_batch() || batch.is_batch_letter())) return true;
    if (!batch.is_number && batch.says_time()) return false;
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      for (std::size_t axis = 0; axis < labels_[i].size(); ++axis)
        if (axis != found.inputs[i] && !labels_[i][axis].is_number && !labels_[i][axis].says_time())
          return false;
    return true;
  }

  /// Whether an input has a number at two of its axes: either may count samples. (It is the same if both are
  /// 1.)
  bool is_twice(const dimension_label& number) const {
    return number.text != "1" && std::any_of(labels_.begin(), labels_.end(), [&](const auto& labels) {
             return std::count(labels.begin(), labels.end(), number) > 1;
           });
  }

  bool leads_nowhere(const dimension_label& label) const {
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (leads(i, label)) return false;
    return true;
  }

  /// Whether all inputs begin with one number, which may be the batch as well.
  bool is_led_by_number() const {
    return std::all_of(labels_.begin(), labels_.end(), [&](const auto& labels) {
      return !labels.empty() && labels[0].is_number && labels[0] == labels_[0][0];
    });
  }

  std::string note_on(const batch_axes& found) const {
    std::string text;
    std::string example;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!found.inputs[i] || labels_[i].empty()) continue;
      const std::string axis = std::to_string(*found.inputs[i]);
      text += (text.empty() ? "" : ", ") + ("axis " + axis) + " of graph input " +
              labels_text(inputs_[i].name, labels_[i]);
      if (example.empty()) example = inputs_[i].name + ": " + axis;
    }
    return "Samples are counted by " + text +
           ", which is a guess. If it is another, give it: ptq: {data: {batch_axis: {" + example + "}}}.";
  }

  std::span<const graph_input> inputs_;
  const batch_axis_choices& given_;
  std::vector<std::vector<dimension_label>> labels_;
  std::size_t highest_ = 0;  // rank
};

}  // namespace detail

/// Finds the axis of each graph input that counts samples.
///
/// @param given what the user knows better (`ptq.data.batch_axis`)
/// @return unknown_word: `given` names no input of the graph; axis_out_of_range. `where` is the setting
inline result<batch_axes> find_batch_axes(std::span<const graph_input> inputs,
                                          const batch_axis_choices& given = {}) {
  std::vector<std::string_view> names;
  for (const graph_input& input : inputs) names.emplace_back(input.name);
  const std::string setting = "ptq.data.batch_axis";
  if (const auto known = check_graph_names(setting, given, "input", names); !known) return known.error();
  for (const auto& [name, axis] : given) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) continue;  // ""
    const auto& shape = inputs[static_cast<std::size_t>(at - names.begin())].shape;
    const std::size_t rank = shape ? shape->size() : max_rank;
    if (axis && *axis >= rank)
      return error(errc::axis_out_of_range, setting + "." + name,
                   "is " + std::to_string(*axis) + ", but the graph input has " +
                       (rank == 0 ? "no axes: write none, or leave it out."
                                  : "axes 0 to " + std::to_string(rank - 1) + "."));
  }
  return detail::batch_search(inputs, given).run();
}

/// The axis of a tensor that counts samples: the one with the batch's name; without one the first that is as
/// long as the batch and has no extent of its own. (The first axis may have one: graphs declare it that were
/// made for another batch.)
///
/// @param labels    of the tensor's axes as the graph declares them: a symbol, a number, or "" where it says
///                  nothing; may be fewer
/// @param made      the shape of the tensor as an engine made it of a batch
/// @param samples   in that batch
/// @param dimension `batch_axes::dimension` of the graph's inputs
inline std::optional<std::size_t> find_batch_axis(std::span<const std::string> labels,
                                                  const tensor_shape& made, std::size_t samples,
                                                  std::string_view dimension) {
  const auto fits = [&](std::size_t axis) { return axis < made.rank && made[axis] == samples; };
  for (std::size_t axis = 0; axis < labels.size(); ++axis)
    if (!labels[axis].empty() && labels[axis] == dimension && fits(axis)) return axis;
  for (std::size_t axis = 0; axis < labels.size(); ++axis)
    if (detail::dimension_label{labels[axis]}.says_batch() && fits(axis)) return axis;
  const auto is_own = [&](std::size_t axis) {
    return axis < labels.size() && labels[axis] == std::to_string(samples);
  };
  for (std::size_t axis = 0; axis < made.rank; ++axis)
    if (fits(axis) && !is_own(axis)) return axis;
  return fits(0) ? std::optional<std::size_t>(0) : std::nullopt;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_BATCH_AXIS_HPP
