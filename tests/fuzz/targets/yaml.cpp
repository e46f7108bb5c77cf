// SPDX-License-Identifier: Apache-2.0
// A specification: read, or refused in words.
#include "ptq/config/yaml.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(fuzz::succeeded(ptq::parse_spec(fuzz::text_of(data, size), "spec.yaml")));
  return 0;
}
