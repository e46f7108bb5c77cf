// SPDX-License-Identifier: Apache-2.0
// ptq compare: two models, or a model and its artifact, layer by layer.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "command.hpp"
#include "onnx_file.hpp"
#include "output.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/report/json.hpp"
#include "ptq/text/table.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// A tensor of one side, as it is stored.
struct compared_tensor {
  std::string name;
  std::string title;  // the layer's name, if it is a layer's weight
  std::string type;
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;
  ptq::any_view view;
  std::optional<ptq::artifact_weights> weights;  // codes and scales, where it is quantized
  std::uint64_t copy = 0;                        // bytes of the floats that stay beside them

  std::uint64_t bytes() const { return data.size() + (weights ? weights->scales.size_bytes() : 0) + copy; }

  /// Formats name one type differently.
  bool has_type_of(const compared_tensor& other) const {
    return type == other.type ||
           (!weights && !other.weights && view.has_floats() && view.type == other.view.type);
  }

  bool is_stored_as(const compared_tensor& other) const {
    return has_type_of(other) && shape == other.shape && std::ranges::equal(data, other.data) &&
           weights.has_value() == other.weights.has_value() &&
           (!weights || std::ranges::equal(weights->scales, other.weights->scales));
  }
};

/// One side: an open file, and its tensors. Scales belong to the weight they scale; they are not compared for
/// themselves.
class side {
 public:
  static ptq::result<side> open(const std::string& path) {
    side opened;
    const auto read = path.ends_with(".onnx") ? opened.read_onnx(path) : opened.read_checkpoint(path);
    if (!read) return read.error();
    for (std::size_t i = 0; i < opened.tensors_.size(); ++i)
      opened.index_.emplace(opened.tensors_[i].name, i);
    return opened;
  }

  const std::vector<compared_tensor>& tensors() const noexcept { return tensors_; }

  const compared_tensor* find(const std::string& name) const {
    const auto found = index_.find(name);
    return found != index_.end() ? &tensors_[found->second] : nullptr;
  }

  /// As floats, dequantized if need be; nothing if it does not hold floats.
  std::optional<std::vector<float>> values_of(const compared_tensor& tensor) const {
    if (tensor.weights) {
      std::vector<float> values(tensor.weights->shape.size());
      if (!ptq::dequantize(*tensor.weights, values)) return {};
      return values;
    }
    if (!tensor.view.has_floats()) return {};
    std::vector<float> values(tensor.view.size());
    ptq::visit(tensor.view, [&]<class T>(ptq::tensor_view<const T> typed) {
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = ptq::element_traits<T>::to_float(typed.data[i]);
    });
    return values;
  }

  /// Gives a tensor's memory back.
  void release(const compared_tensor& tensor) const noexcept {
    if (onnx_) onnx_->model.release(tensor.data);
    if (checkpoint_)
      for (const ptq::mapped_file& file : checkpoint_->files()) file.release(tensor.data);
  }

 private:
  ptq::result<void> read_checkpoint(const std::string& path) {
    auto file = open_checkpoint(path);
    if (!file) return file.error();
    checkpoint_ = *std::move(file);
    ptq::artifact made;
    if (ptq::is_artifact(*checkpoint_)) {
      auto read = ptq::read_artifact(*checkpoint_);
      if (!read) return read.error();
      made = *std::move(read);
    }
    std::map<std::string, const ptq::artifact_weights*> weights;
    std::set<std::string> scales;
    for (const ptq::artifact_layer& layer : made.layers) {
      if (layer.weights) weights[layer.name + ".weight"] = &*layer.weights;
      scales.insert({layer.name + ".weight_scale", layer.name + ".input_scale"});
    }
    for (const ptq::stored_tensor& tensor : checkpoint_->tensors()) {
      if (scales.contains(tensor.name)) continue;
      compared_tensor& added = tensors_.emplace_back();
      added = {tensor.name,
               layer_name(tensor.name),
               tensor.type_name,
               tensor.shape,
               tensor.data,
               tensor.view(),
               {},
               0};
      if (const auto found = weights.find(tensor.name); found != weights.end()) {
        added.weights = *found->second;
        added.type = added.weights->dtype;
      }
    }
    return {};
  }

