// SPDX-License-Identifier: Apache-2.0
/// @file images.hpp A folder of pictures as samples: JPEG, PNG and BMP, decoded by stb_image and resized to
/// what the graph takes.
#ifndef PTQ_DATA_IMAGES_HPP
#define PTQ_DATA_IMAGES_HPP

#include <stb_image.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/error.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/file/posix.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/letter_case.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The size of the pictures that a graph input takes, and where it has the channels.
struct picture_layout {
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;
  bool is_planar = true;  // channels come first

  std::size_t size() const noexcept { return height * width * channels; }
};

/// @param axis the input's axis that counts samples
/// @return wrong_rank: the input takes no pictures; missing_value: its height or width is free
inline result<picture_layout> layout_of(const graph_input& input, std::optional<std::size_t> axis) {
  const std::string where = "graph input \"" + input.name + "\"";
  if (!input.shape || !axis || input.shape->size() != 4)
    return error(
        errc::wrong_rank, where,
        (input.shape ? "it takes " + extents_text(*input.shape) : std::string("its shape is not known")) +
            ": pictures need [samples, channels, height, width] or [samples, height, width, channels]. "
            "Give arrays as inputs instead of images_dir.");
  std::vector<std::optional<std::size_t>> extents = *input.shape;
  extents.erase(extents.begin() + static_cast<std::ptrdiff_t>(*axis));
  const auto may_be_channels = [](std::optional<std::size_t> extent) { return extent == 1u || extent == 3u; };
  const bool is_planar = may_be_channels(extents[0]) && (extents[0] == 3u || extents[2] != 3u);
  if (!is_planar && !may_be_channels(extents[2]))
    return error(errc::wrong_rank, where,
                 "it takes " + extents_text(*input.shape) +
                     ", but pictures have 1 or 3 channels, as the first or the last axis of a sample. Give "
                     "arrays as inputs instead of images_dir.");
  const std::optional<std::size_t> height = extents[is_planar ? 1 : 0];
  const std::optional<std::size_t> width = extents[is_planar ? 2 : 1];
  if (height.value_or(0) == 0 || width.value_or(0) == 0)
    return error(errc::missing_value, where,
                 "it takes " + extents_text(*input.shape) +
                     ", so it does not tell the size of the pictures. Fix it in the graph (python -m "
                     "onnxruntime.tools.make_dynamic_shape_fixed), or give arrays as inputs.");
  return picture_layout{*height, *width, *extents[is_planar ? 0 : 2], is_planar};
}

/// A decoded picture, row-major [height, width, channels].
struct picture {
  std::unique_ptr<stbi_uc, void (*)(void*)> pixels{nullptr, stbi_image_free};
  std::size_t height = 0;
  std::size_t width = 0;
};

/// More is refused before it is decoded.
inline constexpr int longest_side = 1 << 15;
inline constexpr std::int64_t most_pixels = std::int64_t{1} << 27;

inline bool is_bmp(std::span<const std::byte> file) noexcept {
  return file.size() > 30 && std::memcmp(file.data(), "BM", 2) == 0;
}

inline bool is_picture(std::span<const std::byte> file) noexcept {
  const auto begins = [&](std::string_view magic) {
    return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
  };
  return begins("\xff\xd8\xff") || begins("\x89PNG\r\n\x1a\n") || is_bmp(file);
}

/// Whether a BMP file holds all of its pixels; stb_image takes zeros for those that are missing.
inline bool has_all_rows(std::span<const std::byte> file, std::int64_t width, std::int64_t height) noexcept {
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(file[at + i]) << (8 * i);
    return value;
  };
  const std::uint64_t bits = number(14, 4) == 12 ? number(24, 2) : number(28, 2);  // of a pixel
  const std::uint64_t row = (static_cast<std::uint64_t>(width) * bits + 31) / 32 * 4;
  return number(10, 4) + row * static_cast<std::uint64_t>(height) <= file.size();
}

