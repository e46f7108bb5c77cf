// SPDX-License-Identifier: Apache-2.0
// Which dtype for this model? One table for any model that `ptq quantize` reads: dtype x granularity with
// bytes, error and speed.
//
// All weights that can be quantized (Linear, Conv) are quantized with TorchAO's numbers and dequantized
// again, by every instruction set of the machine. The speeds are medians over rounds in which every row runs
// once, beside a memcpy of the same floats on one thread; "of memcpy" is its time over ours.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dtype_choice/figures.hpp"
#include "dtype_choice/picture.hpp"
#include "output.hpp"
#include "ptq/backend/concept.hpp"
#include "ptq/backends.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/text/shape_text.hpp"
#include "ptq/text/table.hpp"
#include "support/build.hpp"
#include "support/isas.hpp"
#include "support/rounds.hpp"
#include "terminal.hpp"

namespace {

constexpr const char* usage =
    "usage: dtype_choice MODEL [--rounds N] [--threads N] [--json] [--svg FILE] [--check]\n"
    "Prints for each dtype and granularity what it costs the weights of the model: bytes, error, speed.\n"
    "MODEL is what ptq quantizes: .onnx, .safetensors, .safetensors.index.json, or a folder with one of the "
    "latter.\n"
    "  --rounds N   the speeds are medians of N rounds (11)\n"
    "  --threads N  how many quantize and dequantize at once (1)\n"
    "  --json       print JSON\n"
    "  --svg FILE   draw error against bytes, and the speeds\n"
    "  --check      fail unless every registered dtype has its rows\n"
    "PTQ_ISA in the environment (portable, avx2, avx512) measures one instruction set alone.\n";

/// A weight as row-major floats.
struct weight {
  ptq::layer source;
  std::vector<float> values;
  ptq::tensor_shape shape;
  std::vector<float> restored;  // where dequantize and memcpy write
  ptq::granularity channels;    // one scale an output channel
};

/// What a scale is for.
constexpr const char* granularities[] = {"tensor", "channel"};

/// What one row of the table measures.
struct row {
  std::string dtype;
  std::string granularity;
  ptq::isa set;
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
ptq::result<void> run_round(row& r, std::vector<weight>& weights, const ptq::threads& pool) {
  ptq::force_isa(r.set);
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
    quantizing += bench::seconds_of(
        [&] { done = ptq::quantize<D, ptq::torchao>(source, made.codes, made.scales, grain, pool); });
    if (!done) return refusal(w.source, done);
    dequantizing +=
        bench::seconds_of([&] { done = ptq::dequantize<D>(made.codes, made.scales, grain, target, pool); });
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

bench::figures figures_of(const std::vector<row>& rows, const std::vector<double>& copy_seconds,
                          std::size_t elements, std::string model, std::size_t threads) {
  const auto speed = [&](const std::vector<double>& seconds) {
    return static_cast<double>(elements) / bench::median(seconds);
  };
  bench::figures all{std::move(model), elements, threads, speed(copy_seconds), {}};
  for (const row& r : rows) {
    const ptq::error_metrics error = r.error.metrics();
    all.rows.push_back({r.dtype, r.granularity, ptq::name_of(r.set), r.bytes, error.sqnr_db, error.max_abs,
                        speed(r.quantize_seconds), speed(r.dequantize_seconds)});
  }
  return all;
}

void print(const bench::figures& all) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"dtype"}, column{"scale per"}, column{"bytes", right},
                         column{"SQNR dB", right}, column{"max error", right}, column{"isa"},
                         column{"quantize Gelem/s", right}, column{"of memcpy", right},
                         column{"dequantize Gelem/s", right}, column{"of memcpy", right}});
  const auto giga = [](double speed) { return ptq::fixed_text(speed / 1e9, 2); };
  for (const bench::figure& f : all.rows)
    table.add({f.dtype, f.granularity, ptq::bytes_text(f.bytes), ptq::fixed_text(f.sqnr_db, 1),
               ptq::short_text(f.max_error), f.set, giga(f.quantize),
               ptq::fixed_text(f.quantize / all.memcpy, 2), giga(f.dequantize),
               ptq::fixed_text(f.dequantize / all.memcpy, 2)});
  std::printf("%s%zu weights, threads: %zu, memcpy %s Gelem/s\n\n%s", build_text().c_str(), all.elements,
              all.threads, giga(all.memcpy).c_str(), table.text().c_str());
}

