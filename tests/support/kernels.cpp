// SPDX-License-Identifier: Apache-2.0
// The kernels of all tests, where they are compiled once.
#define PTQ_KERNEL_SOURCES
#include "ptq/core.hpp"
