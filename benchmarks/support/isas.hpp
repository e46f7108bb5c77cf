// SPDX-License-Identifier: Apache-2.0
/// @file isas.hpp The instruction sets to measure: those of this machine, or the one that PTQ_ISA names.
#ifndef PTQ_BENCHMARKS_SUPPORT_ISAS_HPP
#define PTQ_BENCHMARKS_SUPPORT_ISAS_HPP

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ptq/kernels/isa.hpp"

namespace bench {

/// The fastest last.
inline std::vector<ptq::isa> available_isas() {
  std::vector<ptq::isa> found;
  for (const ptq::isa set : ptq::all_isas)
    if (ptq::is_available(set)) found.push_back(set);
  return found;
}

/// Ends the program where PTQ_ISA names none that is there.
inline std::vector<ptq::isa> isas_to_measure() {
  const std::vector<ptq::isa> available = available_isas();
  const char* const word = std::getenv("PTQ_ISA");
  if (word == nullptr) return available;
  std::string names;
  for (const ptq::isa set : available) {
    if (std::string(ptq::name_of(set)) == word) return {set};
    names += (names.empty() ? "" : ", ") + std::string(ptq::name_of(set));
  }
  std::fprintf(stderr,
               "error: PTQ_ISA: this machine or build has no kernels \"%s\". Available are %s; unset it "
               "to measure all.\n",
               word, names.c_str());
  std::exit(2);
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_ISAS_HPP
