// SPDX-License-Identifier: Apache-2.0
// In the place of openvino.cpp, in builds without it.
#include "engines.hpp"

namespace cli {

bool has_openvino() noexcept {
  return false;
}

ptq::result<std::unique_ptr<runner>> load_openvino(const std::string&) {
  return ptq::error(
      ptq::errc::unsupported, "",
      "OpenVINO, which covers more, is not built in; examples/quickstart.sh --with-openvino makes a "
      "build that has it.");
}

}  // namespace cli
