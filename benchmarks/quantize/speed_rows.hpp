// SPDX-License-Identifier: Apache-2.0
/// @file speed_rows.hpp What quantize_speed times: every dtype, source type, granularity and instruction set,
/// and beside them what the machine does at most (memcpy, a sum that only reads) and what one would write by
/// hand.
#ifndef PTQ_BENCHMARKS_QUANTIZE_SPEED_ROWS_HPP
#define PTQ_BENCHMARKS_QUANTIZE_SPEED_ROWS_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ptq/backends.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/kernels/threads.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/fake_quantize.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/buffer.hpp"
#include "support/fill.hpp"
#include "support/raw_loops.hpp"
#include "support/read_only_sum.hpp"
#include "support/rounds.hpp"

namespace bench {

/// What a row is about. Its words in this order, with slashes, are its name.
struct row_words {
  std::string work;
  std::string dtype;
  std::string source;
  std::string scale_per;
  std::string kernels{};  ///< an instruction set; or who else computes
  std::size_t threads = 1;

  std::string name() const {
    return work + "/" + dtype + "/" + source + "/" + scale_per + "/" + kernels + "/" +
           std::to_string(threads);
  }
};

/// One thing that is timed.
struct row {
  row_words words;
  std::size_t elements = 0;
  double bytes_each = 0;  ///< read and written for an element
  bool only_reads = false;
  ptq::isa set = ptq::isa::portable;
  std::function<void()> call;
  std::size_t repeats = 1;
  std::vector<double> seconds;  ///< of a call, one a round

  double elements_per_second() const { return static_cast<double>(elements) / median(seconds); }
  double bytes_per_second() const { return elements_per_second() * bytes_each; }
};

/// How many times faster a row takes an element than another, round by round.
inline spread times_faster(const row& r, const row& other) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < r.seconds.size(); ++i)
    ratios.push_back(other.seconds[i] / static_cast<double>(other.elements) /
                     (r.seconds[i] / static_cast<double>(r.elements)));
  return spread(ratios);
}

struct memory_size {
  const char* name;
  std::size_t elements;
};

inline constexpr std::size_t bins = 2048;

/// The memory of one size: what all rows of it work on.
class arena {
 public:
  explicit arena(memory_size which)
      : size(which),
        floats(which.elements),
        halves(which.elements),
        bfloats(which.elements),
        restored(which.elements),
        codes(which.elements),
        scales(which.elements / 8 + 1),
        amax(which.elements / 8 + 1) {
    const std::vector<float> some = normal_values(std::min(which.elements, std::size_t{1} << 20));
    for (std::size_t i = 0; i < which.elements; ++i) {
      const float value = some[i % some.size()];
      floats.data()[i] = value;
      halves.data()[i] = ptq::element_traits<ptq::half>::from_float(value);
      bfloats.data()[i] = ptq::element_traits<ptq::bfloat16>::from_float(value);
      restored.data()[i] = value;
      codes.data()[i] = static_cast<std::uint8_t>(i * 7 % 120);  // no dtype's NaN or infinity
    }
    for (std::size_t i = 0; i < scales.size(); ++i)
      scales.data()[i] = 0.0017F + 1e-9F * static_cast<float>(i);
  }

  template <class T>
  T* source() const {
    if constexpr (std::is_same_v<T, ptq::half>)
      return halves.data();
    else if constexpr (std::is_same_v<T, ptq::bfloat16>)
      return bfloats.data();
    else
      return floats.data();
  }
  template <class D>
  std::span<typename D::storage> codes_of(std::size_t n) const {
    static_assert(sizeof(typename D::storage) == 1);
    return {reinterpret_cast<typename D::storage*>(codes.data()), n};
  }
  bool streams() const { return size.elements > ptq::detail::streamed_bytes; }

  memory_size size;
  buffer<float> floats;
  buffer<ptq::half> halves;
  buffer<ptq::bfloat16> bfloats;
  buffer<float> restored;  ///< where values are written
  buffer<std::uint8_t> codes;
  buffer<float> scales;  ///< given ones
  buffer<float> amax;    ///< found ones
};

/// A tensor in an arena, and which of its elements share a scale.
struct layout {
  const char* scale_per;
  ptq::tensor_shape shape;
  ptq::granularity grain;
};

