// SPDX-License-Identifier: Apache-2.0
// Constant weights that cannot be quantized are told why.
//
// BAD NOT_A_NUMBER: a weight is NaN or infinite
// BAD INFINITE: a weight is NaN or infinite
// BAD OTHER_SIZE: the shape has another size than the weights
// BAD NO_AXIS: the axis of the scales is none of the shape's
// BAD AT_RUN_TIME: constant expression
#define PTQ_PORTABLE
#include <array>

#include "ptq/core.hpp"

#ifdef NOT_A_NUMBER
constexpr float last = __builtin_nanf("");
#elif defined(INFINITE)
constexpr float last = -__builtin_inff();
#else
constexpr float last = -0.5F;
#endif

#ifdef AT_RUN_TIME
std::array<float, 4> weights{0.25F, 1.0F, 0.0F, last};
#else
constexpr std::array<float, 4> weights{0.25F, 1.0F, 0.0F, last};
#endif

#ifdef OTHER_SIZE
constexpr ptq::tensor_shape shape{2, 3};
#else
constexpr ptq::tensor_shape shape{2, 2};
#endif

#ifdef NO_AXIS
constexpr ptq::granularity grain = ptq::per_channel(2);
#else
constexpr ptq::granularity grain = ptq::per_channel(1);
#endif

constexpr auto layer = ptq::quantize_constant<ptq::int8, ptq::torchao, weights, shape, grain>();
static_assert(layer.scales.size() == 2);
