// SPDX-License-Identifier: Apache-2.0
/// @file posix.hpp What includes this file needs POSIX.
#ifndef PTQ_FILE_POSIX_HPP
#define PTQ_FILE_POSIX_HPP

#ifdef _WIN32
#error \
    "This header of ptq needs POSIX. On Windows there are ptq/core.hpp, ptq/ptq.hpp, and the headers that read and write safetensors, NumPy and statistics files."
#endif

#endif  // PTQ_FILE_POSIX_HPP