inline std::vector<layout> layouts_of(std::size_t n) {
  const std::size_t columns = std::min(std::size_t{4096}, n / 8);
  return {{"tensor", {n}, ptq::per_tensor()},
          {"row", {n / columns, columns}, ptq::per_channel(0)},
          {"column", {n / columns, columns}, ptq::per_channel(1)},
          {"row of 9", {n / 9, 9}, ptq::per_channel(0)},
          {"row of 27", {n / 27, 27}, ptq::per_channel(0)}};
}

/// Makes the rows of one arena, those whose names are wanted.
class row_maker {
 public:
  row_maker(const arena& memory, std::function<bool(const std::string&)> is_wanted)
      : memory_(memory), is_wanted_(std::move(is_wanted)) {}

  std::vector<row> rows;

  /// What bounds everything, and by hand what needs no dtype.
  void add_limits() {
    const arena& m = memory_;
    add_by_hand({"memcpy", "-", "float32", "-", "libc"}, 8,
                [&m] { std::memcpy(m.restored.data(), m.floats.data(), m.size.elements * sizeof(float)); });
    add_by_hand({"memcpy", "-", "float16", "-", "libc"}, 4, [&m] {
      std::memcpy(m.restored.data(), m.halves.data(), m.size.elements * sizeof(ptq::half));
    });
    add_by_hand(
        {"sum", "-", "float32", "-", "best vectors"}, 4,
        [&m] { keep(sum_of(m.floats.data(), m.size.elements)); }, true);
    add_by_hand(
        {"amax", "-", "float32", "-", "raw loop"}, 4,
        [&m] { keep(raw_amax(m.floats.data(), m.size.elements)); }, true);
    add_by_hand(
        {"histogram", "-", "float32", "-", "raw loop"}, 4,
        [&m] { count_by_hand(m.floats.first(m.size.elements)); }, true);
  }

  /// What one would write for a dtype.
  template <class D, class T>
  void add_raw_loops() {
    const arena& m = memory_;
    const std::string source = ptq::name_of(ptq::element_traits<T>::type);
    const std::size_t n = m.size.elements;
    const auto codes = m.codes_of<D>(n);
    add_by_hand({"encode by division", D::name, source, "tensor", "raw loop"}, sizeof(T) + 1,
                [&m, n, codes] { raw_encode<D>(m.source<T>(), n, m.scales.data()[0], codes.data()); });
    add_by_hand({"quantize", D::name, source, "tensor", "raw loop"}, sizeof(T) + 1, [&m, n, codes] {
      const float scale = raw_amax(m.source<T>(), n) / static_cast<float>(D::max_finite);
      raw_encode<D>(m.source<T>(), n, scale, codes.data());
    });
    if constexpr (std::is_same_v<T, float>)
      add_by_hand({"decode", D::name, source, "tensor", "raw loop"}, 5,
                  [&m, n, codes] { raw_decode<D>(codes.data(), n, m.scales.data()[0], m.restored.data()); });
  }

  /// The kernels alone, which need no tensors; and taking values into statistics.
  template <class T>
  void add_reads(ptq::isa set) {
    const arena& m = memory_;
    const std::string source = ptq::name_of(ptq::element_traits<T>::type);
    add(
        set, {"amax", "-", source, "tensor"}, m.size.elements, sizeof(T),
        [&m] { keep(ptq::kernels::amax_run<T>(m.source<T>(), m.size.elements, 0)); }, true);
    if constexpr (std::is_same_v<T, float>)
      add(
          set, {"histogram", "-", source, "tensor"}, m.size.elements, sizeof(T),
          [&m] {
            static ptq::statistics<bins> seen;
            check(seen.collect(m.floats.first(m.size.elements)));
          },
          true);
  }
  template <class D, class T>
  void add_kernels(ptq::isa set) {
    using ptq::arithmetic;
    const arena& m = memory_;
    const std::string source = ptq::name_of(ptq::element_traits<T>::type);
    const std::size_t n = m.size.elements;
    const auto codes = m.codes_of<D>(n);
    add(set, {"encode by division", D::name, source, "tensor"}, n, sizeof(T) + 1,
        [&m, n, codes] { encode<D, arithmetic::divide, T>(m, n, codes.data()); });
    if constexpr (D::is_integer)
      add(set, {"encode by reciprocal", D::name, source, "tensor"}, n, sizeof(T) + 1,
          [&m, n, codes] { encode<D, arithmetic::multiply_by_reciprocal, T>(m, n, codes.data()); });
    if constexpr (std::is_same_v<T, float>)
      add(set, {"decode", D::name, source, "tensor"}, n, 5, [&m, n, codes] {
        ptq::kernels::decode_run<D>(codes.data(), n, m.scales.data()[0], m.restored.data(), m.streams());
        ptq::kernels::finish_streams(m.streams());
      });
  }

