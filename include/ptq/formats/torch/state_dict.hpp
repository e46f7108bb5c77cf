// SPDX-License-Identifier: Apache-2.0
/// @file state_dict.hpp Which dict of a checkpoint has the weights.
///
/// Looked for from the outermost dict inwards. At each: the first of `weight_keys` whose dict has tensors;
/// else the dict itself, if it has tensors; else the first of `weight_keys` whose dict has dicts; else the
/// only dict in it that has tensors. `ptq.checkpoint.key` overrides: "ema", or "ema.module".
#ifndef PTQ_FORMATS_TORCH_STATE_DICT_HPP
#define PTQ_FORMATS_TORCH_STATE_DICT_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/left_out.hpp"
#include "ptq/formats/torch/pickle_value.hpp"
#include "ptq/formats/torch/tensors.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"

namespace ptq::inline v0_1 {

/// What training programs call the weights. Averages of them come last.
inline constexpr std::string_view weight_keys[] = {
    "state_dict", "model_state_dict", "model_state",    "model",          "module",    "net", "network",
    "weights",    "params",           "ema_state_dict", "state_dict_ema", "model_ema", "ema", "params_ema"};

/// The dict that has the weights, and what is beside it.
struct torch_state_dict {
  std::string key;  ///< empty if it is the checkpoint itself; else "ema.module"
  pickle_value dict;
  name_list others;    ///< keys of other dicts that may have weights, on the way to it
  name_list left_out;  ///< all else that is left out: "epoch (int)"
};

namespace detail {

class state_dict_finder {
 public:
  explicit state_dict_finder(const pickle_graph& graph) : graph_(&graph) { found_.dict = graph.root; }

  /// By the rule.
  result<torch_state_dict> find() {
    constexpr int most_steps = 8;
    for (int i = 0; i < most_steps; ++i) {
      if (!found_.dict.is(pickle_kind::dict))
        return error(errc::wrong_format, {},
                     "the checkpoint is a " + what_of(found_.dict) +
                         ", not a dict of tensors. Save one: torch.save(model.state_dict(), path).");
      const std::string_view next = next_key();
      if (!next.empty()) {
        enter(next);
      } else if (has_tensors(found_.dict)) {
        list_left_out();
        return std::move(found_);
      } else {
        return nothing_found();
      }
    }
    return nothing_found();
  }

  /// By the rule, from where a path leads on, if there are no tensors there.
  ///
  /// @param path keys with points between them; a key may have points, too
  result<torch_state_dict> find(std::string_view path) {
    for (std::string_view left = path; !left.empty();) {
      std::string_view key = left;
      while (child(key) == nullptr && key.find('.') != std::string_view::npos)
        key = key.substr(0, key.rfind('.'));
      if (child(key) == nullptr) {
        const std::vector<std::string_view> known = dict_keys();
        const std::string remedy = !known.empty() ? "Name one as ptq.checkpoint.key."
                                   : found_.key.empty()
                                       ? "It has none: leave ptq.checkpoint.key out."
                                       : "It has none: ptq.checkpoint.key=" + found_.key + ".";
        return error(errc::unknown_word, {},
                     "there is no dict \"" + std::string(left) + "\" in " + name_of_dict() + ". " +
                         list_text("Its dicts", known) + remedy,
                     nearest_word(left, known));
      }
      enter(key);
      left.remove_prefix((std::min)(left.size(), key.size() + 1));
    }
    if (!has_tensors(found_.dict)) return find();
    list_left_out();
    return std::move(found_);
  }

 private:
  /// "tensor", "dict", "Namespace".
  std::string what_of(const pickle_value& value) const {
    if (is_torch_tensor(*graph_, value)) return "tensor";
    const torch_call made = call_of(*graph_, value);
    return made.function == nullptr ? name_of(value.kind()) : std::string(made.function->name);
  }

  /// Each dict is looked into once: a pickle may hold one in very many places.
  bool has_tensors(const pickle_value& dict) {
    const auto known = has_tensors_.find(dict.place());
    if (known != has_tensors_.end()) return known->second;
    const auto items = graph_->items_of(dict);
    bool found = false;
    for (std::size_t i = 1; i < items.size() && !found; i += 2) found = is_torch_tensor(*graph_, items[i]);
    return has_tensors_.emplace(dict.place(), found).first->second;
  }
  bool has_dicts(const pickle_value& dict) const {
    const auto items = graph_->items_of(dict);
    bool found = false;
    for (std::size_t i = 1; i < items.size() && !found; i += 2) found = items[i].is(pickle_kind::dict);
    return found;
  }

  /// A dict in the current one; null if there is none. Of two of one key Python has the last.
  const pickle_value* child(std::string_view key) const {
    const auto items = graph_->items_of(found_.dict);
    for (std::size_t i = items.size() / 2; i-- > 0;)
      if (items[2 * i].is(pickle_kind::text) && items[2 * i].text() == key)
        return items[2 * i + 1].is(pickle_kind::dict) ? &items[2 * i + 1] : nullptr;
    return nullptr;
  }

