// SPDX-License-Identifier: Apache-2.0
/// @file onnx.hpp Reads ONNX models and finds their layers.
#ifndef PTQ_IO_ONNX_HPP
#define PTQ_IO_ONNX_HPP

#include "ptq/io/onnx/layers.hpp"
#include "ptq/io/onnx/read.hpp"

#endif  // PTQ_IO_ONNX_HPP
