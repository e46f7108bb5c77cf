// SPDX-License-Identifier: Apache-2.0
// Checkpoints of PyTorch give the same tensors, bit for bit, as PyTorch saw when it wrote their twins.
#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "ptq/formats/checkpoint/row_major.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/torch/open.hpp"

namespace {

const std::string golden = PTQ_GOLDEN_DIR "/torch/";

std::vector<std::byte> bytes_of(const ptq::stored_tensor& tensor) {
  if (!tensor.strides) return {tensor.data.begin(), tensor.data.end()};
  std::vector<std::byte> gathered(tensor.bytes());
  ptq::copy_row_major(tensor.view(), 0, gathered);
  return gathered;
}

void check_twins(const std::string& path, const std::string& twin, const std::string& key = {}) {
  INFO(path);
  const auto opened = ptq::open_torch(path, key);
  INFO(opened.error().what);
  REQUIRE(opened);
  const auto expected = ptq::open_safetensors(twin);
  REQUIRE(expected);
  CHECK(opened->file.tensors().size() == expected->tensors().size());
  for (const ptq::stored_tensor& wanted : expected->tensors()) {
    INFO(wanted.name);
    const ptq::stored_tensor* const found = opened->file.find(wanted.name);
    REQUIRE(found != nullptr);
    CHECK(bytes_of(*found) == bytes_of(wanted));
    if (wanted.name == "complex128") continue;  // safetensors has no word for it: the twin has its bytes
    CHECK(found->type == wanted.type);
    CHECK(found->shape == wanted.shape);
  }
}

}  // namespace

TEST_CASE("both containers, all element types") {
  check_twins(golden + "types.pth", golden + "types.safetensors");
  check_twins(golden + "types_legacy.pth", golden + "types.safetensors");
}

TEST_CASE("views: transposed, sliced, shared, expanded; parameters and subclasses") {
  check_twins(golden + "views.pth", golden + "views.safetensors");
  check_twins(golden + "views_legacy.pth", golden + "views.safetensors");
  check_twins(golden + "strided.pth", golden + "strided.safetensors");
}

TEST_CASE("a trained model in three containers") {
  const std::string model = PTQ_MODELS_DIR "/lenet-digits/model";
  check_twins(model + ".pth", model + ".safetensors");
  check_twins(golden + "model_legacy.pth", model + ".safetensors");
}

TEST_CASE("nested checkpoints, in every protocol of pickles") {
  for (const char* const name : {"nested.pth", "nested_legacy.pth", "nested_protocol3.pth",
                                 "nested_protocol4.pth", "nested_protocol5.pth"}) {
    check_twins(golden + name, golden + "nested.safetensors");
    check_twins(golden + name, golden + "nested.safetensors", "state_dict");
    const auto opened = ptq::open_torch(golden + name);
    REQUIRE(opened);
    REQUIRE(opened->notes.size() == 2);
    CHECK(opened->notes[0] ==
          "the weights are \"state_dict\" of the checkpoint; ptq.checkpoint.key names another. Others: ema.");
    CHECK(opened->notes[1] ==
          "left out of the checkpoint, as no weights: epoch (int), best (float), args (Namespace), classes "
          "(list), "
          "seen (set), big (int), rng_state (tensor), optimizer (dict).");
  }
}
