// SPDX-License-Identifier: Apache-2.0
/// @file form_settings.hpp What a user may ask of an artifact beside its form.
#ifndef PTQ_FORMATS_FORM_SETTINGS_HPP
#define PTQ_FORMATS_FORM_SETTINGS_HPP

#include <string>

namespace ptq::inline v0_1 {

/// Of forms that are source text for firmware.
struct form_settings {
  std::string network = "model";  ///< in front of all names: `is_c_prefix`
  bool channels_last = false;     ///< weights for activations of that order (OHWI); else as they are stored
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_FORM_SETTINGS_HPP
