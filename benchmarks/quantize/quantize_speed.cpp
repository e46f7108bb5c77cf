// SPDX-License-Identifier: Apache-2.0
// How fast is it? Every dtype, source type, size of memory, granularity and instruction set, by the calls
// that users make and by the kernels alone, beside memcpy, a sum that only reads, and a raw loop.
//
// Rounds over all rows of a size are interleaved; the figures are medians. GB/s counts what is read and
// written. "of the limit" is that, beside what memcpy moves in the same memory (of what only reads: beside
// the sum); "of memcpy" is the time of a memcpy of as many floats over ours.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "ptq/detail/type_list.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/text/table.hpp"
#include "quantize/speed_rows.hpp"
#include "quantize/speed_summary.hpp"
#include "support/build.hpp"
#include "support/isas.hpp"
#include "support/rounds.hpp"

namespace {

constexpr const char* usage =
    "usage: quantize_speed [--summary] [--svg FILE] [--json] [--filter TEXT ...] [--rounds N] [--large N]\n"
    "                      [--threads N] [--check]\n"
    "  --summary       the README's table instead of all rows\n"
    "  --svg FILE      draws the table\n"
    "  --json          prints JSON\n"
    "  --filter TEXT   only rows of whose size and name it is a part: "
    "L2/quantize/int8/float32/row/avx512/1;\n"
    "                  given several times, each of them\n"
    "  --rounds N      medians of N rounds (21), in DRAM of a third\n"
    "  --large N       Mi floats that are in no cache (64)\n"
    "  --threads N     beside one thread (all cores)\n"
    "  --check         times nothing worth a word: one round in the first cache\n"
    "PTQ_ISA in the environment (portable, avx2, avx512) measures one instruction set alone.\n";

struct options {
  bool is_summary = false;
  bool is_json = false;
  bool is_check = false;
  std::string svg;
  std::vector<std::string> filters;
  std::size_t rounds = 21;
  std::size_t large = 64;
  std::size_t threads = ptq::threads::core_count();
};

/// Nothing if the arguments are not of the form that `usage` shows.
std::optional<options> options_of(std::span<char*> arguments) {
  options given;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--summary") {
      given.is_summary = true;
    } else if (argument == "--json") {
      given.is_json = true;
    } else if (argument == "--check") {
      given.is_check = true;
    } else if (i + 1 == arguments.size()) {
      return {};
    } else if (argument == "--svg") {
      given.svg = arguments[++i];
    } else if (argument == "--filter") {
      given.filters.emplace_back(arguments[++i]);
    } else {
      std::size_t* const number = argument == "--rounds"    ? &given.rounds
                                  : argument == "--large"   ? &given.large
                                  : argument == "--threads" ? &given.threads
                                                            : nullptr;
      const std::string_view word = arguments[++i];
      if (number == nullptr) return {};
      const auto [end, wrong] = std::from_chars(word.data(), word.data() + word.size(), *number);
      if (wrong != std::errc() || end != word.data() + word.size() || *number == 0 || *number > 4096)
        return {};
    }
  }
  return given;
}

/// Adds all rows of a size that are wanted.
void add_rows(bench::row_maker& make, std::size_t elements, const std::vector<ptq::isa>& sets,
              const ptq::threads& pool) {
  using ptq::detail::type_tag;
  using sources = ptq::list<float, ptq::half, ptq::bfloat16>;
  using dtypes = ptq::list<ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2>;
  const std::vector<bench::layout> layouts = bench::layouts_of(elements);
  make.add_limits();
  ptq::detail::for_each_type(sources{}, [&]<class T>(type_tag<T>) {
    for (const ptq::isa set : sets) make.add_reads<T>(set);
    ptq::detail::for_each_type(dtypes{}, [&]<class D>(type_tag<D>) {
      make.add_raw_loops<D, T>();
      for (const ptq::isa set : sets) {
        make.add_kernels<D, T>(set);
        for (const bench::layout& l : layouts) make.add_calls<D, T>(set, l);
      }
      if (pool.count() > 1)
        for (const bench::layout& l : layouts) make.add_calls_on<D, T>(sets.back(), l, pool, pool.count());
    });
  });
}

void run_rounds(bench::section& s, std::size_t rounds) {
  for (bench::row& r : s.rows) {
    ptq::force_isa(r.set);
    r.repeats = bench::repeats_of(r.call);
  }
  const bool is_shown = ::isatty(STDERR_FILENO) != 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    if (is_shown)
      std::fprintf(stderr, "\r\033[K%s: %zu rows, round %zu of %zu", s.size.name, s.rows.size(), round + 1,
                   rounds);
    for (bench::row& r : s.rows) {
      ptq::force_isa(r.set);
      r.call();  // the caches hold what this row needs, not what its neighbour did
      r.seconds.push_back(bench::seconds_of(r.call, r.repeats));
    }
  }
  if (is_shown) std::fputs("\r\033[K", stderr);
  ptq::choose_best_isa();
}

/// Beside the limits of its size.
struct relative {
  std::optional<double> of_limit;
  std::optional<double> of_copy;

  relative(const bench::section& s, const bench::row& r) {
    const bench::row* const copy = s.find(bench::copy_of_floats);
    const bench::row* const limit = r.only_reads ? s.find("sum/-/float32/-/best vectors/1") : copy;
    if (limit != nullptr) of_limit = r.bytes_per_second() / limit->bytes_per_second();
    if (copy != nullptr) of_copy = bench::times_faster(r, *copy).middle;
  }
};

