// SPDX-License-Identifier: Apache-2.0
// Prints checksums of scales, codes and dequantized values, for comparison between builds. With the argument
// `flush` subnormals are flushed to zero, as a host program might have set it.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "support/golden.hpp"
#include "support/subnormals.hpp"
#include "tiles.hpp"

namespace {

template <ptq::dtype D, ptq::backend B, ptq::element T>
void add_golden(checksum& sum, ptq::tensor_view<const T> weight) {
  for (const ptq::granularity grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)}) {
    std::vector<typename D::storage> codes(weight.size());
    std::vector<float> scales(ptq::scale_count(weight.shape, grain));
    std::vector<T> back(weight.size());
    sum.add(ptq::quantize<D, B>(weight, codes, scales, grain));
    sum.add(ptq::dequantize<D>(codes, scales, grain, ptq::tensor_view<T>(back.data(), weight.shape)));
    for (const float& scale : scales) sum.add(scale);
    for (const auto code : codes) sum.add(code);
    for (const T& value : back) sum.add(value);
  }
}

template <ptq::element T>
void add_golden(checksum& sum, const test::golden_group& group, const test::json& described) {
  const std::vector<T> values = group.array<T>(described);
  const auto extents = test::golden_group::shape(described);
  const ptq::tensor_view<const T> weight(values.data(),
                                         ptq::tensor_shape{std::span<const std::size_t>(extents)});
  for_each_combination<T>([&]<ptq::dtype D, ptq::backend B> { add_golden<D, B, T>(sum, weight); });
}

std::uint64_t checksum_of_goldens() {
  checksum sum;
  const test::golden_group group("b_weight_only");
  for (const test::json& one : group.cases()) {
    const std::string& type = one["weight_dtype"].word;
    if (type == "float32") add_golden<float>(sum, group, one["weight"]);
    if (type == "float16") add_golden<ptq::half>(sum, group, one["weight"]);
    if (type == "bfloat16") add_golden<ptq::bfloat16>(sum, group, one["weight"]);
  }
  return sum.value();
}

/// Sets a mode, "flush" or the name of an instruction set; false where this machine or build has it not.
bool set_mode(const char* mode) {
  if (std::strcmp(mode, "flush") == 0) return test::flush_subnormals(true);
  const ptq::isa* const set = ptq::find_isa(mode);
  if (set == nullptr || !ptq::is_available(*set)) return false;
  ptq::force_isa(*set);
  return true;
}

}  // namespace

/// Modes as arguments; 77 where one cannot be set.
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (!set_mode(argv[i])) return 77;
  std::printf("float32  %016" PRIx64 "\n", checksum_of_tiles<float, 61, 131>(many_rounds));
  std::printf("float16  %016" PRIx64 "\n", checksum_of_tiles<ptq::half, 61, 131>(many_rounds));
  std::printf("bfloat16 %016" PRIx64 "\n", checksum_of_tiles<ptq::bfloat16, 61, 131>(many_rounds));
  std::printf("goldens  %016" PRIx64 "\n", checksum_of_goldens());
}
