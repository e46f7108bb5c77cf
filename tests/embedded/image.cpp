// SPDX-License-Identifier: Apache-2.0
// Uses all that the core offers: every dtype under every backend, every calibrator. It has to link with no
// library but the compiler's own. PTQ_CORE names the header.
#include PTQ_CORE

#include <array>
#include <cstddef>

namespace {

constexpr std::size_t rows = 3;
constexpr std::size_t columns = 4;

using samples = std::array<float, rows * columns>;

ptq::tensor_view<float> matrix(samples& values) {
  return {values.data(), {rows, columns}};
}

/// 0 if what is quantized and dequantized is what is fake-quantized.
template <class D, class B>
int round_trip(const samples& values) {
  samples original = values;
  samples decoded{};
  std::array<typename D::storage, rows * columns> codes{};
  std::array<float, rows> scales{};
  const ptq::granularity grain = ptq::per_channel(0);
  if (!ptq::quantize<D, B>(matrix(original), codes, scales, grain)) return 1;
  if (!ptq::dequantize<D>(codes, scales, grain, matrix(decoded))) return 1;
  if (!ptq::fake_quantize<D, B>(matrix(original), scales, grain)) return 1;
  return original == decoded ? 0 : 1;
}

template <class B, class... Dtypes>
int round_trips(ptq::list<Dtypes...>, const samples& values) {
  return (round_trip<Dtypes, B>(values) + ...);
}

template <class... Backends>
int all_backends(ptq::list<Backends...>, const samples& values) {
  return (round_trips<Backends>(ptq::dtypes{}, values) + ...);
}

/// How many calibrators give no range.
template <class... Calibrators>
int all_calibrators(ptq::list<Calibrators...>, const ptq::statistics<128>& seen) {
  return ((Calibrators{}.range(seen).amax > 0 ? 0 : 1) + ...);
}

}  // namespace

extern "C" int main() {
  samples values{};
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<int>(i * 5) % 7 - 3) * 0.3F;
  ptq::statistics<128> seen;
  if (!seen.collect(values)) return 1;
  return all_backends(ptq::backends{}, values) + all_calibrators(ptq::calibrators{}, seen);
}
