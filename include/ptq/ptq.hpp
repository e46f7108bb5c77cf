// SPDX-License-Identifier: Apache-2.0
/// @file ptq.hpp Everything that needs no third party.
#ifndef PTQ_PTQ_HPP
#define PTQ_PTQ_HPP

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/concepts.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/config/words.hpp"
#include "ptq/core.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/quantize/error.hpp"
#include "ptq/result.hpp"

#endif  // PTQ_PTQ_HPP
