// SPDX-License-Identifier: Apache-2.0
/// @file images.hpp Folders of pictures, in builds that can decode them.
#ifndef PTQ_CLI_IMAGES_HPP
#define PTQ_CLI_IMAGES_HPP

#include <cstddef>
#include <optional>
#include <string>

#include "ptq/data/samples.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/result.hpp"

namespace cli {

/// Whether stb_image is built in.
bool has_images() noexcept;

/// As `ptq::open_images`.
///
/// @return unsupported if stb_image is not built in
ptq::result<ptq::image_array> open_images(const std::string& folder, const ptq::graph_input& input,
                                          std::optional<std::size_t> axis, std::optional<std::size_t> most);

}  // namespace cli

#endif  // PTQ_CLI_IMAGES_HPP