std::string table_text(const std::vector<bench::section>& sections) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"size"}, column{"work"}, column{"dtype"}, column{"source"},
                         column{"scale per"}, column{"kernels"}, column{"threads", right},
                         column{"Gelem/s", right}, column{"+- %", right}, column{"GB/s", right},
                         column{"of the limit", right}, column{"of memcpy", right}});
  const auto text = [](const std::optional<double>& ratio) {
    return ratio ? ptq::fixed_text(*ratio, 2) : "-";
  };
  for (const bench::section& s : sections)
    for (const bench::row& r : s.rows) {
      const relative beside(s, r);
      table.add({s.size.name, r.words.work, r.words.dtype, r.words.source, r.words.scale_per, r.words.kernels,
                 std::to_string(r.words.threads), ptq::fixed_text(r.elements_per_second() / 1e9, 2),
                 ptq::fixed_text(100 * bench::spread(r.seconds).width(), 0),
                 ptq::fixed_text(r.bytes_per_second() / 1e9, 1), text(beside.of_limit),
                 text(beside.of_copy)});
    }
  return table.text();
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c != '\n') out += c;
  }
  return out + "\"";
}

std::string json_text(const std::vector<bench::section>& sections) {
  std::string rows;
  const auto text = [](const std::optional<double>& ratio) {
    return ratio ? ptq::short_text(*ratio, 4) : std::string("null");
  };
  for (const bench::section& s : sections)
    for (const bench::row& r : s.rows) {
      const relative beside(s, r);
      const bench::spread seconds(r.seconds);
      rows += std::string(rows.empty() ? "" : ",") + "\n  {\"size\": " + quoted(s.size.name) +
              ", \"work\": " + quoted(r.words.work) + ", \"dtype\": " + quoted(r.words.dtype) +
              ", \"source\": " + quoted(r.words.source) + ", \"scale_per\": " + quoted(r.words.scale_per) +
              ", \"kernels\": " + quoted(r.words.kernels) +
              ", \"threads\": " + std::to_string(r.words.threads) +
              ", \"elements\": " + std::to_string(r.elements) +
              ", \"seconds\": " + ptq::short_text(seconds.middle, 6) + ", \"quartiles\": [" +
              ptq::short_text(seconds.low, 6) + ", " + ptq::short_text(seconds.high, 6) +
              "], \"gelem_per_second\": " + ptq::short_text(r.elements_per_second() / 1e9, 4) +
              ", \"gb_per_second\": " + ptq::short_text(r.bytes_per_second() / 1e9, 4) +
              ", \"of_limit\": " + text(beside.of_limit) + ", \"of_memcpy\": " + text(beside.of_copy) + "}";
    }
  return "{\"build\": " + quoted(build_text()) + ", \"cpu\": " + quoted(cpu_text()) + ", \"rows\": [" + rows +
         "\n]}\n";
}

std::vector<bench::memory_size> sizes_of(const options& given) {
  if (given.is_check) return {{"L1", 1024}};
  return {{"L1", std::size_t{8} << 10}, {"L2", std::size_t{256} << 10}, {"DRAM", given.large << 20}};
}

}  // namespace

int main(int argc, char** argv) {
  const auto given = options_of(std::span(argv + 1, argv + argc));
  if (!given) {
    std::fputs(usage, argc == 2 && std::string_view(argv[1]) == "--help" ? stdout : stderr);
    return argc == 2 && std::string_view(argv[1]) == "--help" ? 0 : 2;
  }
  if (!is_measurable && !given->is_check) {
    std::fprintf(stderr, "quantize_speed: error: %s\n", not_measurable_text);
    return 1;
  }
  const std::vector<ptq::isa> sets = bench::isas_to_measure();
  const ptq::threads pool(given->threads);
  const bench::speed_words words{sets.back(), pool.count()};
  std::vector<bench::section> sections;
  for (const bench::memory_size size : sizes_of(*given)) {
    const bench::arena memory(size);
    bench::row_maker make(memory, [&](const std::string& name) {
      if (given->is_summary && !words.are_about(name)) return false;
      const std::string whole = std::string(size.name) + "/" + name;
      return std::all_of(given->filters.begin(), given->filters.end(),
                         [&](const std::string& text) { return whole.find(text) != std::string::npos; });
    });
    add_rows(make, size.elements, sets, pool);
    bench::section& s = sections.emplace_back(bench::section{size, std::move(make.rows)});
    const bool is_large = std::string_view(size.name) == "DRAM";
    run_rounds(s, given->is_check ? 1 : is_large ? (given->rounds + 2) / 3 : given->rounds);
  }
  if (given->is_json)
    std::fputs(json_text(sections).c_str(), stdout);
  else if (given->is_summary)
    std::printf("%s\n%s", build_text().c_str(), bench::summary_text(sections, words).c_str());
  else
    std::printf("%s\n%s", build_text().c_str(), table_text(sections).c_str());
  if (!given->svg.empty() && !bench::summary_picture(sections, words).write(given->svg)) {
    std::fprintf(stderr, "quantize_speed: error: %s cannot be written\n", given->svg.c_str());
    return 1;
  }
  return 0;
}
