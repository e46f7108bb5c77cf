// SPDX-License-Identifier: Apache-2.0
// What safetensors_peer_test.py runs beside the reference:
//   copy IN OUT      reads a file and writes its tensors anew
//   check FILE...    prints the outcome of opening each: "ok", or the reference reader's name of the error
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/safetensors/writer.hpp"

namespace {

const char* reference_name(ptq::errc code) {
  constexpr std::array names{"HeaderTooSmall",
                             "HeaderTooLarge",
                             "InvalidHeaderLength",
                             "InvalidHeader",
                             "InvalidHeaderDeserialization",
                             "InvalidOffset",
                             "ValidationOverflow",
                             "MisalignedSlice",
                             "TensorInvalidInfo",
                             "MetadataIncompleteBuffer"};
  const int at = static_cast<int>(code) - static_cast<int>(ptq::errc::header_too_small);
  return at >= 0 && at < static_cast<int>(names.size()) ? names[static_cast<std::size_t>(at)] : "other";
}

ptq::result<void> copy(const std::string& from, const std::string& to) {
  const auto model = ptq::open_safetensors(from);
  if (!model) return model.error();
  std::vector<ptq::tensor_declaration> declared;
  for (const ptq::stored_tensor& tensor : model->tensors())
    declared.push_back({tensor.name, tensor.type, tensor.shape});
  auto writer = ptq::safetensors_writer::create(to, declared, model->metadata());
  if (!writer) return writer.error();
  for (const ptq::stored_tensor& tensor : model->tensors())
    if (auto written = writer->write(tensor.name, tensor.data); !written) return written;
  return writer->commit();
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  if (arguments.size() == 3 && arguments[0] == "copy") {
    const auto copied = copy(arguments[1], arguments[2]);
    if (!copied) std::puts(copied.error().what.c_str());
    return copied ? 0 : 1;
  }
  for (const std::string& file : std::span(arguments).subspan(1)) {
    const auto model = ptq::open_safetensors(file);
    std::puts(model ? "ok" : reference_name(model.error().code));
  }
  return 0;
}
