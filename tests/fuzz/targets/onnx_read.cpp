// SPDX-License-Identifier: Apache-2.0
// An ONNX graph as it is looked at: read, layers, and the float form of one that is quantized.
#include "ptq/formats/onnx.hpp"
#include "ptq/formats/onnx/restore.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto model = ptq::read_onnx(fuzz::bytes_of(data, size), "fuzzed.onnx");
  if (!fuzz::succeeded(model)) return 0;
  static_cast<void>(fuzz::succeeded(ptq::layers_of(*model)));
  static_cast<void>(fuzz::succeeded(ptq::restore_onnx(*std::move(model))));
  return 0;
}
