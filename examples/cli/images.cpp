// SPDX-License-Identifier: Apache-2.0
// stb_image, in builds that have it.
#include "images.hpp"

#include "ptq/data/images.hpp"

namespace cli {

bool has_images() noexcept {
  return true;
}

ptq::result<ptq::image_array> open_images(const std::string& folder, const ptq::graph_input& input,
                                          std::optional<std::size_t> axis, std::optional<std::size_t> most) {
  return ptq::open_images(folder, input, axis, most);
}

}  // namespace cli
