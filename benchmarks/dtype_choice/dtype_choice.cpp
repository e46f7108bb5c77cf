// SPDX-License-Identifier: Apache-2.0
// Which dtype for this model? One table for any model that `ptq quantize` reads: dtype x granularity with
// bytes, error and speed.
//
// All weights that can be quantized (Linear, Conv) are quantized with TorchAO's numbers and dequantized
// again. The speeds are medians over rounds in which every row runs once, beside a memcpy of the same floats;
// "of memcpy" is its time over ours.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/backend/concept.hpp"
#include "ptq/backends.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/text/shape_text.hpp"
#include "ptq/text/table.hpp"
#include "support/build.hpp"
#include "terminal.hpp"

namespace {

constexpr const char* usage =
    "usage: dtype_choice MODEL [--rounds N] [--check]\n"
    "Prints for each dtype and granularity what it costs the weights of the model: bytes, error, speed.\n"
    "MODEL is what ptq quantizes: .onnx, .safetensors, .safetensors.index.json, or a folder with one of the "
    "latter.\n"
    "  --rounds N  the speeds are medians of N rounds (11)\n"
    "  --check     fail unless every registered dtype has its rows\n";

using clock_type = std::chrono::steady_clock;

/// A weight as row-major floats.
struct weight {
  ptq::layer source;
  std::vector<float> values;
  ptq::tensor_shape shape;
  std::vector<float> restored;  // where dequantize and memcpy write
  ptq::granularity channels;    // one scale an output channel
};

template <class F>
double seconds_of(F&& f) {
  const auto begin = clock_type::now();
  f();
  return std::chrono::duration<double>(clock_type::now() - begin).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

/// What a scale is for.
constexpr const char* granularities[] = {"tensor", "channel"};

/// What one row of the table measures.
struct row {
  std::string dtype;
  std::string granularity;
  std::size_t bytes = 0;
  ptq::error_accumulator error;
  std::vector<double> quantize_seconds;
  std::vector<double> dequantize_seconds;
};

template <class D>
struct codes_and_scales {
  std::vector<typename D::storage> codes;
  std::vector<float> scales;
};

/// Why a weight cannot be quantized: it holds NaN or infinity.
ptq::error refusal(const ptq::layer& source, ptq::status refused) {
  return ptq::error(refused.code, "layer \"" + source.name + "\"",
                    "weight" + ptq::detail::index_text(refused.at, source.weight.shape) + " " +
                        ptq::detail::why_not_finite(source.weight, refused.at) + ".");
}

/// Quantizes and dequantizes every weight once, and adds the times; the first round also counts bytes and
/// errors.
template <class D>
ptq::result<void> run_round(row& r, std::vector<weight>& weights) {
  const bool is_first = r.quantize_seconds.empty();
  double quantizing = 0;
  double dequantizing = 0;
  codes_and_scales<D> made;
  for (weight& w : weights) {
    const ptq::granularity grain = r.granularity == "tensor" ? ptq::per_tensor() : w.channels;
    const ptq::tensor_view<const float> source(w.values.data(), w.shape);
    const ptq::tensor_view<float> target(w.restored.data(), w.shape);
    made.codes.resize(w.values.size());
    made.scales.resize(ptq::scale_count(w.shape, grain));
    ptq::status done;
    quantizing +=
        seconds_of([&] { done = ptq::quantize<D, ptq::torchao>(source, made.codes, made.scales, grain); });
    if (!done) return refusal(w.source, done);
    dequantizing += seconds_of([&] { done = ptq::dequantize<D>(made.codes, made.scales, grain, target); });
    if (!is_first) continue;
    r.bytes += made.codes.size() * sizeof(typename D::storage);
    if (ptq::recipe_of<D, ptq::torchao>.divisor != 0)
      r.bytes += made.scales.size() * sizeof(float);  // else all are 1
    for (std::size_t i = 0; i < w.values.size(); ++i)
      r.error.add(static_cast<double>(w.values[i]), static_cast<double>(w.restored[i]));
  }
  r.quantize_seconds.push_back(quantizing);
  r.dequantize_seconds.push_back(dequantizing);
  return {};
}

std::vector<weight> weights_of(const ptq::model_file& model) {
  std::vector<weight> weights;
  for (const ptq::layer& l : model.layers()) {
    const ptq::class_traits traits = ptq::traits_of_class(l.class_name);
    if (!traits.weights || !l.weight.has_floats() || l.weight.size() == 0) continue;
    const std::size_t axis = l.output_axis.value_or(traits.output_axis);
    if (axis >= l.weight.shape.rank) continue;
    weight w{l, std::vector<float>(l.weight.size()), l.weight.shape, std::vector<float>(l.weight.size()),
             ptq::per_channel(axis)};
    const auto* bytes = static_cast<const std::byte*>(l.weight.data);
    ptq::visit(l.weight, [&]<class T>(ptq::tensor_view<const T>) {
      for (std::size_t i = 0; i < w.values.size(); ++i) {
        T value;  // the file need not align it
        std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
        w.values[i] = ptq::element_traits<T>::to_float(value);
      }
    });
    weights.push_back(std::move(w));
  }
  return weights;
}

void print(const std::vector<row>& rows, const std::vector<double>& copy_seconds, std::size_t elements) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"dtype"}, column{"scale per"}, column{"bytes", right},
                         column{"SQNR dB", right}, column{"max error", right},
                         column{"quantize Gelem/s", right}, column{"of memcpy", right},
                         column{"dequantize Gelem/s", right}, column{"of memcpy", right}});
  const double copying = median(copy_seconds);
  const auto giga = [&](double seconds) {
    return ptq::fixed_text(static_cast<double>(elements) / seconds / 1e9, 2);
  };
  for (const row& r : rows) {
    const ptq::error_metrics error = r.error.metrics();
    const double quantizing = median(r.quantize_seconds);
    const double dequantizing = median(r.dequantize_seconds);
    table.add({r.dtype, r.granularity, ptq::bytes_text(r.bytes), ptq::fixed_text(error.sqnr_db, 1),
               ptq::short_text(error.max_abs), giga(quantizing), ptq::fixed_text(copying / quantizing, 2),
               giga(dequantizing), ptq::fixed_text(copying / dequantizing, 2)});
  }
  std::printf("%s%zu weights, memcpy %s Gelem/s\n\n%s", build_text().c_str(), elements, giga(copying).c_str(),
              table.text().c_str());
}

