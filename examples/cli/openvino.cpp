// SPDX-License-Identifier: Apache-2.0
// OpenVINO, in builds that have it: the only place that pays for its headers.
#include "ptq/engine/openvino.hpp"

#include "engines.hpp"
#include "ptq/formats/onnx/read.hpp"

namespace cli {

bool has_openvino() noexcept {
  return true;
}

ptq::result<std::unique_ptr<runner>> load_openvino(const std::string& path) {
  const auto model = ptq::read_onnx(path);
  if (!model) return model.error();
  auto engine = ptq::openvino::load(*model);
  if (!engine) return engine.error();
  return std::unique_ptr<runner>(std::make_unique<runner_of<ptq::openvino>>(*std::move(engine)));
}

}  // namespace cli
