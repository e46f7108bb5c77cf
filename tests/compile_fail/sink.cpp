// SPDX-License-Identifier: Apache-2.0
// A sink takes a quantized layer, and returns nothing or a status.
//
// BAD WRONG_ARGUMENT: layer_sink
// BAD WRONG_RESULT: layer_sink
#include <vector>

#include "ptq/model/apply.hpp"

ptq::result<void> count_codes(const ptq::plan& plan, const std::vector<ptq::layer>& layers,
                              std::size_t& count) {
#ifdef WRONG_ARGUMENT
  return ptq::apply(plan, layers, [&](const ptq::layer& layer) { count += layer.weight.size(); });
#elif defined(WRONG_RESULT)
  return ptq::apply(plan, layers,
                    [&](const ptq::quantized_layer& q) { return (count += q.codes.size()) < 100; });
#else
  return ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) { count += q.codes.size(); });
#endif
}
