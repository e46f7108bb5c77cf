// SPDX-License-Identifier: Apache-2.0
/// @file overflow.hpp What a minifloat makes of values beyond its largest finite one.
///
/// | input              | saturate          | propagate                              |
/// |--------------------|-------------------|----------------------------------------|
/// | finite, too large  | +-largest finite  | +-infinity if the format has it, else NaN |
/// | +-infinity         | +-largest finite  | +-infinity if the format has it, else NaN |
/// | NaN                | NaN               | NaN                                    |
///
/// saturate is what ONNX's Cast and QuantizeLinear do by default; propagate is what ml_dtypes does.
#ifndef PTQ_NUMERIC_OVERFLOW_HPP
#define PTQ_NUMERIC_OVERFLOW_HPP

namespace ptq::inline v0_1 {

struct saturate {
  static constexpr bool saturates = true;
};

struct propagate {
  static constexpr bool saturates = false;
};

template <class T>
concept overflow_policy = requires {
  { T::saturates };
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_OVERFLOW_HPP
