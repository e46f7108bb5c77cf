// SPDX-License-Identifier: Apache-2.0
/// @file model_file.hpp The model that a specification names, open, as layers.
#ifndef PTQ_CLI_MODEL_FILE_HPP
#define PTQ_CLI_MODEL_FILE_HPP

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/io/safetensors.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/result.hpp"

namespace cli {

struct model_file {
  std::string path;  // absolute, for messages
  ptq::checkpoint checkpoint;
  std::vector<ptq::layer> layers;  // look into the checkpoint
};

inline std::vector<ptq::layer> layers_in(const ptq::checkpoint& checkpoint,
                                         const std::map<std::string, std::string>& module_types = {}) {
  std::vector<ptq::named_tensor> tensors;
  for (const ptq::stored_tensor& tensor : checkpoint.tensors())
    tensors.push_back({tensor.name, tensor.view()});
  return ptq::layers_of(tensors, module_types);
}

/// A missing `model_path` is the specification's fault; everything else is the model's.
inline ptq::result<model_file> open_model(const ptq::spec& spec) {
  auto checkpoint = ptq::open_safetensors(spec.quantize.model_path);
  if (!checkpoint) return checkpoint.error();
  model_file model{ptq::absolute_path(spec.quantize.model_path), *std::move(checkpoint), {}};
  model.layers = layers_in(model.checkpoint, spec.ptq.module_types);
  return model;
}

}  // namespace cli

#endif  // PTQ_CLI_MODEL_FILE_HPP