void print_json(const bench::figures& all) {
  nlohmann::json rows = nlohmann::json::array();
  for (const bench::figure& f : all.rows) {
    const nlohmann::json sqnr = std::isfinite(f.sqnr_db) ? nlohmann::json(f.sqnr_db) : nlohmann::json();
    rows.push_back({{"dtype", f.dtype},
                    {"scale_per", f.granularity},
                    {"isa", f.set},
                    {"bytes", f.bytes},
                    {"sqnr_db", sqnr},
                    {"max_error", f.max_error},
                    {"quantize_gelem_per_second", f.quantize / 1e9},
                    {"quantize_of_memcpy", f.quantize / all.memcpy},
                    {"dequantize_gelem_per_second", f.dequantize / 1e9},
                    {"dequantize_of_memcpy", f.dequantize / all.memcpy}});
  }
  cli::print_json({{"build", build_text()},
                   {"cpu", cpu_text()},
                   {"model", all.model},
                   {"weights", all.elements},
                   {"threads", all.threads},
                   {"memcpy_gelem_per_second", all.memcpy / 1e9},
                   {"rows", rows}});
}

/// Fills one row a dtype, granularity and instruction set, in interleaved rounds.
ptq::result<std::vector<row>> measure(std::vector<weight>& weights, std::size_t rounds,
                                      const std::vector<ptq::isa>& sets, const ptq::threads& pool,
                                      std::vector<double>& copy_seconds) {
  std::vector<row> rows;
  ptq::result<void> outcome;
  cli::progress shown(rounds);
  for (std::size_t round = 0; round < rounds; ++round) {
    copy_seconds.push_back(bench::seconds_of([&] {
      for (weight& w : weights)
        std::memcpy(w.restored.data(), w.values.data(), w.values.size() * sizeof(float));
    }));
    std::size_t at = 0;
    ptq::detail::for_each_type(ptq::dtypes{}, [&]<class D>(ptq::detail::type_tag<D>) {
      for (const char* const granularity : granularities)
        for (const ptq::isa set : sets) {
          if (round == 0) rows.push_back({D::name, granularity, set, 0, {}, {}, {}});
          if (outcome) outcome = run_round<D>(rows[at++], weights, pool);
        }
    });
    if (!outcome) return outcome.error();
    shown.step("rounds");
  }
  return rows;
}

bool has_every_dtype(const std::vector<row>& rows, std::size_t sets) {
  bool complete = true;
  ptq::detail::for_each_type(ptq::dtypes{}, [&]<class D>(ptq::detail::type_tag<D>) {
    const auto count = std::count_if(rows.begin(), rows.end(), [](const row& r) {
      return r.dtype == D::name && r.bytes > 0 && !r.quantize_seconds.empty();
    });
    complete = complete && static_cast<std::size_t>(count) == std::size(granularities) * sets;
  });
  return complete;
}

/// What the command line asks for.
struct options {
  std::string model;
  std::size_t rounds = 11;
  std::size_t threads = 1;
  std::string svg;
  bool check = false;
  bool json = false;
};

/// Whether a word is a number from 1 to 4096.
bool read_count(std::string_view word, std::size_t& count) {
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), count);
  return problem == std::errc{} && end == word.data() + word.size() && count >= 1 && count <= 4096;
}

/// Nothing if the arguments are not of the form that `usage` shows.
std::optional<options> options_of(std::span<char*> arguments) {
  options given;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--check") {
      given.check = true;
    } else if (argument == "--json") {
      given.json = true;
    } else if (argument == "--rounds" && i + 1 < arguments.size()) {
      if (!read_count(arguments[++i], given.rounds)) return {};
    } else if (argument == "--threads" && i + 1 < arguments.size()) {
      if (!read_count(arguments[++i], given.threads)) return {};
    } else if (argument == "--svg" && i + 1 < arguments.size()) {
      given.svg = arguments[++i];
    } else if (given.model.empty() && !argument.starts_with("-")) {
      given.model = argument;
    } else {
      return {};
    }
  }
  if (given.model.empty()) return {};
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
  const std::vector<ptq::isa> sets = bench::isas_to_measure();
  const ptq::threads pool(given->threads);
  std::vector<double> copy_seconds;
  const auto rows = measure(weights, given->rounds, sets, pool, copy_seconds);
  if (!rows) return fail(rows.error().in(file).what);
  const bench::figures all = figures_of(*rows, copy_seconds, elements, given->model, pool.count());
  if (given->json)
    print_json(all);
  else
    print(all);
  if (!given->svg.empty() && !bench::picture_of(all).write(given->svg))
    return fail(given->svg + ": it cannot be written. Give a file in a folder that is there.");
  return given->check && !has_every_dtype(*rows, sets.size()) ? 1 : 0;
}