  std::string_view next_key() {
    for (const std::string_view key : weight_keys)
      if (const pickle_value* const dict = child(key); dict != nullptr && has_tensors(*dict)) return key;
    if (has_tensors(found_.dict)) return {};
    for (const std::string_view key : weight_keys)
      if (const pickle_value* const dict = child(key); dict != nullptr && has_dicts(*dict)) return key;
    const std::vector<std::string_view> candidates = tensor_dict_keys();
    return candidates.size() == 1 ? candidates.front() : std::string_view();
  }

  /// The keys of those dicts in the current one for which a condition holds: a thousand, if there are more.
  template <class Holds>
  std::vector<std::string_view> keys_of_dicts(Holds holds) const {
    constexpr std::size_t most = 1000;
    std::vector<std::string_view> keys;
    const auto items = graph_->items_of(found_.dict);
    for (std::size_t i = 0; i + 1 < items.size() && keys.size() < most; i += 2)
      if (items[i].is(pickle_kind::text) && items[i + 1].is(pickle_kind::dict) && holds(items[i + 1]))
        keys.push_back(items[i].text());
    return keys;
  }
  std::vector<std::string_view> dict_keys() const {
    return keys_of_dicts([](const pickle_value&) { return true; });
  }
  std::vector<std::string_view> tensor_dict_keys() {
    return keys_of_dicts([&](const pickle_value& dict) { return has_tensors(dict); });
  }

  void enter(std::string_view key) {
    const pickle_value next = *child(key);
    list_left_out(key);
    found_.key.append(found_.key.empty() ? "" : ".").append(key);
    found_.dict = next;
  }

  /// What of the current dict is no tensor that is taken.
  ///
  /// @param taken the key of the dict that is looked into next, if one is
  void list_left_out(std::string_view taken = {}) {
    const std::string prefix = found_.key.empty() ? "" : found_.key + ".";
    const auto items = graph_->items_of(found_.dict);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const bool is_text = items[i].is(pickle_kind::text);
      const bool is_tensor = is_torch_tensor(*graph_, items[i + 1]);
      if (is_text && (taken.empty() ? is_tensor : items[i].text() == taken)) continue;
      const std::string other = is_text ? "" : std::string("key of type ") + name_of(items[i].kind());
      const std::string_view name = is_text ? items[i].text() : other;
      if (is_text && items[i + 1].is(pickle_kind::dict) &&
          (has_tensors(items[i + 1]) || std::ranges::count(weight_keys, items[i].text()) > 0))
        found_.others.add(prefix, name);
      else
        found_.left_out.add(prefix, name, what_of(items[i + 1]));
    }
  }

  std::string name_of_dict() const {
    return found_.key.empty() ? "the checkpoint" : "\"" + found_.key + "\" of the checkpoint";
  }

  static std::string list_text(const char* title, std::span<const std::string_view> keys) {
    constexpr std::size_t most = 10;
    if (keys.empty()) return {};
    std::string text = std::string(title) + ": ";
    for (std::size_t i = 0; i < (std::min)(most, keys.size()); ++i)
      text.append(i == 0 ? "\"" : ", \"").append(shortened(keys[i])).append("\"");
    return text + (keys.size() > most ? ", ... " : ". ");
  }

  error nothing_found() {
    const std::vector<std::string_view> candidates = tensor_dict_keys();
    if (candidates.empty())
      return {errc::no_data,
              {},
              "there are no tensors in " + name_of_dict() + ". " + list_text("Its dicts", dict_keys()) +
                  "Name the one with the weights as ptq.checkpoint.key, or save one: "
                  "torch.save(model.state_dict(), path)."};
    const std::string first = (found_.key.empty() ? "" : found_.key + ".") + std::string(candidates.front());
    return {errc::missing_value,
            {},
            "several dicts of " + name_of_dict() + " have tensors. " + list_text("They are", candidates) +
                "Name the one with the weights: \"ptq.checkpoint.key=" + first + "\"."};
  }

  const pickle_graph* graph_;
  torch_state_dict found_;
  std::map<std::size_t, bool> has_tensors_;  // by the places of dicts
};

}  // namespace detail

/// Finds the weights of a checkpoint.
///
/// @param key `ptq.checkpoint.key`; empty: by the rule
/// @return wrong_format: the checkpoint is no dict; missing_value: several dicts have tensors, and none is
///   known to have the weights; no_data: no dict has any; unknown_word: no dict of that key
inline result<torch_state_dict> find_state_dict(const pickle_graph& graph, std::string_view key = {}) {
  detail::state_dict_finder finder(graph);
  return key.empty() ? finder.find() : finder.find(key);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_STATE_DICT_HPP
