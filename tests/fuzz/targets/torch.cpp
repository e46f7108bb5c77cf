// SPDX-License-Identifier: Apache-2.0
// A checkpoint of PyTorch: whatever is taken lies within the file.
#include "ptq/formats/torch/open.hpp"

#include "ptq/formats/checkpoint/row_major.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::folder() + "/model.pth";
  write_file(path, fuzz::text_of(data, size));
  const auto opened = ptq::open_torch(path);
  if (!fuzz::succeeded(opened)) return 0;
  for (const ptq::stored_tensor& tensor : opened->file.tensors()) {
    for (const std::byte b : tensor.data) fuzz::look_at(static_cast<unsigned>(b));
    if (!tensor.strides) continue;
    std::vector<std::byte> some(std::min<std::size_t>(tensor.bytes(), 4096) / size_of(tensor.type) *
                                size_of(tensor.type));
    const std::size_t last = (tensor.bytes() - some.size()) / size_of(tensor.type);
    ptq::copy_row_major(tensor.view(), last, some);
  }
  return 0;
}
