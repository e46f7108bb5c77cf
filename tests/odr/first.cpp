// SPDX-License-Identifier: Apache-2.0
#include "foreign.hpp"
// These macros come after the headers of others, which are not ours to mend.
#include "hostile_macros.hpp"
// clang-format off
#include "first.hpp"
// clang-format on
