// SPDX-License-Identifier: Apache-2.0
/// @file concepts.hpp Every concept that a user can conform to.
#ifndef PTQ_CONCEPTS_HPP
#define PTQ_CONCEPTS_HPP

#include "ptq/backend/concept.hpp"
#include "ptq/calibration/concept.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/tensor/traits.hpp"

#endif  // PTQ_CONCEPTS_HPP
