// SPDX-License-Identifier: Apache-2.0
/// @file text.hpp Protobuf messages that are partly new and partly as they stand in the file.
#ifndef PTQ_FORMATS_ONNX_TEXT_HPP
#define PTQ_FORMATS_ONNX_TEXT_HPP

#include <protozero/types.hpp>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ptq/formats/onnx/build.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Bytes in pieces. What is kept stays a view of the file, so that weights inside a rewritten message are not
/// copied.
class onnx_text {
 public:
  using piece = std::variant<std::string_view, std::string>;

  void keep(std::string_view source) {
    size_ += source.size();
    pieces_.emplace_back(source);
  }
  void add(std::string made) {
    size_ += made.size();
    pieces_.emplace_back(std::move(made));
  }
  void add(onnx_text made) {
    size_ += made.size_;
    pieces_.insert(pieces_.end(), std::move_iterator(made.pieces_.begin()),
                   std::move_iterator(made.pieces_.end()));
  }
  void add_field(protozero::pbf_tag_type tag, onnx_text payload) {
    add(field_header(tag, payload.size()));
    add(std::move(payload));
  }

  std::uint64_t size() const noexcept { return size_; }
  const std::vector<piece>& pieces() const noexcept { return pieces_; }

  /// For small messages.
  std::string str() const {
    std::string text;
    for (const piece& p : pieces_) std::visit([&](const auto& bytes) { text.append(bytes); }, p);
    return text;
  }

 private:
  std::uint64_t size_ = 0;
  std::vector<piece> pieces_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_TEXT_HPP
