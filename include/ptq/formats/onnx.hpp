// SPDX-License-Identifier: Apache-2.0
/// @file onnx.hpp ONNX models: reads them, finds their layers, writes them quantized.
#ifndef PTQ_FORMATS_ONNX_HPP
#define PTQ_FORMATS_ONNX_HPP

#include "ptq/formats/onnx/declared.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/read.hpp"
#include "ptq/formats/onnx/rounding.hpp"
#include "ptq/formats/onnx/writer.hpp"

#endif  // PTQ_FORMATS_ONNX_HPP