/// Decodes a file. Transparency is dropped, 16 bits become 8, and the orientation that a camera notes is not
/// looked at.
///
/// @param channels 3: red, green, blue; 1: brightness
/// @return cannot_open; wrong_format, with what stb_image says; `where` is the file
inline result<picture> decode_picture(const std::string& path, std::size_t channels) {
  const auto file = mapped_file::open(path);
  if (!file) return file.error();
  const std::span<const std::byte> bytes = file->bytes();
  const auto refuse = [&](const std::string& why) {
    return error(errc::wrong_format, absolute_path(path), why + ".");
  };
  if (!is_picture(bytes)) return refuse("this is no JPEG, PNG or BMP file" + look_of_file(path, bytes));
  if (bytes.size() > static_cast<std::size_t>((std::numeric_limits<int>::max)()))
    return refuse("it is too large");
  const auto* const data = static_cast<const stbi_uc*>(static_cast<const void*>(bytes.data()));
  const int size = static_cast<int>(bytes.size());
  int width = 0;
  int height = 0;
  int stored = 0;
  if (stbi_info_from_memory(data, size, &width, &height, &stored) == 0) return refuse(stbi_failure_reason());
  if (width < 1 || height < 1 || width > longest_side || height > longest_side ||
      std::int64_t{width} * height > most_pixels)
    return refuse("it has " + std::to_string(width) + " x " + std::to_string(height) + " pixels; up to " +
                  std::to_string(longest_side) + " a side and " + std::to_string(most_pixels) +
                  " in all are decoded");
  if (is_bmp(bytes) && !has_all_rows(bytes, width, height)) return refuse("the file is cut off");
  picture decoded;
  decoded.pixels.reset(
      stbi_load_from_memory(data, size, &width, &height, &stored, static_cast<int>(channels)));
  if (!decoded.pixels) return refuse(stbi_failure_reason());
  decoded.height = static_cast<std::size_t>(height);
  decoded.width = static_cast<std::size_t>(width);
  return decoded;
}

/// Where the pixels of a line lie between those of another: output i is first[i] * (whole - weight[i]) +
/// second[i] * weight[i], over whole = 2 * extents.
struct line_of_taps {
  std::vector<std::size_t> first, second;
  std::vector<std::uint64_t> weight;
  std::uint64_t whole;

  /// The centre of output i, at i + 1/2, lies at (i + 1/2) * given / wanted in the given line.
  line_of_taps(std::size_t given, std::size_t wanted) : whole(2 * wanted) {
    for (std::size_t i = 0; i < wanted; ++i) {
      const std::size_t at =
          (std::max)((2 * i + 1) * given, wanted) - wanted;  // times whole; clamped at the rim
      first.push_back((std::min)(at / whole, given - 1));
      second.push_back((std::min)(at / whole + 1, given - 1));
      weight.push_back(at % whole);
    }
  }
};

/// Calls f(y, x, channel, sum) for each value of the resized picture; sum / (4 * height * width) is the
/// value. Bilinear with half-pixel centres (the picture is stretched, nothing is cut off), computed in
/// integers.
template <class F>
void resize(const picture& from, const picture_layout& to, F&& f) {
  const line_of_taps down(from.height, to.height);
  const line_of_taps across(from.width, to.width);
  const auto pixel = [&](std::size_t y, std::size_t x, std::size_t c) {
    return std::uint64_t{from.pixels.get()[(y * from.width + x) * to.channels + c]};
  };
  for (std::size_t y = 0; y < to.height; ++y)
    for (std::size_t x = 0; x < to.width; ++x)
      for (std::size_t c = 0; c < to.channels; ++c) {
        const auto row = [&](std::size_t line) {
          return pixel(line, across.first[x], c) * (across.whole - across.weight[x]) +
                 pixel(line, across.second[x], c) * across.weight[x];
        };
        f(y, x, c, row(down.first[y]) * (down.whole - down.weight[y]) + row(down.second[y]) * down.weight[y]);
      }
}

/// The pictures of files, one after the other, as they are asked for: float64, or uint8 rounded to nearest.
class picture_stream final : public byte_stream {
 public:
  picture_stream(std::vector<std::string> files, const picture_layout& layout, element_type type)
      : files_(std::move(files)), layout_(layout), type_(type) {}

  result<void> read(std::span<std::byte> out) override {
    const std::size_t step = layout_.size() * size_of(type_);
    for (; out.size() >= step; out = out.subspan(step)) {
      const auto decoded = decode_picture(files_[next_++], layout_.channels);
      if (!decoded) return decoded.error();
      fill(*decoded, out.data());
    }
    return {};
  }

 private:
  void fill(const picture& decoded, std::byte* out) const {
    const std::uint64_t whole = 4 * std::uint64_t{layout_.height} * layout_.width;
    resize(decoded, layout_, [&](std::size_t y, std::size_t x, std::size_t c, std::uint64_t sum) {
      const std::size_t at = layout_.is_planar ? (c * layout_.height + y) * layout_.width + x
                                               : (y * layout_.width + x) * layout_.channels + c;
      const auto put = [&](auto value) { std::memcpy(out + at * sizeof value, &value, sizeof value); };
      if (type_ == element_type::float64)
        put(static_cast<double>(sum) / static_cast<double>(whole));
      else
        put(static_cast<std::uint8_t>((sum + whole / 2) / whole));
    });
  }

  std::vector<std::string> files_;
  picture_layout layout_;
  element_type type_;
  std::size_t next_ = 0;
};

/// The files of a folder and of those in it, sorted by name.
class picture_folder {
 public:
  std::vector<std::string> pictures;
  std::vector<std::string> strangers;  // files with other endings
  std::vector<std::string> closed;     // folders that cannot be read

