// SPDX-License-Identifier: Apache-2.0
// Builds without stb_image.
#include "images.hpp"
#include "ptq/file/path.hpp"

namespace cli {

bool has_images() noexcept {
  return false;
}

ptq::result<ptq::image_array> open_images(const std::string& folder, const ptq::graph_input& /*input*/,
                                          std::optional<std::size_t> /*axis*/,
                                          std::optional<std::size_t> /*most*/) {
  return ptq::error(ptq::errc::unsupported, ptq::absolute_path(folder),
                    "this build does not decode pictures, as stb_image was not there. Build again with it "
                    "(Debian: libstb-dev), or give arrays as inputs.");
}

}  // namespace cli