  ptq::result<void> read_onnx(const std::string& path) {
    auto file = open_onnx(path);
    if (!file) return file.error();
    onnx_ = *std::move(file);
    print_notes(onnx_->notes);
    std::map<std::string_view, std::string_view> layers;  // by the name of their weight
    for (std::size_t i = 0; i < onnx_->layers.layers.size(); ++i)
      layers.emplace(onnx_->layers.sources[i].weight, onnx_->layers.layers[i].name);
    const ptq::onnx_graph& graph = onnx_->model.graph;
    std::map<std::string_view, std::uint64_t> copies;  // their bytes, by the weight
    for (const auto* list : {&graph.initializers, &graph.constants})
      for (const ptq::onnx_tensor& tensor : *list)
        if (const auto copy = onnx_->copies.find(tensor.name); copy != onnx_->copies.end())
          copies[copy->second] += tensor.data.size();
    for (const auto* list : {&graph.initializers, &graph.constants}) {
      for (const ptq::onnx_tensor& tensor : *list) {
        if (onnx_->copies.contains(tensor.name)) continue;
        const auto layer = layers.find(tensor.name);
        compared_tensor& added = tensors_.emplace_back();
        added = {tensor.name,
                 layer != layers.end() ? std::string(layer->second) : tensor.name,
                 ptq::onnx_word(tensor.type),
                 tensor.dims,
                 tensor.data,
                 tensor.view(),
                 {},
                 0};
        if (const auto coded = onnx_->coded.find(tensor.name); coded != onnx_->coded.end()) {
          added.weights = coded->second.view();
          added.type = added.weights->dtype;
          added.data = added.weights->codes;
          added.copy = copies[tensor.name];
        }
      }
    }
    return {};
  }

  static std::string layer_name(const std::string& tensor) {
    constexpr std::string_view suffix = ".weight";
    return tensor.ends_with(suffix) ? tensor.substr(0, tensor.size() - suffix.size()) : tensor;
  }

  std::optional<ptq::checkpoint> checkpoint_;
  std::optional<onnx_file> onnx_;
  std::vector<compared_tensor> tensors_;
  std::map<std::string, std::size_t> index_;
};

/// A tensor that both sides have, and that they store differently.
struct difference {
  std::string name;  // of the layer, if the tensor is a layer's weight
  std::vector<std::size_t> shape_a, shape_b;
  std::string type_a, type_b;
  std::uint64_t bytes_a = 0, bytes_b = 0;
  bool identical = false;                   // all values are equal
  std::optional<ptq::error_metrics> error;  // nothing where shapes differ or values are not finite floats
  std::size_t not_finite = 0;               // places where either side is NaN or infinite
  std::size_t first_not_finite = 0;         // row-major
};

struct comparison {
  std::vector<difference> differences;
  std::size_t identical = 0;
  std::vector<std::string> only_in_a, only_in_b;
};

difference measure(const side& a, const compared_tensor& x, const side& b, const compared_tensor& y) {
  difference found{x.title, x.shape, y.shape, x.type, y.type, x.bytes(), y.bytes(), false, {}, 0, 0};
  if (x.shape != y.shape) return found;
  const auto original = a.values_of(x);
  const auto approximation = b.values_of(y);
  if (!original || !approximation || original->size() != approximation->size()) return found;
  ptq::error_accumulator sums;
  bool identical = true;
  for (std::size_t i = 0; i < original->size(); ++i) {
    const double before = static_cast<double>((*original)[i]);
    const double after = static_cast<double>((*approximation)[i]);
    identical = identical && before == after;
    if (std::isfinite(before) && std::isfinite(after)) {
      sums.add(before, after);
    } else if (found.not_finite++ == 0) {
      found.first_not_finite = i;
    }
  }
  found.identical = identical;
  if (found.not_finite == 0) found.error = sums.metrics();
  return found;
}

comparison compare(const side& a, const side& b) {
  comparison found;
  progress shown(a.tensors().size());
  for (const compared_tensor& x : a.tensors()) {
    shown.step(x.name);
    const compared_tensor* const y = b.find(x.name);
    if (y == nullptr) {
      found.only_in_a.push_back(x.name);
      continue;
    }
    if (x.is_stored_as(*y))
      ++found.identical;
    else
      found.differences.push_back(measure(a, x, b, *y));
    a.release(x);
    b.release(*y);
  }
  for (const compared_tensor& y : b.tensors())
    if (a.find(y.name) == nullptr) found.only_in_b.push_back(y.name);
  return found;
}

/// "[1, 2]": the place of the first value that is not finite.
std::vector<std::size_t> first_place(const difference& d) {
  std::vector<std::size_t> place(d.shape_a.size());
  std::size_t rest = d.first_not_finite;
  for (std::size_t axis = place.size(); axis-- > 0; rest /= d.shape_a[axis])
    place[axis] = rest % d.shape_a[axis];
  return place;
}