  /// A folder that a link leads back to is listed already.
  void list(const std::string& folder) {
    struct stat about{};
    if (::access(folder.c_str(), R_OK | X_OK) != 0 || ::stat(folder.c_str(), &about) != 0)
      return closed.push_back(folder);
    const std::pair own(about.st_dev, about.st_ino);
    if (std::find(around_.begin(), around_.end(), own) != around_.end()) return;
    around_.push_back(own);
    for (const std::string& name : names_in(folder))
      if (!name.starts_with('.')) add(folder + (folder.ends_with('/') ? "" : "/") + name);
    around_.pop_back();
  }

 private:
  void add(const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return list(path);
    const std::string lower = lower_cased(path);
    bool has_ending = false;
    for (const char* ending : {".jpg", ".jpeg", ".png", ".bmp"})
      has_ending = has_ending || lower.ends_with(ending);
    (has_ending ? pictures : strangers).push_back(path);
  }

  std::vector<std::pair<dev_t, ino_t>> around_;  // folders on the way
};

/// "3 of 10 pictures cannot be read and are left out: FILE: why; ..."
inline std::string unreadable_text(const std::vector<std::string>& reasons, std::size_t all) {
  constexpr std::size_t most = 8;
  std::string text = std::to_string(reasons.size()) + " of " + std::to_string(all) +
                     " pictures cannot be read and are left out: ";
  for (std::size_t i = 0; i < (std::min)(most, reasons.size()); ++i) text += (i > 0 ? " " : "") + reasons[i];
  return reasons.size() > most ? text + " And " + std::to_string(reasons.size() - most) + " more." : text;
}

}  // namespace detail

/// Opens a folder of pictures as samples of a graph input: .jpg, .jpeg, .png and .bmp files, those in folders
/// within it too, sorted by name. Each is resized to the input's height and width: bilinear with half-pixel
/// centres, stretched, nothing cut off. Inputs with 3 channels get red, green and blue from 0 to 255, those
/// with 1 the brightness (stb_image: (77 red + 150 green + 29 blue) / 256); channels come first or last as in
/// the input. All that are used are decoded once beforehand, so that those which cannot be are known.
///
/// @param axis of the input, that counts samples
/// @param most at most so many samples are used
/// @return cannot_open; no_data: no picture, or none that can be read; wrong_rank, missing_value: the input
///         does not tell what size it takes
inline result<image_array> open_images(const std::string& folder, const graph_input& input,
                                       std::optional<std::size_t> axis, std::optional<std::size_t> most) {
  const auto layout = detail::layout_of(input, axis);
  if (!layout) return layout.error();
  const std::string where = absolute_path(folder);
  struct stat about{};
  if (::stat(folder.c_str(), &about) != 0 && errno == ENOENT)
    return error(errc::cannot_open, where, "no such folder.", detail::nearest_name(folder));
  if (!S_ISDIR(about.st_mode) && about.st_mode != 0)
    return error(errc::cannot_open, where, "this is a file. Give the folder that holds the pictures.");
  if (::access(folder.c_str(), R_OK | X_OK) != 0) return detail::cannot_open(folder, errno);
  detail::picture_folder found;
  found.list(where);
  std::vector<std::string> good;
  std::vector<std::string> bad;
  for (const std::string& path : found.pictures) {
    if (most && good.size() >= *most) {
      good.push_back(path);  // not looked at: it is not asked for
      continue;
    }
    const auto decoded = detail::decode_picture(path, layout->channels);
    if (decoded)
      good.push_back(path);
    else
      bad.push_back(decoded.error().what);
  }
  if (good.empty())
    return error(errc::no_data, where,
                 bad.empty() ? "there is no .jpg, .jpeg, .png or .bmp file in it."
                             : "none of its pictures can be read. " + bad[0]);
  std::vector<std::string> notes;
  if (!bad.empty()) notes.push_back(where + ": " + detail::unreadable_text(bad, found.pictures.size()));
  for (const std::string& closed : found.closed) notes.push_back(closed + ": this folder cannot be read.");
  if (const std::size_t count = found.strangers.size(); count > 0)
    notes.push_back(where + ": " + std::to_string(count) +
                    (count == 1 ? " file is not read, as it is" : " files are not read, as they are") +
                    " no .jpg, .jpeg, .png or .bmp: " + found.strangers[0] +
                    (count == 1 ? "." : " and others."));
  const tensor_shape shape = layout->is_planar
                                 ? tensor_shape{good.size(), layout->channels, layout->height, layout->width}
                                 : tensor_shape{good.size(), layout->height, layout->width, layout->channels};
  const element_type type = is_float(input.type) ? element_type::float64 : element_type::uint8;
  return image_array{
      array_reader({nullptr, type, shape}, std::make_unique<detail::picture_stream>(good, *layout, type)),
      layout->is_planar ? std::size_t{0} : std::size_t{2}, std::move(good), std::move(notes)};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_IMAGES_HPP