/// Fills one row a dtype and granularity, in interleaved rounds.
ptq::result<std::vector<row>> measure(std::vector<weight>& weights, std::size_t rounds,
                                      std::vector<double>& copy_seconds) {
  std::vector<row> rows;
  ptq::result<void> outcome;
  cli::progress shown(rounds);
  for (std::size_t round = 0; round < rounds; ++round) {
    copy_seconds.push_back(seconds_of([&] {
      for (weight& w : weights)
        std::memcpy(w.restored.data(), w.values.data(), w.values.size() * sizeof(float));
    }));
    std::size_t at = 0;
    ptq::detail::for_each_type(ptq::dtypes{}, [&]<class D>(ptq::detail::type_tag<D>) {
      for (const char* const granularity : granularities) {
        if (round == 0) rows.push_back({D::name, granularity, 0, {}, {}, {}});
        if (outcome) outcome = run_round<D>(rows[at++], weights);
      }
    });
    if (!outcome) return outcome.error();
    shown.step("rounds");
  }
  return rows;
}

bool has_every_dtype(const std::vector<row>& rows) {
  bool complete = true;
  ptq::detail::for_each_type(ptq::dtypes{}, [&]<class D>(ptq::detail::type_tag<D>) {
    const auto count = std::count_if(rows.begin(), rows.end(), [](const row& r) {
      return r.dtype == D::name && r.bytes > 0 && !r.quantize_seconds.empty();
    });
    complete = complete && count == std::ssize(granularities);
  });
  return complete;
}

/// What the command line asks for.
struct options {
  std::string model;
  std::size_t rounds = 11;
  bool check = false;
};

/// Nothing if the arguments are not of the form that `usage` shows.
std::optional<options> options_of(std::span<char*> arguments) {
  options given;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--check") {
      given.check = true;
    } else if (argument == "--rounds" && i + 1 < arguments.size()) {
      const std::string_view number = arguments[++i];
      const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), given.rounds);
      if (problem != std::errc{} || end != number.data() + number.size()) return {};
    } else if (given.model.empty() && !argument.starts_with("-")) {
      given.model = argument;
    } else {
      return {};
    }
  }
  if (given.model.empty() || given.rounds == 0) return {};
  return given;
}

int fail(const std::string& text) {
  std::fprintf(stderr, "dtype_choice: error: %s\n", ptq::printable(text).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv + 1, argv + argc);
  if (std::any_of(arguments.begin(), arguments.end(),
                  [](std::string_view a) { return a == "--help" || a == "-h"; })) {
    std::fputs(usage, stdout);
    return 0;
  }
  const auto given = options_of(arguments);
  if (!given) {
    std::fputs(usage, stderr);
    return 2;
  }
  ptq::spec spec;
  spec.quantize.model_path = given->model;
  const auto model = ptq::model_file::open_for(spec);
  if (!model) return fail(model.error().what);
  const std::string file = ptq::absolute_path(given->model);
  std::vector<weight> weights = weights_of(*model);
  std::size_t elements = 0;
  for (const weight& w : weights) elements += w.values.size();
  if (elements == 0) return fail(file + ": it holds no weight of a Linear or Conv layer.");
  std::vector<double> copy_seconds;
  const auto rows = measure(weights, given->rounds, copy_seconds);
  if (!rows) return fail(rows.error().in(file).what);
  print(*rows, copy_seconds, elements);
  return given->check && !has_every_dtype(*rows) ? 1 : 0;
}