  /// The calls that users make, by TorchAO's numbers.
  template <class D, class T>
  void add_calls(ptq::isa set, const layout& l) {
    static constexpr ptq::serial alone;
    add_calls_on<D, T>(set, l, alone, 1);
    const arena& m = memory_;
    const std::size_t n = l.shape.size();
    const std::size_t count = ptq::scale_count(l.shape, l.grain);
    if constexpr (std::is_same_v<T, float>)
      add(set, {"fake_quantize", D::name, "float32", l.scale_per}, n, 8, [&m, l, count] {
        check(ptq::fake_quantize<D, ptq::torchao>(ptq::tensor_view<float>(m.restored.data(), l.shape),
                                                  m.amax.first(count), l.grain));
      });
  }
  /// @param run outlives the rows
  template <class D, class T, class Executor>
  void add_calls_on(ptq::isa set, const layout& l, const Executor& run, std::size_t threads) {
    using ptq::torchao;
    const arena& m = memory_;
    const std::string source = ptq::name_of(ptq::element_traits<T>::type);
    const std::size_t n = l.shape.size();
    const std::size_t count = ptq::scale_count(l.shape, l.grain);
    const auto codes = m.codes_of<D>(n);
    const ptq::tensor_view<const T> values(m.source<T>(), l.shape);
    add(set, {"quantize", D::name, source, l.scale_per, "", threads}, n, sizeof(T) + 1,
        [&m, &run, l, count, codes, values] {
          check(ptq::quantize<D, torchao>(values, codes, m.amax.first(count), l.grain, run));
        });
    add(set, {"quantize_by", D::name, source, l.scale_per, "", threads}, n, sizeof(T) + 1,
        [&m, &run, l, count, codes, values] {
          check(ptq::quantize_by<D, torchao>(values, m.scales.first(count), codes, l.grain, run));
        });
    if constexpr (std::is_same_v<T, float>)
      add(set, {"dequantize", D::name, source, l.scale_per, "", threads}, n, 5, [&m, &run, l, count, codes] {
        check(ptq::dequantize<D>(codes, m.scales.first(count), l.grain,
                                 ptq::tensor_view<float>(m.restored.data(), l.shape), run));
      });
  }

 private:
  static void check(const ptq::status& done) {
    if (done) return;
    std::fputs("a call that is timed was refused\n", stderr);
    std::abort();
  }

  /// Keeps the compiler from leaving out what made a value.
  template <class Value>
  static void keep(Value value) {
    __asm__ volatile("" : : "g"(value) : "memory");
  }

  static void count_by_hand(std::span<const float> values) {
    static std::array<std::uint64_t, bins> counts;
    constexpr float factor = bins / 0.5F;  // the values are known to lie below a half
    for (const float value : values) ++counts[static_cast<std::size_t>(std::fabs(value) * factor)];
  }

  template <class D, ptq::arithmetic How, class T>
  static void encode(const arena& m, std::size_t n, typename D::storage* codes) {
    float inverse = 0;
    const bool ordinary = ptq::kernels::invert<How>(m.scales.data(), 1, &inverse);
    ptq::kernels::encode_run<D, How>(m.source<T>(), n, {m.scales.data(), &inverse, false}, ordinary, codes,
                                     m.streams());
    ptq::kernels::finish_streams(m.streams());
  }

  void add(ptq::isa set, row_words words, std::size_t elements, double bytes_each, std::function<void()> call,
           bool only_reads = false) {
    words.kernels = ptq::name_of(set);
    if (!is_wanted_(words.name())) return;
    rows.push_back({std::move(words), elements, bytes_each, only_reads, set, std::move(call), 1, {}});
  }
  void add_by_hand(const row_words& words, double bytes_each, std::function<void()> call,
                   bool only_reads = false) {
    if (!is_wanted_(words.name())) return;
    rows.push_back(
        {words, memory_.size.elements, bytes_each, only_reads, ptq::isa::portable, std::move(call), 1, {}});
  }

  const arena& memory_;
  std::function<bool(const std::string&)> is_wanted_;
};

}  // namespace bench

#endif  // PTQ_BENCHMARKS_QUANTIZE_SPEED_ROWS_HPP
