// SPDX-License-Identifier: Apache-2.0
/// @file onnx.hpp ONNX models: reads them, finds their layers, writes them quantized.
#ifndef PTQ_IO_ONNX_HPP
#define PTQ_IO_ONNX_HPP

#include "ptq/io/onnx/layers.hpp"
#include "ptq/io/onnx/read.hpp"
#include "ptq/io/onnx/rounding.hpp"
#include "ptq/io/onnx/writer.hpp"

#endif  // PTQ_IO_ONNX_HPP