/// Figures that do not exist are null: the other fields say why.
nlohmann::json json_of(const difference& d) {
  nlohmann::json row = {{"name", d.name},           {"shape", d.shape_a},        {"dtype_a", d.type_a},
                        {"dtype_b", d.type_b},      {"bytes_a", d.bytes_a},      {"bytes_b", d.bytes_b},
                        {"identical", d.identical}, {"sqnr_db", nullptr},        {"cosine", nullptr},
                        {"max_abs_error", nullptr}, {"not_finite", d.not_finite}};
  if (d.shape_a != d.shape_b) row["shape_b"] = d.shape_b;
  if (d.not_finite > 0) row["first_not_finite"] = first_place(d);
  if (d.error) {
    row["sqnr_db"] = ptq::finite_or_null(d.error->sqnr_db);
    row["cosine"] = d.error->cosine;
    row["max_abs_error"] = d.error->max_abs;
  }
  return row;
}

nlohmann::json json_of(const comparison& found) {
  auto layers = nlohmann::json::array();
  for (const difference& d : found.differences) layers.push_back(json_of(d));
  return {{"layers", layers},
          {"identical", found.identical},
          {"only_in_a", found.only_in_a},
          {"only_in_b", found.only_in_b}};
}

void print_names(const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  print(std::string(title) + ": " + std::to_string(names.size()) + " (" + ptq::names_text(names) + ")\n");
}

/// Why a row has no figures; else empty.
std::string note_of(const difference& d) {
  if (d.shape_a != d.shape_b)
    return "other shape: " + ptq::extents_text(d.shape_a) + ", " + ptq::extents_text(d.shape_b);
  if (d.not_finite > 0)
    return std::to_string(d.not_finite) + " not finite, the first at " + ptq::extents_text(first_place(d));
  return d.error ? d.identical ? "same values" : "" : "not floats";
}

void print_comparison(const comparison& found) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"layer"}, column{"A"}, column{"B"}, column{"SQNR dB", right},
                         column{"cosine", right}, column{"max error", right}, column{"bytes A", right},
                         column{"bytes B", right}, column{"note"}});
  std::uint64_t bytes_a = 0;
  std::uint64_t bytes_b = 0;
  for (const difference& d : found.differences) {
    bytes_a += d.bytes_a;
    bytes_b += d.bytes_b;
    std::vector<std::string> row{
        d.name,    d.type_a, d.type_b, "-", "-", "-", ptq::bytes_text(d.bytes_a), ptq::bytes_text(d.bytes_b),
        note_of(d)};
    if (d.error && d.error->count > 0) {
      row[3] = ptq::fixed_text(d.error->sqnr_db, 1);
      row[4] = ptq::fixed_text(d.error->cosine, 6);
      row[5] = ptq::short_text(d.error->max_abs);
    }
    table.add(row);
  }
  if (!table.empty()) print(table.text() + "\n");
  if (found.differences.empty() && found.only_in_a.empty() && found.only_in_b.empty())
    print("all tensors are identical\n");
  print("differ: " + std::to_string(found.differences.size()) + ", " + ptq::bytes_text(bytes_a) + " -> " +
        ptq::bytes_text(bytes_b) + "\nidentical: " + std::to_string(found.identical) + "\n");
  print_names("only in A", found.only_in_a);
  print_names("only in B", found.only_in_b);
}

}  // namespace

int run_compare(const options& given) {
  const auto a = side::open(given.files[0]);
  if (!a) return fail(given, a.error(), failed);
  const auto b = side::open(given.files[1]);
  if (!b) return fail(given, b.error(), failed);
  comparison found = compare(*a, *b);
  if (found.differences.empty() && found.identical == 0)
    return fail(given,
                ptq::error(ptq::errc::invalid_value, given.files[0] + " and " + given.files[1],
                           "there is no tensor that both have. Compare a model with its own artifact."),
                failed);
  // The worst first; what cannot be measured before everything else.
  const auto rank = [](const difference& d) { return d.error ? d.error->sqnr_db : -1e300; };
  std::sort(found.differences.begin(), found.differences.end(),
            [&](const difference& x, const difference& y) {
              return std::pair(rank(x), x.name) < std::pair(rank(y), y.name);
            });
  if (given.json)
    print_json(json_of(found));
  else
    print_comparison(found);
  return done;
}

}  // namespace cli
