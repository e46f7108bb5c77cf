// SPDX-License-Identifier: Apache-2.0
// ptq compare: two checkpoints, or a checkpoint and its artifact, layer by layer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "ptq/io/artifact.hpp"
#include "ptq/quantize/error.hpp"
#include "ptq/report/table.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// One side: a file, and its layers if it is an artifact.
struct side {
  ptq::checkpoint file;
  ptq::artifact content;

  const ptq::artifact_weights* quantized(const std::string& tensor) const {
    for (const ptq::artifact_layer& layer : content.layers)
      if (layer.weights && tensor == layer.name + ".weight") return &*layer.weights;
    return nullptr;
  }

  /// Scales belong to the layer they scale; they are not compared for themselves.
  bool is_scale(const std::string& tensor) const {
    return std::any_of(content.layers.begin(), content.layers.end(), [&](const ptq::artifact_layer& layer) {
      return tensor == layer.name + ".weight_scale" || tensor == layer.name + ".input_scale";
    });
  }
};

/// A tensor that both sides have, and that differs.
struct difference {
  std::string name;  // of the layer, if the tensor is a layer's weight
  std::vector<std::size_t> shape_a, shape_b;
  std::string type_a, type_b;
  std::uint64_t bytes_a = 0, bytes_b = 0;
  std::optional<ptq::error_metrics> error;  // nothing where shapes differ or values are not floats
};

struct comparison {
  std::vector<difference> differences;
  std::size_t identical = 0;
  std::vector<std::string> only_in_a, only_in_b;
};

ptq::result<side> open_side(const std::string& path) {
  auto file = ptq::open_safetensors(path);
  if (!file) return file.error();
  side opened{*std::move(file), {}};
  if (!ptq::is_artifact(opened.file)) return opened;
  auto content = ptq::read_artifact(opened.file);
  if (!content) return content.error();
  opened.content = *std::move(content);
  return opened;
}

/// The values of a tensor as floats, dequantized if it is a weight of an artifact; empty if it does not hold
/// floats.
std::vector<float> values_of(const side& from, const ptq::stored_tensor& tensor) {
  std::vector<float> values;
  if (const auto* weights = from.quantized(tensor.name)) {
    values.resize(weights->shape.size());
    if (!ptq::dequantize(*weights, from.content.backend, values)) values.clear();
  } else if (const ptq::any_view view = tensor.view(); view.type) {
    values.resize(view.size());
    ptq::visit(view, [&]<class T>(ptq::tensor_view<const T> typed) {
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = ptq::element_traits<T>::to_float(typed.data[i]);
    });
  }
  return values;
}

std::uint64_t bytes_of(const side& from, const ptq::stored_tensor& tensor) {
  const auto* weights = from.quantized(tensor.name);
  return tensor.data.size() + (weights != nullptr ? weights->scales.size_bytes() : 0);
}

std::string type_of(const side& from, const ptq::stored_tensor& tensor) {
  const auto* weights = from.quantized(tensor.name);
  return weights != nullptr ? weights->dtype : std::string(ptq::name_of(tensor.type));
}

std::string layer_name(const std::string& tensor) {
  constexpr std::string_view suffix = ".weight";
  return tensor.ends_with(suffix) ? tensor.substr(0, tensor.size() - suffix.size()) : tensor;
}

difference measure(const side& a, const ptq::stored_tensor& x, const side& b, const ptq::stored_tensor& y) {
  difference found{layer_name(x.name), x.shape,        y.shape,        type_of(a, x),
                   type_of(b, y),      bytes_of(a, x), bytes_of(b, y), {}};
  if (x.shape != y.shape) return found;
  const std::vector<float> original = values_of(a, x);
  const std::vector<float> approximation = values_of(b, y);
  if (original.empty() || original.size() != approximation.size()) return found;
  ptq::error_accumulator sums;
  for (std::size_t i = 0; i < original.size(); ++i)
    sums.add(static_cast<double>(original[i]), static_cast<double>(approximation[i]));
  found.error = sums.metrics();
  return found;
}

