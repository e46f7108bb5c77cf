// SPDX-License-Identifier: Apache-2.0
/// @file version.hpp The version of ptq. Everything public lives in `ptq`, in an inline namespace named after
/// it.
#ifndef PTQ_VERSION_HPP
#define PTQ_VERSION_HPP

#define PTQ_VERSION_MAJOR 0
#define PTQ_VERSION_MINOR 1
#define PTQ_VERSION_PATCH 0
#define PTQ_VERSION_STRING "0.1.0"

#endif  // PTQ_VERSION_HPP
