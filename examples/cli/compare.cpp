// SPDX-License-Identifier: Apache-2.0
// ptq compare: two models, or a model and its artifact, layer by layer.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "output.hpp"
#include "ptq/formats.hpp"
#include "ptq/formats/checkpoint/row_major.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/report/json.hpp"
#include "ptq/text/table.hpp"
#include "terminal.hpp"

namespace cli {
namespace {

/// Formats name one type differently.
bool has_type_of(const ptq::model_tensor& a, const ptq::model_tensor& b) {
  return a.type == b.type ||
         (!a.weights && !b.weights && ptq::bits_of(a.view.type) > 0 && a.view.type == b.view.type);
}

/// Files may hold views of transposed tensors.
bool is_row_major(const ptq::model_tensor& tensor) {
  return tensor.view.strides == ptq::row_major(tensor.view.shape);
}

std::vector<std::byte> row_major_bytes(const ptq::model_tensor& tensor) {
  if (is_row_major(tensor)) return {tensor.data.begin(), tensor.data.end()};
  std::vector<std::byte> bytes(tensor.view.size() * ptq::size_of(tensor.view.type));
  ptq::copy_row_major(tensor.view, 0, bytes);
  return bytes;
}

bool has_bytes_of(const ptq::model_tensor& a, const ptq::model_tensor& b) {
  if (is_row_major(a) && is_row_major(b)) return std::ranges::equal(a.data, b.data);
  return row_major_bytes(a) == row_major_bytes(b);
}

bool is_stored_as(const ptq::model_tensor& a, const ptq::model_tensor& b) {
  return has_type_of(a, b) && a.shape == b.shape && has_bytes_of(a, b) &&
         a.weights.has_value() == b.weights.has_value() &&
         (!a.weights || std::ranges::equal(a.weights->scales, b.weights->scales));
}

/// As floats, dequantized if need be; nothing if it does not hold floats.
std::optional<std::vector<float>> values_of(const ptq::model_tensor& tensor) {
  if (tensor.weights) {
    std::vector<float> values(tensor.weights->shape.size());
    if (!ptq::dequantize(*tensor.weights, values)) return {};
    return values;
  }
  if (!tensor.view.has_floats()) return {};
  std::vector<float> values(tensor.view.size());
  ptq::visit(tensor.view, [&]<class T>(ptq::tensor_view<const T> typed) {
    const bool is_dense = is_row_major(tensor);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto at = static_cast<std::ptrdiff_t>(i);
      values[i] = ptq::element_traits<T>::to_float(
          typed.data[is_dense ? at : ptq::offset_of(i, typed.shape, typed.strides)]);
    }
  });
  return values;
}

/// One side, and its tensors by their names.
class side {
 public:
  static ptq::result<side> open(const std::string& path, const ptq::checkpoint_config& how = {}) {
    auto file = ptq::model_file::open(path, how);
    if (!file) return file.error();
    auto contents = (*std::move(file)).contents();
    if (!contents) return contents.error();
    print_notes(contents->notes);
    return side(*std::move(contents));
  }

  const std::vector<ptq::model_tensor>& tensors() const noexcept { return contents_.tensors; }

  const ptq::model_tensor* find(const std::string& name) const {
    const auto found = index_.find(name);
    return found != index_.end() ? &contents_.tensors[found->second] : nullptr;
  }

  /// Gives a tensor's memory back.
  void release(const ptq::model_tensor& tensor) const noexcept { contents_.release(tensor); }

 private:
  explicit side(ptq::model_contents contents) : contents_(std::move(contents)) {
    for (std::size_t i = 0; i < contents_.tensors.size(); ++i) index_.emplace(contents_.tensors[i].name, i);
  }

  ptq::model_contents contents_;
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

difference measure(const ptq::model_tensor& x, const ptq::model_tensor& y) {
  difference found{x.title, x.shape, y.shape, x.type, y.type, x.bytes(), y.bytes(), false, {}, 0, 0};
  if (x.shape != y.shape) return found;
  const auto original = values_of(x);
  const auto approximation = values_of(y);
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
  for (const ptq::model_tensor& x : a.tensors()) {
    shown.step(x.name);
    const ptq::model_tensor* const y = b.find(x.name);
    if (y == nullptr) {
      found.only_in_a.push_back(x.name);
      continue;
    }
    if (is_stored_as(x, *y))
      ++found.identical;
    else
      found.differences.push_back(measure(x, *y));
    a.release(x);
    b.release(*y);
  }
  for (const ptq::model_tensor& y : b.tensors())
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
  const auto a = side::open(given.files[0], given.checkpoint);
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