comparison compare(const side& a, const side& b) {
  comparison found;
  progress shown(a.file.tensors().size());
  for (const ptq::stored_tensor& x : a.file.tensors()) {
    shown.step(x.name);
    if (a.is_scale(x.name)) continue;
    const ptq::stored_tensor* y = b.file.find(x.name);
    if (y == nullptr) {
      found.only_in_a.push_back(x.name);
    } else if (x.type == y->type && x.shape == y->shape && std::ranges::equal(x.data, y->data) &&
               a.quantized(x.name) == nullptr && b.quantized(x.name) == nullptr) {
      ++found.identical;
    } else {
      found.differences.push_back(measure(a, x, b, *y));
    }
    a.file.release(x);
    if (y != nullptr) b.file.release(*y);
  }
  for (const ptq::stored_tensor& y : b.file.tensors())
    if (!b.is_scale(y.name) && a.file.find(y.name) == nullptr) found.only_in_b.push_back(y.name);
  return found;
}

nlohmann::json json_of(const comparison& found) {
  auto layers = nlohmann::json::array();
  for (const difference& d : found.differences) {
    nlohmann::json row = {{"name", d.name},      {"shape", d.shape_a},   {"dtype_a", d.type_a},
                          {"dtype_b", d.type_b}, {"bytes_a", d.bytes_a}, {"bytes_b", d.bytes_b},
                          {"sqnr_db", nullptr},  {"cosine", nullptr},    {"max_abs_error", nullptr}};
    if (d.shape_a != d.shape_b) row["shape_b"] = d.shape_b;
    if (d.error) {
      row["sqnr_db"] = d.error->sqnr_db;
      row["cosine"] = d.error->cosine;
      row["max_abs_error"] = d.error->max_abs;
    }
    layers.push_back(std::move(row));
  }
  return {{"layers", layers},
          {"identical", found.identical},
          {"only_in_a", found.only_in_a},
          {"only_in_b", found.only_in_b}};
}

void print_names(const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::printf("%s: %zu (", title, names.size());
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 6); ++i)
    std::printf("%s%s", i == 0 ? "" : ", ", names[i].c_str());
  std::puts(names.size() > 6 ? ", ...)" : ")");
}

void print(const comparison& found) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"layer"}, column{"A"}, column{"B"}, column{"SQNR dB", right},
                         column{"cosine", right}, column{"max error", right}, column{"bytes A", right},
                         column{"bytes B", right}});
  std::uint64_t bytes_a = 0;
  std::uint64_t bytes_b = 0;
  for (const difference& d : found.differences) {
    bytes_a += d.bytes_a;
    bytes_b += d.bytes_b;
    std::vector<std::string> row{
        d.name, d.type_a, d.type_b, "-", "-", "-", ptq::bytes_text(d.bytes_a), ptq::bytes_text(d.bytes_b)};
    if (d.error) {
      row[3] = ptq::fixed_text(d.error->sqnr_db, 1);
      row[4] = ptq::fixed_text(d.error->cosine, 6);
      row[5] = ptq::short_text(d.error->max_abs);
    } else if (d.shape_a != d.shape_b) {
      row[3] = "other shape";
    }
    table.add(row);
  }
  if (!table.empty()) std::printf("%s\n", table.text().c_str());
  std::printf("differ: %zu, %s -> %s\nidentical: %zu\n", found.differences.size(),
              ptq::bytes_text(bytes_a).c_str(), ptq::bytes_text(bytes_b).c_str(), found.identical);
  print_names("only in A", found.only_in_a);
  print_names("only in B", found.only_in_b);
}

}  // namespace

int run_compare(const options& given) {
  const auto a = open_side(given.files[0]);
  if (!a) return fail(given, a.error(), failed);
  const auto b = open_side(given.files[1]);
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
    std::puts(ptq::detail::dump_json(json_of(found)).c_str());
  else
    print(found);
  return done;
}

}  // namespace cli
