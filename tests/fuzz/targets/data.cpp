// SPDX-License-Identifier: Apache-2.0
// Data files in every format: each array is read to its end, or refused in words; and archives as models.
#include "ptq/formats/safetensors/data.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/formats/checkpoint/row_major.hpp"
#include "ptq/formats/numpy/checkpoint.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "target.hpp"

namespace {

void open_model(const std::string& path) {
  const auto opened = ptq::open_npz(path);
  if (!fuzz::succeeded(opened)) return;
  for (const ptq::stored_tensor& tensor : opened->file.tensors()) {
    for (const std::byte b : tensor.data) fuzz::look_at(static_cast<unsigned>(b));
    std::vector<std::byte> one(size_of(tensor.type));
    if (tensor.bytes() > 0) ptq::copy_row_major(tensor.view(), tensor.bytes() / one.size() - 1, one);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::folder() + "/data";
  write_file(path, fuzz::text_of(data, size));
  open_model(path);
  const auto file = ptq::data_file::open(path, ptq::list<ptq::npy, ptq::npz, ptq::safetensors>{});
  if (!fuzz::succeeded(file)) return 0;
  for (const std::string_view name : file->names()) {
    auto reader = file->read(name);
    if (!fuzz::succeeded(reader)) continue;
    const auto samples = ptq::count_samples(*reader, std::size_t{1000}, "array");
    if (!fuzz::succeeded(samples)) continue;
    for (std::size_t first = 0; first < *samples; first += 100) {
      const auto rows = reader->next(100);
      if (!fuzz::succeeded(rows)) break;
      ptq::for_each_element(*rows, [](auto x) { fuzz::look_at(static_cast<double>(ptq::number_of(x))); });
    }
  }
  return 0;
}
